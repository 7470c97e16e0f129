"""Which requests the caches may answer and which answers they may keep: pure rules, each with its reason.

In doubt a request passes the caches by: what a hit saves is never worth an answer that a call would not have given.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from llmgw.domain.cache import CacheControl
from llmgw.domain.chat import FinishReason, RedactedThinking, Text, Thinking, ToolCall
from llmgw.domain.clock import Nanoseconds
from llmgw.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmgw.domain.chat import ChatAnswer

Json = dict[str, Any]

SECOND = 10**9

USUAL, DETERMINISTIC, DATED = "usual", "deterministic", "dated"
"""Kinds of answers by how long they live."""

LIVE = frozenset(
    {
        "web_search_options",
        "search_parameters",
        "plugins",
        "mcp_servers",
        "container",
        "tool_resources",
        "data_sources",  # Azure
        "enable_search",  # DashScope
        "search_options",
        "search_settings",  # Groq
        "compound_custom",
        "search_domain_filter",  # Perplexity
        "search_recency_filter",
        "search_mode",
    }
)
"""Members that let a model look things up while it answers."""

STATEFUL = frozenset(
    {
        "previous_response_id",
        "conversation",
        "background",
        "context_management",
        "audio",
        "modalities",
        "logprobs",
    }
)
"""Members that lean on what a provider remembers, or ask for what no remembered answer holds."""

WORDS = frozenset({"text", "tool_use", "tool_result", "thinking", "redacted_thinking", "refusal"})
"""Kinds of content parts that are no attachment."""

LATEST, ENDS = 8, 1000
"""How many of a user's texts are looked at for words of time, and how many characters at either end of each."""

_DATED = re.compile(
    r"\b(?:today|tonight|yesterday|tomorrow|now|nowadays|currently|current|latest|recent(?:ly)?|news|"
    r"(?:this|last|next|coming|past) (?:night|week|weekend|month|quarter|year|season|morning|evening)|upcoming|so far|ago|"
    r"(?:days?|weeks?|long|time) (?:until|till|left)|what (?:time|day|date)|weather|"
    r"heute|gestern|morgen|jetzt|gerade|aktuell\w*|neueste\w*|derzeit|bisher|wetter|uhrzeit|"
    r"(?:diese|letzte|nächste|kommende|vergangene)[mnrs]? (?:nacht|woche|wochenende|monat|quartal|jahr|saison)|"
    r"aujourd'hui|maintenant|demain|actuel\w*|hoy|ahora|ayer|mañana|actualmente|oggi|adesso|ieri|domani)\b",
    re.IGNORECASE,
)


_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*:/", re.IGNORECASE)


class Rules(Struct, frozen=True, kw_only=True):
    """What the operator allows; spans are nanoseconds."""

    ttl: Nanoseconds
    ttl_deterministic: Nanoseconds
    ttl_dated: Nanoseconds
    max_temperature: float
    tools: bool
    images: bool

    def lifetime(self, kind: str) -> Nanoseconds:
        if kind == DETERMINISTIC:
            return self.ttl_deterministic
        return self.ttl_dated if kind == DATED else self.ttl


def passes_by(tree: Json, rules: Rules) -> str:
    """Why the caches must not answer this request; an empty text when they may."""
    temperature, n = tree.get("temperature"), tree.get("n", 1)
    if isinstance(temperature, int | float) and temperature > rules.max_temperature:
        return "temperature"
    if n != 1:
        return "n"
    if live := sorted(LIVE & tree.keys()):
        return live[0]
    if stateful := sorted(name for name in STATEFUL & tree.keys() if tree[name] not in (False, ["text"], [])):
        return stateful[0]
    if tree.get("store") is True:
        return "store"
    tools = [*_list(tree.get("tools")), *_list(tree.get("functions"))]
    if tools and not (rules.tools and all(map(_is_function, tools))):
        return "tools"
    attached = [part for part in _parts(tree.get("messages")) if part.get("type") not in WORDS]
    if attached and not rules.images:
        return "images"
    return "remote" if any(map(_is_remote, attached)) else ""


def kind_of(tree: Json) -> str:
    """How long an answer to this request may live.

    A question stands at an end of a text, what it is about in between; so the cost does not grow with a document.
    """
    asked = (
        text
        for message in _list(tree.get("messages"))
        if isinstance(message, dict) and message.get("role") == "user"
        for text in _texts(message.get("content"))
    )
    latest = deque(asked, LATEST)
    if any(_DATED.search(end) for text in latest for end in (text[:ENDS], text[ENDS:][-ENDS:])):
        return DATED
    return DETERMINISTIC if tree.get("temperature") == 0 else USUAL


def may_keep(answer: ChatAnswer, rules: Rules) -> bool:
    """Whether an answer is whole and good, and neutral words hold all of it."""
    if len(answer.choices) != 1 or (answer.usage is not None and answer.usage.searches):
        return False
    choice = answer.choices[0]
    reasons = {FinishReason.STOP, FinishReason.TOOL_CALLS} if rules.tools else {FinishReason.STOP}
    holds = Text | Thinking | RedactedThinking | (ToolCall if rules.tools else Text)
    said = any(isinstance(part, Text | ToolCall) for part in choice.parts)
    return (
        choice.finish_reason in reasons
        and said
        and choice.logprobs is None
        and all(isinstance(part, holds) for part in choice.parts)
        and not answer.extra.keys() & {"citations", "search_results", "stop_details"}
    )


def read_control(headers: dict[bytes, bytes]) -> CacheControl:
    """What ``cache-control`` and ``x-llmgw-cache`` ask for, the strictest of it; BadRequest for a word of ours that is none.

    Of the two our own word counts more, except that what one of them forbids to remember is never remembered.
    """
    directives, own = _words(headers, b"cache-control"), _words(headers, b"x-llmgw-cache")
    if unknown := own - {"no-store", "refresh", "only"}:
        raise BadRequest(
            f"`x-llmgw-cache` is no-store, only or refresh, not {min(unknown)[:40]!r}", param="x-llmgw-cache"
        )
    write = "no-store" not in directives | own
    read = write and "refresh" not in own and ("no-cache" not in directives or "only" in own)
    ages = [
        int(value[:12])
        for name, _, text in (each.partition("=") for each in directives)
        if name == "max-age" and (value := text.strip('"')).isdecimal()
    ]
    only = "only" in own or "only-if-cached" in directives
    return CacheControl(read, write, only, min(ages) * SECOND if ages else None)


def _words(headers: dict[bytes, bytes], name: bytes) -> set[str]:
    """The words of a header that is a list."""
    words = headers.get(name, b"").decode("latin-1").lower().split(",")
    return {word.strip() for word in words} - {""}


def _is_function(tool: Any) -> bool:
    return isinstance(tool, dict) and tool.get("type", "function") in ("function", "custom")


def _is_remote(part: Json) -> bool:
    """Whether a picture or document lies elsewhere, where it may change."""
    return any(
        isinstance(text, str) and (name == "file_id" or _ADDRESS.match(text) is not None)
        for name, text in _strings(part)
    )


def _strings(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _strings(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each, name)
    else:
        yield name, value


def _parts(messages: Any) -> Iterator[Json]:
    """Every content part of every turn, those inside a tool's result too."""
    for message in _list(messages):
        if isinstance(message, dict):
            yield from _inner(message.get("content"))


def _inner(content: Any) -> Iterator[Json]:
    for part in _list(content):
        if isinstance(part, dict):
            yield part
            yield from _inner(part.get("content"))


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for part in _inner(content):
        if isinstance(part.get("text"), str):
            yield part["text"]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
