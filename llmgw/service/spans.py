"""Requests as spans of OpenTelemetry, by its conventions for generative AI: a span each, a child for each attempt.

Made of rows of the ledger, whose times are known: nothing is traced while a call is on its way, and nothing of what was
asked or answered is in it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from llmgw import __version__
from llmgw.domain.ledger import show_id
from llmgw.domain.money import NANO
from llmgw.rules import conventions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.resources import Resource

    from llmgw.domain.ledger import RequestRow
    from llmgw.domain.usage import Usage
    from llmgw.gates.tracing import Ended
    from llmgw.storage.requests import AttemptRow

SCOPE = InstrumentationScope("llmgw", __version__, "https://opentelemetry.io/schemas/1.37.0")
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
Attributes = dict[str, Any]


def spans_of(
    ended: Ended,
    attempts: Mapping[int, Sequence[AttemptRow]],
    addresses: Mapping[str, str],
    resource: Resource,
) -> list[ReadableSpan]:
    """The spans of these requests; ``addresses`` are those of upstreams, by name. An unsampled caller has none."""
    spans: list[ReadableSpan] = []
    for row, parent in ended:
        if parent is not None and not parent.sampled:
            continue
        trace = parent.trace if parent else _number(f"trace {row.id}", 16)
        own = SpanContext(trace, _number(f"span {row.id}", 8), is_remote=False, trace_flags=SAMPLED)
        above = (
            None if parent is None else SpanContext(trace, parent.span, is_remote=True, trace_flags=SAMPLED)
        )
        spans.append(_request(row, own, above, resource))
        spans += [
            _attempt(row, each, own, addresses.get(each.provider, ""), resource)
            for each in attempts.get(row.id, ())
            if each.ended_at is not None
        ]
    return spans


def _request(
    row: RequestRow, own: SpanContext, above: SpanContext | None, resource: Resource
) -> ReadableSpan:
    attributes = _told(row.surface, row.provider, row.model_asked, row.status, row.error) | {
        "llmgw.request.id": show_id(row.id),
        "llmgw.key": row.key_name,
        "llmgw.tenant": row.tenant,
        "llmgw.tier": row.tier,
        "llmgw.cache": row.cache.value,
        "llmgw.attempts": row.attempts,
        "gen_ai.request.stream": row.stream,
    }
    if row.user:
        attributes["llmgw.user"] = row.user
    if row.tags:
        attributes["llmgw.tags"] = tuple(row.tags.split(","))
    if row.decision is not None:
        attributes["llmgw.route.reason"] = row.decision.reason
    attributes |= _answered(row.model, row.usage, row.cost, row.ttft_us, row.finish_reason, row.error)
    return ReadableSpan(
        name=f"{attributes['gen_ai.operation.name']} {row.model_asked}".rstrip(),
        context=own,
        parent=above,
        resource=resource,
        attributes=attributes,
        kind=SpanKind.SERVER,
        status=_status(row.error if row.status >= 500 else ""),
        start_time=row.started_at,
        end_time=row.started_at + row.latency_us * 1000,
        instrumentation_scope=SCOPE,
    )


def _attempt(
    row: RequestRow, attempt: AttemptRow, above: SpanContext, address: str, resource: Resource
) -> ReadableSpan:
    attributes = _told(row.surface, attempt.provider, attempt.model, attempt.status or 0, attempt.error)
    attributes |= {"llmgw.attempt": attempt.attempt, "llmgw.tier": attempt.tier}
    where = urlsplit(address)
    if where.hostname:
        attributes["server.address"] = where.hostname
        attributes["server.port"] = where.port or (443 if where.scheme == "https" else 80)
    if attempt.upstream_id:
        attributes["gen_ai.response.id"] = attempt.upstream_id
    attributes |= _answered(
        attempt.model, attempt.usage, attempt.cost, attempt.ttft_us, attempt.finish_reason, attempt.error
    )
    return ReadableSpan(
        name=f"{attributes['gen_ai.operation.name']} {attempt.model}",
        context=SpanContext(
            above.trace_id,
            _number(f"span {row.id} {attempt.attempt}", 8),
            is_remote=False,
            trace_flags=SAMPLED,
        ),
        parent=above,
        resource=resource,
        attributes=attributes,
        kind=SpanKind.CLIENT,
        status=_status(attempt.error),
        start_time=attempt.started_at,
        end_time=max(attempt.ended_at or 0, attempt.started_at),
        instrumentation_scope=SCOPE,
    )


def _told(surface: str, provider: str, model: str, status: int, error: str) -> Attributes:
    attributes: Attributes = {"gen_ai.operation.name": conventions.operation(surface)}
    if provider:
        attributes["gen_ai.provider.name"] = conventions.provider(provider)
    if model:
        attributes["gen_ai.request.model"] = model
    if status:
        attributes["http.response.status_code"] = status
    if error:
        attributes["error.type"] = error
    return attributes


def _answered(
    model: str, usage: Usage, cost: int | None, ttft_us: int | None, finish_reason: str, error: str
) -> Attributes:
    """What an answer consumed; an error has no model that answered."""
    attributes: Attributes = {}
    if model and not error:
        attributes["gen_ai.response.model"] = model
    if usage.input_tokens or usage.output_tokens:
        attributes |= {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        }
    if finish_reason:
        attributes["gen_ai.response.finish_reasons"] = (finish_reason,)
    if ttft_us is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = ttft_us / 1e6
    if cost is not None:
        attributes["llmgw.cost_usd"] = cost / NANO
    return attributes


def _status(error: str) -> Status:
    return Status(StatusCode.ERROR, error) if error else Status(StatusCode.UNSET)


def _number(name: str, octets: int) -> int:
    """An id that the same request always has, never 0: what is sent twice is known as the same."""
    return int.from_bytes(blake2b(name.encode(), digest_size=octets).digest()) or 1
