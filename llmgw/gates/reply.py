"""How the gateway answers its caller: status, headers, what it says about itself, and errors in the caller's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmgw.domain.money import decimal_usd
from llmgw.errors import GatewayError, UpstreamRefused
from llmgw.rules.planning import VIRTUAL

if TYPE_CHECKING:
    from llmgw.gates.state import Attempt, Call, Send
    from llmgw.providers.base import CallerDialect, Headers

RawHeaders = list[tuple[bytes, bytes]]

CONTROLS = bytes((*range(32), 127))

KEPT_BACK = frozenset(
    {
        "alt-svc",
        "authorization",
        "access-control-allow-credentials",
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-allow-origin",
        "access-control-expose-headers",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "server",
        "set-cookie",
        "strict-transport-security",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-api-key",
    }
)
"""Headers of an upstream that are about its own connection or its own clients; every other one passes."""


def passed_headers(headers: Headers) -> RawHeaders:
    """An upstream's headers as far as a caller may see them: rate limits, request ids, ``retry-after``."""
    return [
        (name.encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in headers
        if name not in KEPT_BACK and not name.startswith("x-llmgw-")
    ]


def header_text(text: str) -> bytes:
    """A text that others chose as a header's value: one line, no control characters, at most 1,000 bytes."""
    return " ".join(text.split()).encode("latin-1", "replace").translate(None, CONTROLS)[:1000]


def own_headers(call: Call, attempt: Attempt | None = None) -> RawHeaders:
    """The ``x-llmgw-*`` headers of every answer; cost is added where it is known before the first byte."""
    left = call.budget_left
    headers = [
        (b"x-llmgw-request-id", call.shown_id.encode()),
        (b"x-llmgw-cache", call.cache.encode()),
    ]
    if left is not None or call.attempts:  # before that nobody knows which budgets concern the call
        headers.append((b"x-llmgw-budget-left", b"unlimited" if left is None else decimal_usd(left).encode()))
    if call.budget_warning:
        headers.append((b"x-llmgw-budget-warning", call.budget_warning.encode("latin-1", "replace")))
    if call.trimmed:
        headers.append((b"x-llmgw-trimmed", b"%d" % call.trimmed))
    if attempt is not None:
        target = attempt.destination.target
        headers.append((b"x-llmgw-tier", target.tier.encode()))
        headers.append((b"x-llmgw-target", target.name.encode("latin-1", "replace")))
        if call.queued is not None:
            place, waited = call.queued
            headers.append((b"x-llmgw-queue", b"%d; waited=%d" % (place, waited // 1_000_000)))
        if call.trial is not None and (escalated := call.trial.escalated):
            headers.append((b"x-llmgw-escalated", header_text(escalated)))
        if call.attempts > 1:
            headers.append((b"x-llmgw-fallbacks", b"%d" % (call.attempts - 1)))
    return headers


def cost_text(call: Call) -> str:
    """Dollars, exact; ``unknown`` when a price was missing, which is not nothing."""
    return "unknown" if call.cost is None else decimal_usd(call.cost)


def wants_meta(call: Call) -> bool:
    """Whether the caller speaks the gateway's own dialect: its fields, its virtual models, or asks by header.

    Everybody else's relayed bytes stay exactly as the upstream sent them and headers tell the rest.
    """
    return (
        call.peek.gateway_fields
        or call.peek.model in VIRTUAL
        or call.headers.get(b"x-llmgw-meta", b"").lower() == b"body"
    )


def meta_of(call: Call, attempt: Attempt, now: int, dropped: tuple[str, ...]) -> dict[str, Any]:
    """``gateway_meta``: S3's fields, and what the answer cost."""
    target = attempt.destination.target
    return {
        "request_id": call.shown_id,
        "latency_ms": (now - call.started) // 1_000_000,
        "source": target.provider,
        "cache": call.cache.value,
        "cost_nanousd": call.cost,
        "cost_usd": None if call.cost is None else decimal_usd(call.cost),
        "saved_usd": decimal_usd(call.saved),
        "budget_left_usd": None if call.budget_left is None else decimal_usd(call.budget_left),
        "routing": {
            "tier": target.tier,
            "target": target.name,
            "reason": call.route.reason,
            "attempts": call.attempts,
            **({} if call.trial is None else {"escalated": call.trial.escalated}),
        },
        "dropped": list(dropped),
    }


async def send_whole(send: Send, status: int, headers: RawHeaders, body: bytes, content_type: bytes) -> None:
    headers.append((b"content-type", content_type))
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_error(
    send: Send, dialect: CallerDialect, error: GatewayError, request_id: str, headers: RawHeaders
) -> None:
    """An error as the caller's SDK expects it; an upstream's own body passes untouched where the dialects agree."""
    content_type = b"application/json"
    if isinstance(error, UpstreamRefused) and error.body:
        body, content_type = error.body, error.content_type.encode("latin-1", "replace")
    else:
        body = dialect.render_error(error, request_id)
    named = {name for name, _ in error.headers}
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in error.headers]
    if error.status == 401 and "www-authenticate" not in named:
        headers.append((b"www-authenticate", b'Bearer realm="llmgw"'))
    if error.status in {401, 402, 403, 413} and "x-should-retry" not in named:
        headers.append((b"x-should-retry", b"false"))
    await send_whole(send, error.status, headers, body, content_type)
