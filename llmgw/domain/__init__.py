"""What the words mean: frozen structs, no I/O, no clock."""
