"""The command line: one file in ``commands/`` is one command, everything else here is how they are read and shown."""
