"""What screens are made of; how things look is in ``drawing``, without a widget."""
