"""One command a file, or one noun with its verbs; the folder is the registry.

A file looks like this; nothing else has to be told about it::

    \"\"\"Callers' keys: what programs send to the gateway.\"\"\"      first line: the help of the list, no import needed

    from __future__ import annotations

    from typing import Annotated

    import typer

    from llmgw.cli import options, output
    from llmgw.cli.output import Column

    PLACE = "CONTROL", 3                     panel of `llmgw --help` and rank in it, on one line

    app = typer.Typer()                      a noun with verbs ...

    @app.command("list")
    def list_keys(tag: Annotated[str, typer.Option(help="Only keys with this tag.")] = "") -> None:
        \"\"\"List keys.

        Examples:
          llmgw key list
          llmgw key list --json
        \"\"\"
        from llmgw.client import local       heavy imports inside, so that other commands stay fast

        records = [{"name": "ci", "created_at": 1_790_000_000_000_000_000, "spend_nanousd": 68_000}]
        output.rows(records, [Column("name"), Column("spend_nanousd"), Column("created_at")], noun="keys")

A file with one command and no verbs defines a function ``command`` instead of ``app`` (or an ``app`` whose single
command carries the file's name, where it needs ``context_settings``). Modules that only help are kept elsewhere.

Every docstring of a command ends in ``Examples:`` with at least one line that runs. Failures are raised as
``llmgw.errors.GatewayError``: the exit code comes from there. Another exit code is ``raise typer.Exit(3)``.
Global options (``--json -o --fields -q -v --home --config --color --no-input --utc``) reach every command by
themselves; what was given is in ``options.given``, the files of the gateway are ``options.paths()``.
``output.record`` shows one thing; ``ident`` names the field that ``-q`` prints, ``name`` unless said otherwise.
stdout is written by ``output`` alone, stderr by ``notices``, questions are asked by ``prompts``.
"""
