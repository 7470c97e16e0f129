"""What another config file would change, before it is put in place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmgw.cli import notices, options, output
from llmgw.cli.output import Column

PLACE = "SETUP", 3


def command(
    file: Annotated[
        str, typer.Argument(metavar="CONFIG", help="The config file to compare with.", show_default=False)
    ],
) -> None:
    """Compare a config file with the configuration in force: options, tiers, where names lead, prices.

    Examples:
      llmgw plan new.toml
      llmgw plan new.toml --json
    """
    from llmgw.config.load import effective_config
    from llmgw.service.comparing import compare, side

    paths = options.paths()
    other = paths._replace(config=Path(file).absolute(), chosen=True)
    after = side(effective_config(other), other)
    before = side(effective_config(paths), paths)
    for problem in after.problems:
        if problem not in before.problems:
            notices.warn(problem)
    found = [difference._asdict() for difference in compare(before, after)]
    if not found:
        notices.note("nothing would change")
    columns = [Column("kind"), Column("name"), Column("before"), Column("after")]
    output.rows(found, columns, noun="changes")
