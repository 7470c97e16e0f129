"""Requests that ask for nothing in particular: no model answers them well, so the owner may have them asked back."""

from __future__ import annotations

import re

LONGEST = 60
"""Characters of the longest request that can be too vague."""

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+")

_EMPTY = """
help hilf hilfe helfen fix fixe repair repariere do mach make please bitte can could would you kannst könntest würdest du me mir i ich
want will möchte need brauche code review check prüfe prüf schau look at solve löse debug improve verbessere optimize
optimiere refactor explain erkläre write schreib schreibe continue weiter go on run it this that these those es das dies
diese them something etwas irgendwas anything my mein meine meinen the a an der die den ein eine einen question frage
problem issue error fehler bug bugs now jetzt again nochmal quick schnell kurz mal just doch let's is ist with mit for für
to zu i've i'm have has got habe hab und and some text file datei task aufgabe work arbeite better besser think denk about
was what s tell show zeig sag don't know weiß nicht urgent dringend asap pls plz there da sir dear liebe lieber guten morgen tag good morning
"""
_GREETING = "hi hello hey hallo moin servus thanks thank danke yes no ja nein ok okay sure"

GREETINGS = frozenset(_GREETING.split())
EMPTY = GREETINGS.union(_EMPTY.split())
"""Words that name no matter: a request made of nothing else says nothing to work on."""


def too_vague(text: str, *, history: bool = False, attachments: bool = False) -> bool:
    """Whether the last user turn, alone in its conversation, gives no matter to work on.

    With ``history`` (an earlier turn or a system prompt that sets the task) or ``attachments`` (an image, a file, the
    ``context`` parameter) it never is; nor where the text holds code, a path, a number or a word of substance.
    """
    if history or attachments:
        return False
    stripped = text.strip()
    if len(stripped) > LONGEST or "\n" in stripped or "`" in stripped or "/" in stripped:
        return False
    words = [word.lower() for word in _WORD.findall(stripped)]
    if not words:
        return not any(character.isalnum() for character in stripped)
    return EMPTY.issuperset(words) and not GREETINGS.issuperset(words)
