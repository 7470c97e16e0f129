"""What is remembered: keys, settings and the ledger; nothing above this room writes SQL."""
