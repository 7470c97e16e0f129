"""What a recorded reply says, read by the providers' own documentation; no line of it comes from the gateway."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

HIDDEN_REASONING = {"gemini", "xai"}
"""Their ``completion_tokens`` leave the reasoning out and their ``total_tokens`` do not."""

NEUTRAL = {
    "content_filter": "content_filter",
    "end_turn": "stop",
    "error": "error",
    "function_call": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "model_length": "length",
    "compaction": "pause",
    "pause": "pause",
    "pause_turn": "pause",
    "refusal": "refusal",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
}
"""Reasons to stop in OpenTelemetry's words; any other means that the model stopped by itself."""


@dataclass
class Tokens:
    """Counts of one answer; ``taken`` and ``given`` hold everything read and written, the others are parts of them."""

    taken: int = 0
    given: int = 0
    read: int = 0
    written: int = 0
    reasoning: int = 0


@dataclass
class Answer:
    """The first choice of a reply; ``finish`` is empty where it gives no reason. Arguments of ``calls`` are decoded, or text where they are no JSON."""

    text: str = ""
    thinking: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str = ""
    tokens: Tokens | None = None
    broken: bool = False


def read_reply(wire: str, provider: str, reply: bytes, framing: str) -> Answer:
    """The answer in a reply with a good status; ``broken`` where it is none, or ends in an error or too early."""
    if framing == "json":
        try:
            body = json.loads(reply)
        except ValueError:
            return Answer(broken=True)
        if not isinstance(body, dict):
            return Answer(broken=True)
        read = {"openai_chat": _chat, "anthropic": _message, "ollama": _line}[wire]
        return read(body, provider)
    if framing == "ndjson":
        return _lines([json.loads(line) for line in reply.decode().splitlines() if line.strip()])
    events = data_of(reply)
    return _chunks(events, provider) if wire == "openai_chat" else _events(events)


def data_of(stream: bytes) -> list[Any]:
    """The decoded ``data`` of a stream's events, ``[DONE]`` as text; an event may span several lines."""
    found = []
    for block in re.split(r"(?:\r\n|\n|\r){2}", stream.decode().removeprefix("\ufeff")):
        lines = [
            line[5:].removeprefix(" ") for line in re.split(r"\r\n|\n|\r", block) if line.startswith("data:")
        ]
        if lines:
            text = "\n".join(lines).strip()
            found.append(text if text == "[DONE]" else json.loads(text))
    return found


def arguments(text: Any) -> Any:
    """A call's arguments decoded; an empty text is an empty object."""
    if not isinstance(text, str):
        return text if text is not None else {}
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except ValueError:
        return text


def _chat(body: Json, provider: str) -> Answer:
    choices = body.get("choices")
    if not choices:
        return Answer(broken=True)
    answer = Answer(tokens=chat_tokens(body.get("usage"), provider))
    _say(answer, choices[0]["message"])
    calls = choices[0]["message"].get("tool_calls") or []
    function = choices[0]["message"].get("function_call")
    for called in [call.get("function") or {} for call in calls] or [function or {}]:
        if called.get("name"):
            answer.calls.append((called["name"], arguments(called.get("arguments"))))
    answer.finish = neutral(choices[0].get("finish_reason"))
    return answer


def _chunks(events: list[Any], provider: str) -> Answer:
    answer = Answer()
    calls: list[list[str]] = []  # id, name, arguments
    places: dict[int, list[str]] = {}
    usage, reason = None, ""
    for event in events:
        if event == "[DONE]":
            continue
        if event.get("error"):
            answer.broken = True
            break
        usage = event.get("usage") or (event.get("x_groq") or {}).get("usage") or usage
        for choice in event.get("choices") or []:
            if choice.get("index"):
                continue
            delta = choice.get("delta") or {}
            _say(answer, delta)
            reason = reason or choice.get("finish_reason") or ""
            legacy = delta.get("function_call")
            for call in delta.get("tool_calls") or ([{"index": 0, "function": legacy}] if legacy else []):
                function = call.get("function") or {}
                place = places.get(call.get("index") or 0)
                if place is None or (function.get("name") and call.get("id") and call["id"] != place[0]):
                    place = [call.get("id") or "", "", ""]
                    places[call.get("index") or 0] = place
                    calls.append(place)
                place[1] = place[1] or function.get("name") or ""
                place[2] += function.get("arguments") or ""
    answer.broken = answer.broken or not (reason or "[DONE]" in events)
    answer.calls = [(name, arguments(text)) for _, name, text in calls if name]
    answer.tokens = chat_tokens(usage, provider)
    answer.finish = neutral(reason)
    return answer


def _say(answer: Answer, message: Json) -> None:
    """Add what a message or a delta of it says."""
    content = message.get("content") or ""
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part.get("type") == "text":
            answer.text += part["text"]
        elif part.get("type") == "thinking":
            answer.thinking += "".join(each.get("text", "") for each in part["thinking"])
    answer.text += message.get("refusal") or ""
    details = [
        each.get("text") or each.get("summary") or "" for each in message.get("reasoning_details") or []
    ]
    plain = message.get("reasoning_content") or message.get("reasoning") or ""
    answer.thinking += plain if isinstance(plain, str) and plain else "".join(details)


def chat_tokens(told: Json | None, provider: str) -> Tokens | None:
    """OpenAI's ``usage``: the parts are in the sums, except where a provider is known to leave them out."""
    if not told:
        return None
    details, wrote = told.get("prompt_tokens_details") or {}, told.get("completion_tokens_details") or {}
    taken, given = told.get("prompt_tokens") or 0, told.get("completion_tokens") or 0
    reasoning = wrote.get("reasoning_tokens") or told.get("reasoning_tokens") or 0
    total = told.get("total_tokens") or taken + given
    if provider == "mistral" and details.get("audio_tokens"):
        taken += details["audio_tokens"]
    elif (provider in HIDDEN_REASONING or "cost_in_usd_ticks" in told) and total > taken + given:
        given = total - taken
        reasoning = reasoning or given - (told.get("completion_tokens") or 0)
    elif provider == "vercel-gateway" and reasoning > given:
        given += reasoning
    if not taken + given:
        return None
    cached = [
        details.get("cached_tokens"),
        told.get("prompt_cache_hit_tokens"),
        told.get("num_cached_tokens"),
    ]
    cached += [told.get("cached_tokens"), told.get("cache_read_input_tokens")]
    read = min(next(filter(None, cached), 0), taken)
    written = details.get("cache_write_tokens") or told.get("cache_creation_input_tokens") or 0
    return Tokens(taken, given, read, min(written, taken - read), min(reasoning, given))


def _message(body: Json, provider: str) -> Answer:
    if not isinstance(body.get("content"), list):
        return Answer(broken=True)
    answer = Answer(tokens=message_tokens(body.get("usage")))
    for block in body["content"]:
        if block["type"] == "text":
            answer.text += block["text"]
        elif block["type"] == "thinking":
            answer.thinking += block["thinking"]
        elif block["type"] == "tool_use":
            answer.calls.append((block["name"], block["input"]))
    answer.finish = neutral(body.get("stop_reason"))
    return answer


def _events(events: list[Json]) -> Answer:
    """A stream's events put together block by block into the message they tell."""
    blocks: dict[int, Json] = {}
    order: list[Json] = []
    usage: Json = {}
    message: Json = {"stop_reason": None}
    for event in events:
        match event["type"]:
            case "message_start":
                usage |= event["message"].get("usage") or {}
            case "content_block_start":
                block = dict(event["content_block"])
                blocks[event["index"]] = block
                order.append(block)
            case "content_block_delta":
                delta, block = event["delta"], blocks.setdefault(event["index"], {})
                for name in ("text", "thinking", "partial_json"):
                    if name in delta:
                        block[name] = block.get(name, "") + delta[name]
            case "message_delta":
                usage |= {name: value for name, value in (event.get("usage") or {}).items() if value}
                message["stop_reason"] = event["delta"].get("stop_reason") or message["stop_reason"]
            case "error":
                return Answer(broken=True)
    for block in order:
        if block.get("partial_json"):
            block["input"] = arguments(block["partial_json"])
    answer = _message(message | {"content": order, "usage": usage}, "")
    answer.broken = not message["stop_reason"]
    return answer


def message_tokens(told: Json | None) -> Tokens | None:
    """Anthropic's ``usage``: what caches read and wrote stands beside ``input_tokens``, compaction in ``iterations``."""
    if not told:
        return None
    rows = [told, *(row for row in told.get("iterations") or [] if row.get("type") == "compaction")]

    def count(name: str) -> int:
        return sum(row.get(name) or 0 for row in rows)

    read, written = count("cache_read_input_tokens"), count("cache_creation_input_tokens")
    thinking = (told.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    tokens = Tokens(count("input_tokens") + read + written, count("output_tokens"), read, written, thinking)
    return tokens if tokens.taken + tokens.given else None


def _line(line: Json, provider: str) -> Answer:
    if "error" in line:
        return Answer(broken=True)
    said = line.get("message") or {}
    calls = [
        (call["function"]["name"], call["function"].get("arguments") or {})
        for call in said.get("tool_calls") or []
    ]
    answer = Answer(said.get("content") or "", said.get("thinking") or "", calls, broken=not line.get("done"))
    if "eval_count" in line or "prompt_eval_count" in line:
        answer.tokens = Tokens(line.get("prompt_eval_count") or 0, line.get("eval_count") or 0)
    reason = line.get("done_reason")
    answer.finish = neutral("tool_calls" if calls and reason != "length" else reason)
    return answer


def _lines(lines: list[Json]) -> Answer:
    parts = [_line(line, "") for line in lines]
    calls = [call for part in parts for call in part.calls]
    reason = "tool_calls" if calls and parts[-1].finish != "length" else parts[-1].finish
    return Answer(
        "".join(part.text for part in parts),
        "".join(part.thinking for part in parts),
        calls,
        reason,
        parts[-1].tokens,
        parts[-1].broken,
    )


def neutral(word: str | None) -> str:
    """OpenTelemetry's word for a reason to stop; empty where none is told."""
    return NEUTRAL.get(word, "stop") if word else ""
