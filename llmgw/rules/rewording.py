"""Which requests another wording's answer could serve: questions in plain words, never work on somebody's code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmgw.domain.cache import PROMPT_LENGTH

if TYPE_CHECKING:
    from llmgw.rules.fingerprint import Asked

_CODE = re.compile(r"```|^(?:@@ |diff --git |\+\+\+ |--- |<<<<<<< )|</?[a-z_]+>.*\n", re.MULTILINE)
_EDIT = re.compile(
    r"\b(?:refactor\w*|rewrite|edit|fix|patch|modify|change|rename|replace|apply|debug|implement|"
    r"ändere|korrigiere|behebe|ersetze)\b[^.?!\n]{0,80}\b(?:function|class|method|file|code|line|variable|module|import|"
    r"test|script|bug|diff|funktion|klasse|methode|datei|zeile|skript|fehler)s?\b",
    re.IGNORECASE,
)


def may_reword(asked: Asked) -> bool:
    """Whether the last turn is a text of the user's whose wording may differ."""
    prompt = asked.prompt
    return (
        asked.reworded
        and 0 < len(prompt) <= PROMPT_LENGTH
        and not prompt.isspace()
        and _CODE.search(prompt) is None
        and _EDIT.search(prompt) is None
    )
