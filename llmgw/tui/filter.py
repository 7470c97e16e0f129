"""The language of ``/``: which requests to show, and words to look for among them.

    model:gpt status:error cost>0.01 key:ci tier:cheap cache:exact ttft>500ms !tag:batch refund

Terms all hold. ``field=value`` is the whole value, ``field:a,b`` either, ``*`` and ``?`` stand for anything, ``!`` in front turns a term round, ``any``
is no condition, ``none`` is an empty field. A word without a field hides nothing: it is marked where it stands, and
``n`` and ``N`` go from one to the next.
"""

from __future__ import annotations

import difflib
import operator
import re
import shlex
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from llmgw.domain.money import parse_usd
from llmgw.domain.spans import parse_span
from llmgw.errors import BadRequest
from llmgw.rules.picture import HERE

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmgw.domain.pulse import Seen

    Test = Callable[[Seen], bool]

COMPARISONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
TEXTS: dict[str, Callable[[Seen], tuple[str, ...]]] = {
    "model": lambda seen: (seen.model, seen.model_asked),
    "target": lambda seen: (f"{seen.provider}/{seen.model}" if seen.model else "",),
    "asked": lambda seen: (seen.model_asked,),
    "provider": lambda seen: (seen.provider,),
    "tier": lambda seen: (seen.tier,),
    "key": lambda seen: (seen.key,),
    "tenant": lambda seen: (seen.tenant,),
    "tag": lambda seen: tuple(seen.tags.split(",")),
    "surface": lambda seen: (seen.surface,),
    "rule": lambda seen: (seen.rule,),
    "error": lambda seen: (seen.error,),
    "id": lambda seen: (seen.id,),
    "cache": lambda seen: (
        seen.cache,
        "hit" if seen.cache in HERE else "",
        "provider" if seen.cache_read_tokens else "",
    ),
    "status": lambda seen: (
        str(seen.status),
        f"{seen.status // 100}xx",
        "error" if seen.error else "ok",
        seen.error,
    ),
    "stream": lambda seen: ("yes" if seen.stream else "no",),
}
"""Fields that hold words, each with all that a request may be called by."""
EXACT = frozenset({"status", "tier", "cache", "stream"})
"""Of these the whole word is meant; of the others a part will do."""
NUMBERS: dict[str, Callable[[Seen], int | None]] = {
    "cost": lambda seen: seen.cost,
    "saved": lambda seen: seen.saved,
    "ttft": lambda seen: seen.ttft_us,
    "latency": lambda seen: seen.latency_us,
    "in": lambda seen: seen.input_tokens,
    "out": lambda seen: seen.output_tokens,
    "tokens": lambda seen: seen.input_tokens + seen.output_tokens,
    "cached": lambda seen: seen.cache_read_tokens,
    "attempts": lambda seen: seen.attempts,
    "status": lambda seen: seen.status,
}
FIELDS = tuple(dict.fromkeys((*TEXTS, *NUMBERS)))
OPTIONS = {
    "key": "--key",
    "model": "--model",
    "provider": "--provider",
    "tier": "--tier",
    "tag": "--tag",
    "status": "--status",
}
"""Of `llmgw request list`."""
_TERM = re.compile(r"([!-]?)([a-z]+)(:|>=|<=|=|>|<)(.*)", re.DOTALL)
_TOKENS = re.compile(r"(\d+(?:\.\d+)?)([kmKM]?)")
_TIMES = {"": 1, "k": 1_000, "m": 1_000_000}


class Filter(NamedTuple):
    """``words`` are looked for; ``options`` are those of `llmgw request list` that say the same, ``whole`` if they all do."""

    text: str = ""
    tests: tuple[Test, ...] = ()
    words: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    whole: bool = True

    def shows(self, seen: Seen) -> bool:
        """Whether a request is among those to show."""
        return all(test(seen) for test in self.tests)

    def finds(self, seen: Seen) -> bool:
        """Whether it holds all words that are looked for."""
        if not self.words:
            return False
        asked, target = seen.model_asked, f"{seen.provider}/{seen.model}"
        said = f"{seen.id} {seen.key} {seen.tenant} {seen.tags} {asked} {target} {seen.error} {seen.rule}".lower()
        return all(word in said for word in self.words)


def read_filter(text: str) -> Filter:
    """What was typed; BadRequest where it makes no sense."""
    try:
        terms = shlex.split(text)
    except ValueError:
        raise BadRequest("a quotation mark is not closed") from None
    tests: list[Test] = []
    words: list[str] = []
    options: list[str] = []
    whole = True
    for term in terms:
        match = _TERM.fullmatch(term)
        if match is None:
            words.append(term.lower())
            continue
        turned, field, sign, value = match.groups()
        if field not in FIELDS:
            near = difflib.get_close_matches(field, FIELDS, 1)
            raise BadRequest(
                f"`{field}` is nothing that a request has",
                hint=f"did you mean `{near[0]}`?" if near else f"there are {', '.join(FIELDS)}",
            )
        if not value:
            raise BadRequest(f"`{term}` says no value", hint=f"write it as {field}{sign}{_example(field)}")
        if sign == ":" and value == "any":
            continue
        test = (
            _measured(field, sign, value) if sign in COMPARISONS else _worded(field, value, whole=sign == "=")
        )
        tests.append(_turned(test) if turned else test)
        told = [] if turned else _options(field, sign, value)
        options += told
        whole = whole and bool(told)
    return Filter(text.strip(), tuple(tests), tuple(words), tuple(options), whole)


def _options(field: str, sign: str, value: str) -> list[str]:
    """The options of `llmgw request list` that say the same; none where there are no such ones."""
    if field == "cost" and sign == ">=":
        return ["--min-cost", value.removeprefix("$")]
    if field == "target" and sign == "=":
        provider, _, model = value.partition("/")
        return ["--provider", provider, "--model", model]
    if field not in OPTIONS or sign not in {":", "="} or (field == "status" and value.endswith("xx")):
        return []
    if value == "none" and field in TEXTS:  # it has no word for nothing
        return []
    if set(value) & set("," if field == "model" else ",*?"):
        return []
    around = field == "model" and sign == ":" and not set("*?") & set(value)
    return [OPTIONS[field], f"*{value}*" if around else value]


def _turned(test: Test) -> Test:
    return lambda seen: not test(seen)


def _worded(field: str, value: str, *, whole: bool) -> Test:
    if field not in TEXTS:
        return _measured(field, ":", value)
    wanted = [each.lower() for each in value.split(",") if each]
    said, whole = TEXTS[field], whole or field in EXACT

    return lambda seen: any(_means(each, text.lower(), whole=whole) for text in said(seen) for each in wanted)


def _means(wanted: str, text: str, *, whole: bool) -> bool:
    """Whether a text is what was asked for: nothing, a pattern, all of it or a part."""
    if wanted == "none" and not text:
        return True
    if "*" in wanted or "?" in wanted:
        return fnmatchcase(text, wanted)
    return wanted == text if whole else wanted in text


def _measured(field: str, sign: str, value: str) -> Test:
    if field not in NUMBERS:
        raise BadRequest(
            f"`{field}` holds words, which are not more or less", hint=f"write it as {field}:{value}"
        )
    read, least = NUMBERS[field], _number(field, value)
    compare = COMPARISONS.get(sign, operator.eq)

    def holds(seen: Seen) -> bool:
        found = read(seen)
        return found is not None and bool(compare(found, least))

    return holds


def _number(field: str, value: str) -> int:
    """Nano-dollars, microseconds, tokens or a count."""
    try:
        if field in {"cost", "saved"}:
            return parse_usd(value)
        if field in {"ttft", "latency"}:
            bare = value.replace(".", "", 1).isdigit()
            return parse_span(f"{value}ms" if bare else value) // 1000
        match = _TOKENS.fullmatch(value)
        if match:
            return int(Decimal(match[1]) * _TIMES[match[2].lower()])
    except (ValueError, InvalidOperation, BadRequest):
        pass
    raise BadRequest(f"`{value}` is no value of `{field}`", hint=f"write it as {field}>{_example(field)}")


def _example(field: str) -> str:
    examples = {
        "cost": "0.01",
        "saved": "0.01",
        "ttft": "500ms",
        "latency": "2s",
        "status": "error",
        "cache": "exact",
        "tier": "cheap",
        "attempts": "1",
    }
    return examples.get(field, "1k" if field in NUMBERS else "NAME")
