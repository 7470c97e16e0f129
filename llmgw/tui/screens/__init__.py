"""A file here is a screen."""
