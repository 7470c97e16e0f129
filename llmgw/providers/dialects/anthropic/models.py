"""What each generation of Claude accepts, read from the model's name, so that a call meant for another API fits.

Sources: Anthropic's model overview and migration pages of 2026; a name that is no Claude is taken for a server
that speaks the older, wider dialect.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct


class Abilities(Struct, frozen=True, kw_only=True):
    """``thinking`` is none, budget or adaptive; ``off`` how thinking is switched off: omit, disabled or never.

    ``sampling`` is False where temperature, top_p and top_k are refused; ``one_sampler`` where temperature and
    top_p exclude each other. ``system_turns`` allows system messages inside the conversation.
    """

    max_output: int
    capped: bool = True
    thinking: str = "adaptive"
    efforts: tuple[str, ...] = ("low", "medium", "high", "xhigh", "max")
    off: str = "omit"
    sampling: bool = True
    one_sampler: bool = True
    system_turns: bool = False
    structured: bool = True


OTHER = Abilities(max_output=8_192, capped=False, thinking="budget", one_sampler=False)
NAME = re.compile(
    r"claude-(?:(?P<line>[a-z]+)-)?(?P<major>\d)(?:[-.](?P<minor>\d{1,2}))?(?!\d)(?:-(?P<old>[a-z]+))?"
)


@lru_cache(maxsize=256)
def abilities(model: str) -> Abilities:
    """What the model of this name accepts."""
    name = model.lower()
    if "claude" not in name:
        return OTHER
    found = NAME.search(name)
    version = (int(found["major"]), int(found["minor"] or 0)) if found else (5, 0)
    line = (found["line"] or found["old"] or "") if found else name.rpartition("claude-")[2].partition("-")[0]
    if version < (3, 7):
        return Abilities(
            max_output=8_192 if version >= (3, 5) else 4_096,
            thinking="none",
            one_sampler=False,
            structured=False,
        )
    if version < (4, 6):
        return Abilities(
            max_output=32_000 if line == "opus" and (4, 0) <= version < (4, 5) else 64_000,
            thinking="budget",
            one_sampler=version >= (4, 0),
            structured=version >= (4, 1),
        )
    return Abilities(
        max_output=64_000 if line == "haiku" else 128_000,
        efforts=("low", "medium", "high", "xhigh", "max")
        if version >= (4, 7)
        else ("low", "medium", "high", "max"),
        off="never" if line in {"fable", "mythos"} else "disabled" if version >= (5, 0) else "omit",
        sampling=version < (4, 7),
        system_turns=version >= (4, 8),
    )
