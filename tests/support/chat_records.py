"""Recorded chat completions, and a reading of their JSON that shares no code with the product."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
REASON = "the folder of recorded traffic is not beside this repository"


@dataclass
class Said:
    """What one choice said."""

    text: str = ""
    thinking: str = ""
    refusal: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    finish: str = ""


def records() -> Iterator[tuple[str, dict[str, Any]]]:
    """Provider and record of every recorded exchange whose surface is chat."""
    for path in sorted((DATA / "recorded").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if record.get("surface") == "chat":
                    yield path.name.removesuffix(".jsonl.gz"), record


def plain() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Provider, id and body of every good plain chat completion."""
    for provider, record in records():
        body = record["response_body"]
        if record["status"] != 200 or record["response_type"] != "json" or not isinstance(body, dict):
            continue
        if isinstance(choices := body.get("choices"), list) and choices and "message" in choices[0]:
            yield provider, record["id"], body


def streams() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Provider, id, text and request of every stream; lists of chunks are framed as OpenAI frames them."""
    for provider, record in records():
        body = record["response_body"]
        if record["status"] != 200:
            continue
        request = record.get("request_json") or {}
        if record["response_type"] == "sse" and "data:" in body:
            yield provider, record["id"], body, request
        elif record["response_type"] == "chunks" and all(
            isinstance(c, dict) and "choices" in c for c in body
        ):
            text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in body)
            yield provider, record["id"], text + "data: [DONE]\n\n", request


def chunks_of(text: str) -> list[dict[str, Any]]:
    """The JSON of a stream's data lines."""
    found = (line.strip() for line in re.findall(r"^\s?data: ?(.*)$", text, re.MULTILINE))
    return [json.loads(line) for line in found if line and line != "[DONE]"]


def said_plain(body: dict[str, Any]) -> list[Said]:
    return [_message(choice["message"], choice.get("finish_reason")) for choice in body["choices"]]


def _message(message: dict[str, Any], finish: str | None) -> Said:
    said = Said(finish=finish or "")
    _add(said, message)
    calls = message.get("tool_calls") or []
    for call in calls:
        said.calls.append((call["function"]["name"], call["function"].get("arguments") or ""))
    if (function := message.get("function_call")) and function["name"] and not calls:
        said.calls.append((function["name"], function["arguments"]))
    return said


def said_stream(chunks: list[dict[str, Any]]) -> list[Said]:
    """The choices that a stream adds up to, up to an error inside it."""
    choices: dict[int, Said] = {}
    places: dict[tuple[int, int], tuple[int, str]] = {}
    for chunk in chunks:
        if chunk.get("error"):
            break
        for choice in chunk.get("choices") or []:
            number = choice.get("index", 0)
            said = choices.setdefault(number, Said())
            delta = choice.get("delta") or {}
            _add(said, delta)
            for call in delta.get("tool_calls") or []:
                key = (number, call.get("index", 0))
                function = call.get("function") or {}
                if function.get("name") and (key not in places or call.get("id") != places[key][1]):
                    places[key] = (len(said.calls), call.get("id"))
                    said.calls.append((function["name"], ""))
                place = places[key][0]
                name, arguments = said.calls[place]
                said.calls[place] = (name, arguments + (function.get("arguments") or ""))
            said.finish = said.finish or choice.get("finish_reason") or ""
    return [choices[number] for number in sorted(choices)]


def _add(said: Said, message: dict[str, Any]) -> None:
    said.refusal += message.get("refusal") or ""
    content = message.get("content") or ""
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part["type"] == "text":
            said.text += part["text"]
        elif part["type"] == "thinking":
            said.thinking += "".join(each.get("text", "") for each in part["thinking"])
    plain = message.get("reasoning_content") or message.get("reasoning") or ""
    details = message.get("reasoning_details") or []
    said.thinking += plain or "".join(each.get("text") or each.get("summary") or "" for each in details)


def last_usage(chunks: list[dict[str, Any]]) -> dict[str, Any] | None:
    told = None
    for chunk in chunks:
        told = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or told
    return told


def counts(told: dict[str, Any]) -> tuple[int, int, int, int]:
    """Input, output, cached and reasoning tokens by each provider's published meaning."""
    details, wrote = told.get("prompt_tokens_details") or {}, told.get("completion_tokens_details") or {}
    taken, given = told["prompt_tokens"], told.get("completion_tokens") or 0
    reasoning = wrote.get("reasoning_tokens") or told.get("reasoning_tokens") or 0
    audio = details.get("audio_tokens") or 0
    cached = details.get("cached_tokens") or told.get("num_cached_tokens") or told.get("cached_tokens") or 0
    total = told.get("total_tokens") or taken + given
    if audio > taken:  # Mistral bills sound beside the text
        taken += audio
    if total > taken + given:  # xAI and Gemini leave reasoning out
        reasoning = total - taken - given
        given = total - taken
    elif reasoning > given + 1:  # Vercel's gateway leaves it out of the total too
        given += reasoning
    return taken, given, min(cached, taken), min(reasoning, given)
