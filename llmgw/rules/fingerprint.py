"""What a request is, in 32 bytes: everything that can change its answer, and nothing else.

A body counts as the JSON that it is: order and whitespace do not matter, every member and every value does, also those
that no gateway has ever heard of. Left out are only the members in ``MEANINGLESS`` and marks for a provider's prompt
cache. A plain conversation has one form for all dialects; whatever is richer keeps the words of its own.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]

MEANINGLESS = frozenset(
    {
        "stream",  # how the answer travels, not what it says
        "stream_options",
        "idempotency_key",  # the gateway's own
        "prompt_cache_key",  # where OpenAI looks for a prompt it has read before
        "prompt_cache_retention",
        "safety_identifier",  # a hash for abuse reports
    }
)
"""Members of a body that cannot change an answer. `user` and `metadata` can: some servers keep memories by them."""

LONG = 16_384
"""Characters of a text above which its hash stands for it: spelling it out in JSON is one long step."""
MARK = "\0"

_MARKED = {"system", "messages", "content", "tools", "function", "functions"}
"""Members that hold what may bear a mark for a prompt cache."""

_PLAIN = {"model", "messages", "temperature", "top_p"}
_PLAIN_OF = {
    "openai_chat": _PLAIN | {"max_tokens", "stop"},
    "anthropic": _PLAIN | {"max_tokens", "stop_sequences", "system"},
}
"""Members of a plain conversation by dialect: only these, and only text, is said alike in every dialect."""


class Unclear(Exception):
    """A body that two readers may read differently: a member stands twice in it, or a number is not finite."""


class Asked(NamedTuple):
    """A request as the caches know it: ``context`` is the fingerprint without the wording of the last user turn.

    ``prompt`` is that wording; ``reworded`` whether another wording could stand in its place (it is all text).
    """

    fingerprint: bytes
    context: bytes
    prompt: str
    reworded: bool


def read(body: bytes) -> Json:
    """The body as a tree; Unclear when it has more than one reading, ValueError when it is no JSON in UTF-8."""
    tree = json.loads(
        body.decode(), object_pairs_hook=_members, parse_constant=_not_finite, parse_float=_finite
    )
    return {name: value for name, value in tree.items() if value is not None and name not in MEANINGLESS}


def fingerprint(dialect: str, tree: Json, apart: Iterable[Any]) -> Asked:
    """The fingerprint of a tree that ``read`` made, among requests of equal ``apart`` (tenant, routes, headers).

    Messages are hashed one after the other, so that no step takes long; the context is what stands before the last.
    """
    plain = _neutral(dialect, tree)
    form = _unmarked(tree) if plain is None else plain
    messages = form.get("messages")
    turns = messages if isinstance(messages, list) else []
    rest = {name: value for name, value in form.items() if name != "messages" or value is not turns}
    whole = blake2b(_canonical([*apart, dialect if plain is None else "", _shortened(rest)]), digest_size=32)
    for turn in turns[:-1]:
        whole.update(b"," + _canonical(_shortened(turn)))
    context = whole.copy()
    prompt = text_of(turns[-1]) if turns else None
    for turn in turns[-1:]:
        whole.update(b"," + _canonical(_shortened(turn)))
    if prompt is None:
        return Asked(whole.digest(), whole.digest(), "", False)
    context.update(b";")
    return Asked(whole.digest(), context.digest(), prompt, True)


def text_of(message: Any) -> str | None:
    """The text of a user's turn; None where it holds anything else, or is somebody else's."""
    if (
        not isinstance(message, dict)
        or not message.keys() <= {"role", "content"}
        or message.get("role") != "user"
    ):
        return None
    texts = _texts(message.get("content"))
    return None if texts is None else "\n".join(texts)


def _canonical(value: Any) -> bytes:
    """One spelling of a value; whole numbers and fractions stay apart, lone surrogates too."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _shortened(value: Any) -> Any:
    """The value with a hash in the place of each long text, which no text of a request is taken for."""
    if isinstance(value, str):
        if len(value) > LONG:
            return MARK + blake2b(value.encode(), digest_size=32).hexdigest()
        return MARK + value if value.startswith(MARK) else value
    if isinstance(value, dict):
        return {name: _shortened(each) for name, each in value.items()}
    return [_shortened(each) for each in value] if isinstance(value, list) else value


def _neutral(dialect: str, tree: Json) -> Json | None:
    """A conversation of nothing but text in the form that all dialects share; None for any other."""
    if not tree.keys() <= _PLAIN_OF.get(dialect, set()) or not isinstance(tree.get("messages"), list):
        return None
    turns = tree["messages"]
    if "system" in tree:
        turns = [{"role": "system", "content": tree["system"]}, *turns]
    messages = []
    for turn in turns:
        if not isinstance(turn, dict) or turn.keys() != {"role", "content"}:
            return None
        texts = _texts(turn["content"])
        if texts is None or turn["role"] not in ("system", "user", "assistant"):
            return None
        messages.append({"role": turn["role"], "content": [{"type": "text", "text": text} for text in texts]})
    stop = tree.get("stop", tree.get("stop_sequences"))
    return {
        "model": tree["model"],
        "messages": messages,
        "limit": tree.get("max_tokens"),
        "temperature": tree.get("temperature"),
        "top_p": tree.get("top_p"),
        "stop": [stop] if isinstance(stop, str) else stop,
    }


def _texts(content: Any) -> list[str] | None:
    """The texts of a content that is nothing but text."""
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return None
    texts = []
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            return None
        if _unmarked(part).keys() != {"type", "text"}:
            return None
        texts.append(part["text"])
    return texts


def _is_mark(value: Any) -> bool:
    """Whether this is a mark for a provider's prompt cache, which changes what a call costs and not what it says."""
    return isinstance(value, dict) and value.get("type") == "ephemeral" and value.keys() <= {"type", "ttl"}


def _unmarked(value: Any) -> Any:
    """The value without marks where a dialect has them: never inside what a tool was given, or a schema."""
    if isinstance(value, dict):
        return {
            name: _unmarked(each) if name in _MARKED else each
            for name, each in value.items()
            if not (name == "cache_control" and _is_mark(each))
        }
    return [_unmarked(each) for each in value] if isinstance(value, list) else value


def _members(pairs: list[tuple[str, Any]]) -> Json:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Unclear
    return members


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise Unclear
    return number


def _not_finite(_: str) -> float:
    raise Unclear
