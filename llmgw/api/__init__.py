"""What callers see: one file a surface, `asgi` puts them behind one front."""
