"""What the operator declared: the file, the environment, the flags, and where each value came from."""
