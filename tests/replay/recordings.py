"""Recorded exchanges as the replay needs them: the call, the reply as bytes, and which provider of ours stands behind."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from llmgw.providers.registry import providers

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "recorded"

WIRES = {
    "chat": "openai_chat",
    "messages": "anthropic",
    "count_tokens": "count_tokens",
    "ollama-chat": "ollama",
}
"""Surfaces that this gateway speaks, by the wire format of both their sides."""

USUAL_TYPES = {
    "sse": "text/event-stream",
    "chunks": "text/event-stream",
    "ndjson": "application/x-ndjson",
    "text": "text/plain",
}
CHUNK_SIZE = re.compile(rb"([0-9a-f]+)\r\n")
GREETING = [{"role": "user", "content": "Héllo 👋"}]
STYLES: tuple[dict[str, Any], ...] = (
    {"ensure_ascii": False, "separators": (",", ":")},
    {"ensure_ascii": True},
    {"ensure_ascii": False, "indent": 1},
)


@dataclass(frozen=True)
class Exchange:
    """One recorded call and its reply; ``kind`` is the provider of the registry that it is replayed as."""

    id: str
    provider: str
    kind: str
    wire: str
    request: dict[str, Any]
    query: str
    request_headers: dict[str, str]
    status: int
    content_type: str
    reply_headers: dict[str, str]
    told: Any
    flags: tuple[str, ...] = field(default=())

    @cached_property
    def reply(self) -> bytes:
        """The reply's bytes; JSON that was stored decoded is written in one of several styles, as servers differ."""
        if isinstance(self.told, str):
            return self.told.encode()
        return json.dumps(self.told, **STYLES[self.number % len(STYLES)]).encode()

    @cached_property
    def body(self) -> bytes:
        """The caller's bytes."""
        return json.dumps(self.request, **STYLES[self.number // 3 % len(STYLES)]).encode()

    @property
    def number(self) -> int:
        """Any number, the same in every run."""
        return crc32(self.id.encode())

    @property
    def streamed(self) -> bool:
        return self.framing != "json"

    @property
    def framing(self) -> str:
        """``sse``, ``ndjson``, or ``json`` for a plain reply."""
        if not isinstance(self.told, str):
            return "json"
        if self.wire == "ollama":
            return "ndjson"
        return "sse" if "data:" in self.told else "json"


@dataclass(frozen=True)
class Unsupported:
    """A record that is not replayed, and why."""

    id: str
    provider: str
    reason: str


def load(folder: Path) -> Iterator[Exchange | Unsupported]:
    """Every record of a folder's files, in order."""
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                record["provider"] = path.name.removesuffix(".jsonl.gz")
                yield read(record)


def read(record: dict[str, Any]) -> Exchange | Unsupported:
    """One record; a recorded reply without its call gets a plausible one."""
    fixture = record["provider"].startswith("fixtures-")
    wire = WIRES.get(record["surface"], "")
    if fixture and wire:
        wire = _fixture_wire(record["response_body"])
    if not wire:
        what = "a fixture of another wire format" if fixture else f"surface {record['surface']}"
        return Unsupported(record["id"], record["provider"], what)
    if record["response_encoding"] == "base64":
        return Unsupported(record["id"], record["provider"], f"reply as {record['response_type']}")
    told, status = record["response_body"], record["status"]
    if not told and record["response_type"] == "sse":
        return Unsupported(record["id"], record["provider"], "a stream that was left before its first byte")
    if record["id"].partition("#")[0].endswith(".httprr"):
        told = _unchunked(told)
    if isinstance(told, list):
        told = _framed(told, wire)
    elif fixture and "error" in told:
        status = 400  # a fixture keeps no status
    name = record["id"].split("packages/")[-1].split("/")[0] if fixture else record["provider"]
    headers = {each.lower(): value for each, value in (record.get("response_headers") or {}).items()}
    return Exchange(
        id=record["id"],
        provider=record["provider"],
        kind=_kind(name, wire),
        wire=wire,
        request=_request(record, wire, streamed=isinstance(told, str) and record["response_type"] != "empty"),
        query="" if wire == "openai_chat" else (record.get("path") or "").partition("?")[2],
        request_headers={
            each: value
            for each, value in (record.get("request_headers") or {}).items()
            if each.startswith(("anthropic-", "openai-"))
        },
        status=status,
        content_type=headers.pop("content-type", "")
        or USUAL_TYPES.get(record["response_type"], "application/json"),
        reply_headers=headers,
        told=told,
        flags=tuple(sorted(record.get("flags") or ())),
    )


def _kind(name: str, wire: str) -> str:
    """The provider of this name if it speaks this wire, else the one for any server that does."""
    wanted = "anthropic" if wire == "count_tokens" else wire
    known = providers().get(name)
    if known is not None and known.dialect == wanted:
        return name
    return "openai_compatible" if wanted == "openai_chat" else wanted


def _fixture_wire(body: Any) -> str:
    """Fixtures of every provider stand under the surface chat, so their shape tells."""
    first = body[0] if isinstance(body, list) and body else body
    if not isinstance(first, dict):
        return ""
    if isinstance(first.get("choices"), list) or "invalid_request_error" in str(first.get("error")):
        return "openai_chat"
    return "anthropic" if first.get("type") in {"message", "message_start"} else ""


def _framed(chunks: list[Any], wire: str) -> str:
    lines = [json.dumps(chunk, ensure_ascii=False) for chunk in chunks]
    if wire == "anthropic":
        ends = [at for at, chunk in enumerate(chunks, 1) if chunk.get("type") == "message_stop"]
        chunks, lines = chunks[: min(ends)], lines[: min(ends)]  # some fixtures hold the next reply as well
        named = zip(chunks, lines, strict=True)
        return "".join(f"event: {chunk.get('type')}\ndata: {line}\n\n" for chunk, line in named)
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"])


def _unchunked(told: Any) -> Any:
    """One recorder stores what it read off the wire, with the sizes of HTTP's chunks among the bytes."""
    if not isinstance(told, str) or not CHUNK_SIZE.match(told.encode()):
        return told
    raw, out = told.encode(), b""
    while found := CHUNK_SIZE.match(raw):
        size = int(found[1], 16)
        out += raw[found.end() :][:size]
        raw = raw[found.end() + size + 2 :]
    return out.decode()


def _request(record: dict[str, Any], wire: str, *, streamed: bool) -> dict[str, Any]:
    deployment = re.search(r"/deployments/([^/]+)/", record.get("path") or "")
    usual: dict[str, Any] = {"model": deployment[1] if deployment else "replayed-model"}
    asked = record.get("request_json")
    if isinstance(asked, dict) and asked:
        return usual | asked  # Azure names the model in its address alone
    usual["messages"] = GREETING
    if wire == "anthropic":
        usual["max_tokens"] = 1000
    return usual | ({"stream": True} if streamed else {})
