"""Recorded exchanges of real providers: requests, replies and streams as they crossed the wire."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
FOLDER = DATA / "recorded"
ANTHROPIC = ("anthropic", "other")
OPENAI = (
    "anthropic",
    "azure",
    "cerebras",
    "crusoe",
    "deepseek",
    "gemini",
    "groq",
    "heroku",
    "huggingface",
    "litellm-proxy",
    "local-openai",
    "mistral",
    "ollama",
    "openai",
    "openrouter",
    "other",
    "perplexity",
    "snowflake",
    "together",
    "vercel-gateway",
    "xai",
    "zai",
)


class Exchange(NamedTuple):
    """One request and its reply; ``request`` is None where the recording has no JSON body."""

    name: str
    request: bytes | None
    status: int
    kind: str
    reply: bytes

    @property
    def streamed(self) -> bool:
        return self.kind == "sse"


def exchange(record: dict[str, Any]) -> Exchange:
    asked, body = record.get("request_json"), record.get("response_body")
    return Exchange(
        name=record["id"],
        request=None if asked is None else json.dumps(asked, ensure_ascii=False).encode(),
        status=record["status"],
        kind=record["response_type"],
        reply=(body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode(),
    )


@cache
def recorded(surface: str, *providers: str) -> tuple[Exchange, ...]:
    """Every exchange of these providers on one surface; the test is skipped where the recordings are absent."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded exchanges are not beside this repository")
    return tuple(_read(surface, providers))


def _read(surface: str, providers: tuple[str, ...]) -> Iterator[Exchange]:
    for provider in providers:
        with gzip.open(FOLDER / f"{provider}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if record.get("surface") == surface:
                    yield exchange(record)


def client_calls(surface: str) -> Iterator[tuple[str, bytes]]:
    """Name and body of the calls that real programs make to one surface, as in ``v1_messages``."""
    paths = sorted((DATA / "client-requests").glob(f"**/*_POST__{surface}.json"))
    if not paths:
        pytest.skip("the recorded calls of programs are not beside this repository")
    for path in paths:
        record = json.loads(path.read_text(encoding="utf-8"))
        yield str(path.parent.name), json.dumps(record["body"], ensure_ascii=False).encode()
