"""Making out in a text what nobody else should read: keys, whatever follows ``Bearer``, addresses, long numbers."""

from __future__ import annotations

import re

SECRETS = re.compile(
    r"\b(sk-ant-|sk-proj-|sk-or-|sk-|gsk_|lgw_|xai-|hf_|AIza|AKIA)[A-Za-z0-9_\-]{6,}|(?i:bearer\s+)[^\s\"']{6,}"
)
"""Key formats of providers, our own, and whatever follows ``Bearer``."""

MASK = "****"
HELD = 64
"""Characters at the end of a text that grows which are kept back: they may be the beginning of such a thing."""
REACH = 4096
"""Characters before what is asked for that are read again: such a thing may have begun there."""

_PRIVATE = re.compile(
    "|".join(
        (
            SECRETS.pattern.replace("(sk-ant-", "(?:sk-ant-"),
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*-----|\Z)",
            # JSON web tokens; looking ahead first reads a run of such characters once, however often it says eyJ
            r"(?<![\w\-])(?=[\w\-]{11,}+\.[\w\-])(?:[\w\-]*?-)??eyJ[\w\-]{8,}+\.[\w\-]+\.?[\w\-]*",
            r"(?<![\w.+\-])[\w.+\-]++@[\w\-]+(?:\.[\w\-]+)+",
            r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",  # bank accounts
            r"(?<![\w.])\+?\d(?:[ ()\-]{0,2}\d){10,}",  # cards, telephones, accounts
        )
    )
)


def redacted(text: str, start: int = 0, *, whole: bool = True) -> tuple[str, int]:
    """What of a text may be shown from ``start`` on, and up to where that is; of one that still grows not its end."""
    end = len(text) if whole else max(start, len(text) - HELD)
    parts, at = [], start
    for found in _PRIVATE.finditer(text, max(0, start - REACH)):
        if found.end() <= start:
            continue
        if found.start() >= end:
            break
        if found.end() > end and not whole:
            end = max(start, found.start())
            break
        parts += [text[at : found.start()], MASK]
        at = max(at, found.end())
    return "".join((*parts, text[at:end])), max(at, end)
