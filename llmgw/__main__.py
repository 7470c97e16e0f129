"""``python -m llmgw``: the same program as ``llmgw``."""

from llmgw.cli.app import main

main()
