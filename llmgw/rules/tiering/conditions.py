"""Declared routes: which requests an operator sends where by their key, size, time or language; the first that fits."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.domain.route import Tier
from llmgw.rules.tiering.words import asks_for_code, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_FENCE = re.compile(r"```|^\s*(?:def|class|import|#include|function|SELECT|public)\b", re.MULTILINE)
_GERMAN_WORDS = (
    "der die das den dem des ein eine einen einem und oder aber nicht kein keine ich du er wir ihr mir dir mich dich ist"
    " sind war wird wie warum wieso welche welcher welches wer wann auf für mit von zu zum zur bei nach aus über bitte"
    " mein meine kann kannst können schreibe schreib erkläre übersetze fasse gib was auch als wenn dass"
)
_ENGLISH_WORDS = (
    "the a an and or but not no i you he she we they it is are was were will how why which who when on for with of to"
    " at by from about please my your can could would write explain translate summarise summarize give what also as if"
    " that this in do does"
)
_GERMAN, _ENGLISH = frozenset(_GERMAN_WORDS.split()), frozenset(_ENGLISH_WORDS.split())


class Rule(Struct, frozen=True, kw_only=True):
    """One declared route: conditions, of which those at their default hold always, and one of ``to tier quality``.

    ``hours`` are from and to, wrapping around midnight. The options are those of ``[[routes]]``.
    """

    key: str = ""
    tag: str = ""
    tenant: str = ""
    model: str = ""
    min_tokens: int | None = None
    max_tokens: int | None = None
    tools: bool | None = None
    hours: str = ""
    weekdays: tuple[str, ...] = ()
    language: str = ""
    to: tuple[str, ...] = ()
    tier: Tier | None = None
    quality: float | None = None


class Facts(Struct, frozen=True, kw_only=True):
    """What rules look at. ``hour`` is 0 to 23 and ``weekday`` 0 (Monday) to 6, in the gateway's time zone."""

    key: str
    tenant: str
    tags: tuple[str, ...]
    model: str
    tokens: int
    tools: bool
    hour: int
    weekday: int
    text: str


def first(rules: Iterable[Rule], facts: Facts, *, auto: bool) -> tuple[int, Rule] | None:
    """The number, from 1, and the rule that decides; None where none fits.

    A request that is not ``auto`` asked for a model by name: only rules that speak of names may move it.
    """
    for number, rule in enumerate(rules, 1):
        if (auto or rule.model) and fits(rule, facts):
            return number, rule
    return None


def fits(rule: Rule, facts: Facts) -> bool:
    """Whether all of a rule's conditions hold."""
    return (
        (not rule.key or fnmatchcase(facts.key, rule.key))
        and (not rule.tenant or fnmatchcase(facts.tenant, rule.tenant))
        and (not rule.model or fnmatchcase(facts.model, rule.model))
        and (not rule.tag or any(fnmatchcase(tag, rule.tag) for tag in facts.tags))
        and (rule.min_tokens is None or facts.tokens >= rule.min_tokens)
        and (rule.max_tokens is None or facts.tokens <= rule.max_tokens)
        and (rule.tools is None or rule.tools is facts.tools)
        and (not rule.weekdays or WEEKDAYS[facts.weekday] in rule.weekdays)
        and (not rule.hours or _within(rule.hours, facts.hour))
        and (not rule.language or rule.language == language(facts.text))
    )


def words_of(rule: Rule) -> str:
    """The conditions of a rule for people: ``key ci*, hours 22-6``."""
    said = [
        f"{name.replace('_', ' ')} {_shown(value)}"
        for name in Rule.__struct_fields__
        if name not in {"to", "tier", "quality"} and (value := getattr(rule, name)) not in ("", (), None)
    ]
    return ", ".join(said) or "any request"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "offered" if value else "not offered"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _within(hours: str, hour: int) -> bool:
    start, end = map(int, hours.split("-"))
    return start <= hour < end if start < end else hour >= start or hour < end


def language(text: str) -> str:
    """``code``, ``de`` or ``en`` by the words at the beginning and the end; empty where nothing tells."""
    found = tokens(text)
    if _FENCE.search(text[:2000]) or asks_for_code(found):
        return "code"
    german, english = (sum(word in words for word in found) for words in (_GERMAN, _ENGLISH))
    german += any(char in "äöüß" for char in text[:400].lower())
    if german == english:
        return ""
    return "de" if german > english else "en"
