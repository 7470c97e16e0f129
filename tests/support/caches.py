"""A gateway with caches, between an OpenAI and an Anthropic that count what they are asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
from support.gateway import RunningGateway, upstream

from llmgw.config.caching import Cache, ExactCache, Idempotency, SemanticCache
from llmgw.storage.answers import AnswerStore

if TYPE_CHECKING:
    from pathlib import Path

    from support.fake_anthropic import FakeAnthropic
    from support.fake_openai import FakeOpenAI

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


def options(*, semantic: str = "off", **exact: Any) -> Cache:
    """The caches' options, with the exact one on and changed as told."""
    return Cache(exact=ExactCache(**exact), idempotency=Idempotency(), semantic=SemanticCache(mode=semantic))


class Cached(RunningGateway):
    """``gpt-4o`` is answered by OpenAI, ``claude-x`` by Anthropic."""

    def __init__(self, home: Path, openai: FakeOpenAI, anthropic: FakeAnthropic, **launch: Any) -> None:
        upstreams = [
            upstream("openai", openai.url + "/v1", models=("gpt-4o", "gpt-4o-mini"), tier="cheap"),
            upstream("anthropic", anthropic.url + "/v1", models=("claude-x",), tier="premium"),
        ]
        super().__init__(home, upstreams, **({"cache": options()} | launch))
        self.home = home

    def chat(
        self, text: str = "hi", *, headers: dict[str, str] | None = None, **changes: Any
    ) -> httpx.Response:
        """A call in OpenAI's words."""
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **changes}
        return httpx.post(self.url + CHAT, json=body, headers=self.auth | (headers or {}), timeout=20)

    def message(
        self, text: str = "hi", *, headers: dict[str, str] | None = None, **changes: Any
    ) -> httpx.Response:
        """A call in Anthropic's words."""
        body = {
            "model": "claude-x",
            "max_tokens": 50,
            "messages": [{"role": "user", "content": text}],
            **changes,
        }
        return httpx.post(self.url + MESSAGES, json=body, headers=self.auth | (headers or {}), timeout=20)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(self.url + "/health").json()
        return found

    def store(self) -> AnswerStore:
        """The file of the caches, opened as a command does."""
        return AnswerStore.open(self.home / "cache.db")

    def until_exact(self, seconds: float = 10) -> None:
        """Ask until an answer comes from memory."""
        end = time.monotonic() + seconds
        while self.chat().headers["x-llmgw-cache"] != "exact":
            assert time.monotonic() < end, "it never did"
            time.sleep(0.1)

    def settled(self, entries: int) -> None:
        """Wait until the file holds so many entries."""
        with self.store() as store:
            for _ in range(400):
                if sum(each.entries for each in store.stats()) >= entries:
                    return
                time.sleep(0.01)
        raise AssertionError(f"the file never held {entries} entries")
