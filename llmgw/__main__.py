"""``llmgw``, and ``python -m llmgw``: the whole program, but for the one word that must be instant."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process."""
    if sys.argv[1:2] == ["statusline"]:
        from llmgw.cli.status_line import quick  # noqa: PLC0415  all else is loaded without it

        if quick(sys.argv[2:]):
            return
    from llmgw.cli.app import main as whole  # noqa: PLC0415  as heavy as the line must not be

    whole()


if __name__ == "__main__":
    main()
