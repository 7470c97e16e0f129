"""Reading of a caller's body as far as the gates need it: the messages stay bytes."""

from __future__ import annotations

import re

from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType, ValidationError
from msgspec.json import Decoder

from llmgw.domain.route import Tier
from llmgw.errors import BadRequest
from llmgw.providers.base import Peek

_MOST_TOKENS = 2**31 - 1
_MOST_CHOICES = 128  # OpenAI's own limit, and one that keeps a hold within reason

_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_AT = re.compile(r"(.*) - at `\$\.?([^`]*)`$")
_REMOTE_IMAGE = re.compile(rb'"image_url"\s*:\s*(?:\{[^{}]{0,64}?"url"\s*:\s*)?"http')
_AUDIO = re.compile(
    rb'"input_audio"\s*:\s*\{(?:\s*"format"\s*:\s*"\w*"\s*,)?\s*"data"\s*:\s*"([A-Za-z0-9+/=_\\-]*)'
)
_BASE64 = re.compile(rb";base64,([A-Za-z0-9+/=_\\-]*)")


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Call(Struct):
    model: str
    messages: Raw
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    tools: Raw = Raw()
    functions: Raw = Raw()
    response_format: Raw = Raw()
    force_tier: str | UnsetType | None = UNSET
    context: Raw | UnsetType = UNSET
    idempotency_key: str | UnsetType | None = UNSET


_decode = Decoder(_Call).decode
_TIERS = frozenset(tier.value for tier in Tier)


def peek(body: bytes) -> Peek:
    """What the gates need; BadRequest naming the field where the body is not a chat completion call."""
    if not body.isascii():
        check_utf8(body)
    try:
        call = _decode(body)
    except (DecodeError, RecursionError) as error:
        raise explain(error) from None
    if not call.model:
        raise BadRequest("'model' must name a model.", param="model")
    messages = bytes(call.messages)
    if not messages.startswith(b"[") or not messages[1:-1].strip():
        raise BadRequest("'messages' must be a non-empty list of messages.", param="messages")
    force_tier, context, key = call.force_tier, call.context, call.idempotency_key
    if isinstance(force_tier, str) and force_tier not in _TIERS:
        raise BadRequest(
            f"'force_tier' must be local, cheap or premium, not {force_tier[:40]!r}.", param="force_tier"
        )
    if context is not UNSET and bytes(context)[:1] not in (b"{", b"n"):
        raise BadRequest("'context' must be an object.", param="context")
    n = 1 if call.n is None else call.n
    if not 1 <= n <= _MOST_CHOICES:
        raise BadRequest(f"'n' must be between 1 and {_MOST_CHOICES}.", param="n")
    payloads, attachments = _payloads(messages)
    tools, functions = len(call.tools), len(call.functions)
    return Peek(
        model=call.model,
        stream=bool(call.stream),
        max_tokens=_limit(call),
        n=n,
        tools=tools > 4 or functions > 4,  # longer than [] and null
        include_usage=call.stream_options is not None and bool(call.stream_options.include_usage),
        prompt_bytes=len(messages) - payloads + tools + functions + len(call.response_format),
        attachments=attachments,
        force_tier=force_tier or None,
        context=context if isinstance(context, Raw) and bytes(context) != b"null" else None,
        idempotency_key=key or None,
        gateway_fields=not (force_tier is UNSET and context is UNSET and key is UNSET),
        messages=call.messages,
    )


def check_utf8(body: bytes) -> None:
    """JSON travels as UTF-8; msgspec looks at a string's bytes only where it decodes it."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8 (byte {error.start}).") from None


def explain(error: DecodeError | RecursionError) -> BadRequest:
    """A decoder's complaint in the words of an API that names its parameter."""
    text = str(error)
    if isinstance(error, RecursionError):
        return BadRequest("The body is nested too deeply.")
    if not isinstance(error, ValidationError):
        return BadRequest(f"The body is not valid JSON: {text.removeprefix('JSON is malformed: ')}.")
    at = _AT.match(text)
    what, path = (at[1], at[2]) if at else (text, "")
    if missing := _MISSING.match(what):
        path = f"{path}.{missing[1]}" if path else missing[1]
        return BadRequest(f"Missing required parameter: '{path}'.", param=path)
    if not path:
        return BadRequest("The body must be a JSON object.")
    return BadRequest(f"Invalid type for '{path}': {what[:1].lower()}{what[1:]}.", param=path)


def _limit(call: _Call) -> int | None:
    """The output limit; some clients say "no limit" with a number below one."""
    for name in ("max_completion_tokens", "max_tokens"):
        value: int | None = getattr(call, name)
        if value is not None and value > _MOST_TOKENS:
            raise BadRequest(f"'{name}' must be at most {_MOST_TOKENS:,}.", param=name)
        if value is not None and value > 0:
            return value
    return None


def _payloads(messages: bytes) -> tuple[int, int]:
    """Bytes of base64 in these messages, and how many pictures, files and sounds they hold."""
    size = count = 0
    if b";base64," in messages:
        for match in _BASE64.finditer(messages):
            size += match.end(1) - match.start(1)
            count += 1
    if b'"input_audio"' in messages:
        for match in _AUDIO.finditer(messages):
            size += match.end(1) - match.start(1)
            count += 1
    if b'"image_url"' in messages:
        count += len(_REMOTE_IMAGE.findall(messages))
    return size, count
