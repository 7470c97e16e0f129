"""``${VAR}`` and ``${VAR:-default}`` in values of the file; a variable that is not set is an error, never its own name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmgw.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

REFERENCE = re.compile(
    r"\$(?:(?P<escape>\$)(?=\{)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<bad>\{))"
)


def refers(text: str) -> bool:
    """Whether a value takes anything from the environment."""
    return any(match["name"] for match in REFERENCE.finditer(text))


def expand(text: str, environ: Mapping[str, str], where: str) -> str:
    """``text`` with its references replaced, once and not again in what they bring; ``$${`` stands for ``${``.

    As in a shell the default also replaces an empty variable. ConfigInvalid names ``where`` and the variable.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if match["escape"]:
            return "$"
        if match["bad"]:
            raise ConfigInvalid(
                f"broken reference in {where}", hint="write ${VAR} or ${VAR:-default}; $${ stands for itself"
            )
        if default is not None:
            return environ.get(name) or default
        if name not in environ:
            raise ConfigInvalid(
                f"the environment variable {name} is not set, wanted by {where}",
                hint=f"set it, or give a default: ${{{name}:-...}}",
            )
        return environ[name]

    return REFERENCE.sub(value, text)
