"""Texts into vectors whose angle tells how alike they are: by a small table, by MiniLM, or by an endpoint."""
