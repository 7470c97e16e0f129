"""The process: everything below is wired together here."""
