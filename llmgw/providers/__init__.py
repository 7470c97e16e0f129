"""How each upstream is spoken to: a file here is a provider, a file in ``dialects`` a wire format."""
