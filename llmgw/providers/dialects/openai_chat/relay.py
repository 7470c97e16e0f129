"""Same dialect on both sides: a caller's body changes only in the members that must, a reply only by what is added."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import DecodeError, Raw
from msgspec.json import Decoder, Encoder

from llmgw.providers.dialects.openai_chat.peek import explain

if TYPE_CHECKING:
    from llmgw.providers.base import Peek, Provider, Upstream

GATEWAY_FIELDS = ("force_tier", "context", "idempotency_key")

_encode = Encoder().encode
_members = Decoder(dict[str, Raw]).decode
_options = Decoder(dict[str, Raw] | None).decode
_NULL, _TRUE = Raw(b"null"), Raw(b"true")
_OTHER_LIMIT = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


def relay_body(body: bytes, peek: Peek, upstream: Upstream, model: str) -> bytes:
    """``body`` itself unless something must change; then every other value keeps its bytes."""
    provider = upstream.provider
    ask = asks_usage(peek, upstream)
    limits = peek.max_tokens is not None and reasons(provider, model)
    if not (ask or limits or peek.gateway_fields or provider.unsupported or model != peek.model):
        return body
    try:
        members = _members(body)
    except DecodeError as error:
        raise explain(error) from None
    changed = ask or model != peek.model
    for name in GATEWAY_FIELDS:
        changed |= members.pop(name, None) is not None
    for name in refused_fields(provider, model):
        if name not in members:
            continue
        changed = True
        value = members.pop(name)
        if (other := other_limit(name)) and bytes(value) != b"null":
            members.setdefault(other, value)
    if not changed:
        return body
    if model != peek.model:
        members["model"] = Raw(_encode(model))
    if ask:
        asked = _options(members.get("stream_options", _NULL)) or {}
        members["stream_options"] = Raw(_encode({**asked, "include_usage": _TRUE}))
    return _encode(members)


def limit_output(body: bytes, upstream: Upstream, model: str, most: int) -> bytes:
    """``body`` with a limit on each answer, in place of one that limits nothing."""
    members = _members(body)
    for name in _OTHER_LIMIT:
        members.pop(name, None)
    provider = upstream.provider
    name = provider.max_tokens_field if provider.max_tokens_field in _OTHER_LIMIT else "max_tokens"
    members["max_completion_tokens" if reasons(provider, model) else name] = Raw(_encode(most))
    return _encode(members)


def asks_usage(peek: Peek, upstream: Upstream) -> bool:
    """Whether the gateway asks for usage on its own behalf, and so must hide the answer from the caller."""
    return peek.stream and not peek.include_usage and upstream.provider.stream_usage == "ask"


def refused_fields(provider: Provider, model: str) -> frozenset[str]:
    """What this target answers with an error; a limit among them travels under its other name."""
    return provider.unsupported | {"max_tokens"} if reasons(provider, model) else provider.unsupported


def other_limit(name: str) -> str:
    """The other name of an output limit; empty for any other field."""
    return _OTHER_LIMIT.get(name, "")


def reasons(provider: Provider, model: str) -> bool:
    """Whether this is one of the models that refuse ``max_tokens``, and sample in their own way."""
    return _fits_any(model, provider.refuses_max_tokens)


@lru_cache(maxsize=4096)
def _fits_any(model: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in patterns)


def attach_meta(body: bytes, meta: dict[str, Any]) -> bytes:
    """The reply with ``gateway_meta`` as its last member; a body that is no object stays as it is."""
    end = body.rfind(b"}")
    start = body.find(b"{")
    if end < 0 or body[end + 1 :].strip() or body[:start].strip():
        return body
    comma = b"," if body[start + 1 : end].strip() else b""
    return b"".join((body[:end], comma, b'"gateway_meta":', _encode(meta), body[end:]))


def stream_meta(meta: dict[str, Any]) -> bytes:
    """An SSE comment, which every client skips."""
    return b": llmgw " + msgspec.json.encode(meta) + b"\n\n"
