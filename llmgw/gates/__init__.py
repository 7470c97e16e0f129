"""The gates a call passes, one file each, in the order that ``pipeline`` names."""
