"""What must hold when a recorded exchange passes the gateway: relayed in its own dialect, or translated from another.

Every check returns what is wrong, in words; an empty list is a pass.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from replay import callers
from replay.asking import read_call
from replay.reading import Answer, Tokens, neutral, read_reply
from replay.recordings import GREETING
from support.gateway import SECRET, upstream

from llmgw.errors import GatewayError
from llmgw.providers.registry import caller_dialect, target_dialect

if TYPE_CHECKING:
    from replay.bench import Bench
    from replay.recordings import Exchange

PATHS = {
    "openai_chat": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "count_tokens": "/v1/messages/count_tokens",
}
EVENT = re.compile(rb".*?(?:\r\n\r\n|\n\n|\r\r)|.+\Z", re.DOTALL)
SAID_IN_ANTHROPIC = {"content_filter": "refusal"}
SAID_IN_OPENAI = {"refusal": "content_filter", "pause": "stop"}


def callers_of(exchange: Exchange) -> list[str]:
    """The dialects whose callers get this exchange translated."""
    return {
        "openai_chat": ["anthropic"],
        "anthropic": ["openai_chat"],
        "ollama": ["openai_chat", "anthropic"],
    }.get(exchange.wire, [])


def relay(bench: Bench, exchange: Exchange, cut: str) -> list[str]:
    """Bytes there and back, status, headers and the ledger's row."""
    bench.replayer.play(exchange, cut)
    path = PATHS[exchange.wire] + (f"?{exchange.query}" if exchange.query else "")
    reply = bench.http.post(
        path, content=exchange.body, headers={**exchange.request_headers, "content-type": "application/json"}
    )
    wrong = _asked(bench, exchange)
    answer = _expected(exchange)
    wrong += _same("status", exchange.status, reply.status_code)
    hidden = _asks_usage(bench, exchange)
    allowed = [exchange.reply, _without_usage(exchange.reply)] if hidden else [exchange.reply]
    if answer.broken and exchange.streamed and not any(reply.content == each for each in allowed):
        # A stream that was cut gets an error event, so that no caller takes it for whole.
        allowed = [each for each in allowed if reply.content.startswith(each) and b'"error"' in reply.content]
        wrong += [] if allowed else ["bytes of a cut stream changed"]
    elif reply.content not in allowed:
        wrong.append(f"bytes: {_first_difference(allowed[-1], reply.content)}")
    wrong += _same("content-type", exchange.content_type, reply.headers.get("content-type"))
    for name, value in exchange.reply_headers.items():
        wrong += _same(name, value, reply.headers.get(name))
    if exchange.wire != "count_tokens":
        wrong += _ledger(bench, exchange, answer)
    return wrong


def translate(bench: Bench, exchange: Exchange, cut: str, caller: str) -> list[str]:
    """Text, calls, reason and usage as the caller's official SDK reads them from the gateway."""
    bench.replayer.play(exchange, cut)
    ask = callers.ask_openai if caller == "openai_chat" else callers.ask_anthropic
    call = _turned(bench, exchange, caller)
    heard = ask(bench, call or _greeting(exchange), stream=exchange.streamed)
    expected = _expected(exchange)
    asked = [] if call is None else _asked_again(bench, exchange)
    if exchange.status >= 400 or expected.broken:
        status = exchange.status if exchange.status >= 400 else None if exchange.streamed else 502
        wrong = _same("error", callers.error_name(caller, status), heard.error)
        wrong += _same_message(exchange, heard.message)
    elif heard.error:
        wrong = [f"the SDK raised {heard.error}: {heard.message}"]
    else:
        wrong = _same_answer(_as_said(expected, caller), heard.answer)
    return asked + wrong + _ledger(bench, exchange, expected)


def _asked_again(bench: Bench, exchange: Exchange) -> list[str]:
    """The call that the upstream saw says all that the recorded one said, in spite of two translations between."""
    seen = read_call(exchange.wire, bench.replayer.requests[0].json)
    return [f"lost {each}" for each in read_call(exchange.wire, exchange.request).lost_in(seen)]


def _asked(bench: Bench, exchange: Exchange) -> list[str]:
    """What the upstream saw: the caller's own bytes, or the same JSON with usage asked for."""
    if len(bench.replayer.requests) != 1:
        return [f"{len(bench.replayer.requests)} calls reached the upstream"]
    seen = bench.replayer.requests[0]
    suffix = "/count_tokens" if exchange.wire == "count_tokens" else ""
    wrong = _same("path", bench.provider.chat_path + suffix, seen.path) + _same(
        "query", exchange.query, seen.query
    )
    if any(SECRET in value for value in seen.headers.values()):
        wrong.append("the gateway's key left")
    for name, value in exchange.request_headers.items():
        wrong += _same(name, value, seen.headers.get(name))
    refused = bench.provider.unsupported | {"max_tokens", "max_completion_tokens"}
    if _asks_usage(bench, exchange):
        options = {**(exchange.request.get("stream_options") or {}), "include_usage": True}
        wrong += _same("request", exchange.request | {"stream_options": options}, seen.json)
    elif not refused & exchange.request.keys():
        wrong += [] if seen.body == exchange.body else ["the request's bytes changed"]
    else:
        kept = {name: value for name, value in exchange.request.items() if name not in refused}
        wrong += _same(
            "request", kept, {name: value for name, value in seen.json.items() if name not in refused}
        )
    return wrong


def _asks_usage(bench: Bench, exchange: Exchange) -> bool:
    """Whether the gateway must ask for usage on its own behalf."""
    asked = (exchange.request.get("stream_options") or {}).get("include_usage")
    return bool(exchange.request.get("stream")) and not asked and bench.provider.stream_usage == "ask"


def _without_usage(stream: bytes) -> bytes:
    """A stream without the events that tell usage and hold no choice."""
    kept = []
    for block in EVENT.findall(stream):
        data = block.removeprefix(b"data:").strip()
        wire = json.loads(data) if block.startswith(b"data:") and data.startswith(b"{") else {}
        if wire.get("choices") or not wire.get("usage") or wire.get("error"):
            kept.append(block)
    return b"".join(kept)


def _expected(exchange: Exchange) -> Answer:
    if exchange.status >= 400 or exchange.wire == "count_tokens":
        return Answer()
    return read_reply(exchange.wire, exchange.provider, exchange.reply, exchange.framing)


def _ledger(bench: Bench, exchange: Exchange, expected: Answer) -> list[str]:
    """The row says what was asked, how it ended and how many tokens it took."""
    rows = bench.rows()
    if len(rows) != 1:
        return [f"the ledger has {len(rows)} rows of one call"]
    row = rows[0]
    wrong = _same("ledger model", exchange.request["model"], row["model"])
    if exchange.status >= 400:
        wrong += _same("ledger status", exchange.status, row["status"])
        return wrong + _same(
            "ledger tokens of a refusal", (0, 0), (row["input_tokens"], row["output_tokens"])
        )
    if expected.broken:
        return wrong + (
            [] if row["error"] or row["estimated"] else ["ledger: a broken answer counts as good"]
        )
    wrong += _same("ledger error", "", row["error"])
    wrong += _same("ledger reason", expected.finish, neutral(row["finish_reason"]))
    if expected.tokens is None or not expected.tokens.taken or not expected.tokens.given:
        if expected.tokens is None:
            wrong += (
                [] if row["estimated"] and row["input_tokens"] else ["ledger: unknown usage is not marked"]
            )
        return wrong
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    wrong += _same("ledger tokens", expected.tokens, Tokens(*(row[name] for name in names)))
    return wrong + _same("ledger estimated", 0, row["estimated"])


def _turned(bench: Bench, exchange: Exchange, caller: str) -> dict[str, Any] | None:
    """The recorded call as a caller of another dialect would make it, None where it cannot be said there."""
    if exchange.wire != "ollama":
        try:
            request = caller_dialect(exchange.wire).parse_request(exchange.body)
            place = upstream("openrouter" if caller == "openai_chat" else caller, "http://unused")
            turned = target_dialect(caller).render_request(request, place, request.model).body
            back = caller_dialect(caller).parse_request(turned)
            target_dialect(exchange.wire).render_request(back, bench.place, request.model)
            return json.loads(turned)
        except GatewayError:
            pass
    return None


def _same_message(exchange: Exchange, heard: str) -> list[str]:
    """The upstream's own words are in what the SDK tells; letters and digits alone, as the SDK quotes them."""
    error = exchange.told.get("error") if exchange.status >= 400 and isinstance(exchange.told, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    if not isinstance(message, str) or _letters(message[:200]) in _letters(heard):
        return []
    return [f"message: expected {message!r:.200}, got {heard!r:.200}"]


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.replace("\\n", "")))


def _greeting(exchange: Exchange) -> dict[str, Any]:
    return {"model": exchange.request["model"], "messages": GREETING, "max_tokens": 1000}


def _as_said(expected: Answer, caller: str) -> Answer:
    """The answer in what the caller's dialect can say of it."""
    calls = expected.calls
    finish = expected.finish or ("tool_calls" if calls else "stop")
    if caller == "anthropic":
        finish = "tool_calls" if finish == "stop" and calls else SAID_IN_ANTHROPIC.get(finish, finish)
        calls = [(name, given if isinstance(given, dict) else {"raw": _text(given)}) for name, given in calls]
    else:
        finish = SAID_IN_OPENAI.get(finish, finish)
    return Answer(expected.text, expected.thinking, calls, finish, expected.tokens)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _same_answer(expected: Answer, heard: Answer) -> list[str]:
    wrong = _same("text", expected.text, heard.text) + _same("thinking", expected.thinking, heard.thinking)
    wrong += _same("calls", expected.calls, heard.calls) + _same("reason", expected.finish, heard.finish)
    return wrong + ([] if expected.tokens is None else _same("usage", expected.tokens, heard.tokens))


def _same(what: str, expected: Any, got: Any) -> list[str]:
    if expected == got:
        return []
    if isinstance(expected, str) and isinstance(got, str) and len(expected) > 80:
        return [f"{what}: {_first_difference(expected, got)}"]
    return [f"{what}: expected {expected!r:.300}, got {got!r:.300}"]


def _first_difference(expected: Any, got: Any) -> str:
    at = next(
        (at for at, (a, b) in enumerate(zip(expected, got, strict=False)) if a != b),
        min(len(expected), len(got)),
    )
    return f"from {at} of {len(expected)}: expected {expected[at : at + 80]!r}, got {got[at : at + 80]!r}"
