"""Read what the gates need of a Messages call without decoding its messages, and pass the call on."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from llmgw.domain.route import Tier
from llmgw.errors import BadRequest
from llmgw.providers.base import Peek, Upstream
from llmgw.providers.dialects.anthropic.decoding import decode

GATEWAY_FIELDS = ("force_tier", "context", "idempotency_key")
NOTHING = Raw(b"")
MOST_TOKENS = 2**31 - 1


class _Counted(Struct):
    model: Annotated[str, Meta(min_length=1)]
    messages: Annotated[list[Raw], Meta(min_length=1)]
    system: Raw = NOTHING
    tools: list[Raw] | None = None
    stream: bool | None = None
    force_tier: str | UnsetType | None = UNSET
    context: Raw | UnsetType = UNSET
    idempotency_key: str | UnsetType | None = UNSET


class _Call(_Counted, kw_only=True):
    # Zero is a call that only warms the prompt cache.
    max_tokens: Annotated[int, Meta(ge=0, le=MOST_TOKENS)]


C = TypeVar("C", bound=_Counted)
CALL = msgspec.json.Decoder(_Call)
COUNTED = msgspec.json.Decoder(_Counted)
FIELDS = msgspec.json.Decoder(dict[str, Raw])
REMOTE = re.compile(rb'"type"\s*:\s*"(?:url|file)"')


def peek(body: bytes) -> Peek:
    """What the gates need of a call to ``/v1/messages``; BadRequest naming the field when it is none."""
    call = decode(CALL, body)
    seen = _peek(call, body)
    seen.max_tokens = call.max_tokens
    return seen


def peek_count(body: bytes) -> Peek:
    """The same of a call to ``/v1/messages/count_tokens``, which has no ``max_tokens``."""
    return _peek(decode(COUNTED, body), body)


def _peek(call: _Counted, body: bytes) -> Peek:
    prompt = sum(map(len, call.messages)) + len(call.system) + sum(map(len, call.tools or ()))
    attachments, payload = _payloads(body)
    tier, context, key = call.force_tier, call.context, call.idempotency_key
    if tier not in (UNSET, None, *Tier):
        raise BadRequest(f"force_tier: {tier!r} is none of local, cheap, premium", param="force_tier")
    if context is not UNSET and bytes(context)[:1] not in (b"{", b"n"):
        raise BadRequest("context: Expected `object`", param="context")
    return Peek(
        model=call.model,
        stream=call.stream is True,
        tools=bool(call.tools),
        prompt_bytes=max(0, prompt - payload),
        attachments=attachments,
        force_tier=tier or None,
        context=context if isinstance(context, Raw) and bytes(context) != b"null" else None,
        idempotency_key=key or None,
        gateway_fields=any(field is not UNSET for field in (tier, context, key)),
        messages=call.messages,
    )


def _payloads(body: bytes) -> tuple[int, int]:
    """How many attachments a body carries, and how many bytes of it are their base64.

    A base64 source is a flat object, so its braces are the nearest ones around the marker.
    """
    number = size = 0
    at = body.find(b'"base64"')
    while at >= 0:
        start, end = body.rfind(b"{", 0, at), body.find(b"}", at)
        data = body.find(b'"data"', max(start, 0), end)
        if data >= 0:
            opening = body.find(b'"', body.find(b":", data, end) + 1, end)
            closing = body.find(b'"', opening + 1, end)
            if 0 <= opening < closing:
                number += 1
                size += closing - opening - 1
        at = body.find(b'"base64"', max(end, at + 1))
    if b'"source"' in body:
        number += len(REMOTE.findall(body))
    return number, size


def limit_output(body: bytes, most: int) -> bytes:
    """``body`` with another limit on the answer."""
    fields = decode(FIELDS, body)
    fields["max_tokens"] = Raw(msgspec.json.encode(most))
    return msgspec.json.encode(fields)


def relay_body(body: bytes, seen: Peek, upstream: Upstream, model: str) -> bytes:
    """``body`` itself, or a copy in which only the model's name changed and fields went; values keep their bytes."""
    unsupported = upstream.provider.unsupported
    if model == seen.model and not seen.gateway_fields and not unsupported:
        return body
    fields = decode(FIELDS, body)
    kept = {
        name: value
        for name, value in fields.items()
        if name not in GATEWAY_FIELDS and name not in unsupported
    }
    if model == seen.model and len(kept) == len(fields):
        return body
    kept["model"] = Raw(msgspec.json.encode(model))
    return msgspec.json.encode(kept)
