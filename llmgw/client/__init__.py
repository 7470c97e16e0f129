"""How front doors reach a gateway."""
