"""llmgw: an LLM gateway in one package."""

__version__ = "0.1.0"
