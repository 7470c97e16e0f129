"""An endpoint of a configured provider can read prompts for the semantic cache; it is paid for and may fail. # D-14"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.fake_openai import FakeOpenAI
from support.fake_server import Reply, Request, json_reply
from support.semantics import Semantic, semantic_options, willing_judge

from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.scope import Scope, ScopeKind
from llmgw.providers.embedding.static import StaticTable
from llmgw.storage.budgets import Budgets

if TYPE_CHECKING:
    from support.fake_anthropic import FakeAnthropic

__all__ = ["willing_judge"]

ASKED = "How do I reset the password of my account?"
REWORDED = "how can i reset the password of my account"
MODEL = "text-embedding-3-small"


class Embedding(FakeOpenAI):
    """Also makes embeddings, by the static table; ``status`` and ``seconds`` spoil it."""

    status = 200
    seconds = 0.0
    table: StaticTable | None = None

    def other(self, request: Request) -> Reply:
        if request.path != "/v1/embeddings":
            return super().other(request)
        time.sleep(self.seconds)
        if self.status != 200:
            return self.error(self.status)
        table = Embedding.table = Embedding.table or StaticTable.load()
        rows = [
            {"index": at, "embedding": table.embed(text).tolist()}
            for at, text in enumerate(request.json["input"])
        ]
        return json_reply({"data": rows, "model": MODEL, "usage": {"prompt_tokens": 1000}})

    @property
    def embeddings(self) -> list[Request]:
        return [request for request in self.requests if request.path == "/v1/embeddings"]


@pytest.fixture
def openai() -> Iterator[Embedding]:
    with Embedding() as fake:
        yield fake


@pytest.fixture
def gateway(
    tmp_path: Path, openai: Embedding, fake_anthropic: FakeAnthropic, willing_judge: None
) -> Iterator[Semantic]:
    options = semantic_options(embedder=f"openai/{MODEL}")
    with Semantic(tmp_path, openai, fake_anthropic, cache=options) as running:
        yield running


def test_it_is_asked_only_where_something_is_near_and_is_paid_for(
    gateway: Semantic, openai: Embedding
) -> None:
    """A hopeless lookup asks nobody; one that may hit reads both prompts at once, on the caller's account."""
    gateway.ask(ASKED)
    gateway.ask("Who wrote the opera about the flying Dutchman?")
    assert openai.embeddings == []
    assert gateway.ask(REWORDED).headers["x-llmgw-cache"] == "semantic"
    (asked,) = openai.embeddings
    assert sorted(asked.json["input"]) == sorted([ASKED, REWORDED])
    paid = [row for row in gateway.requests() if row["surface"] == "embeddings"]
    assert [(row["model"], row["input_tokens"], row["cost"], row["status"]) for row in paid] == [
        (MODEL, 1000, 20_000, 200)
    ]
    assert paid[0]["key_name"] == "gateway-secret"
    gateway.ask("Please, how could I reset the password of my account?")
    assert len(openai.embeddings[1].json["input"]) == 1


@pytest.mark.parametrize("trouble", ["status", "slow"])
def test_where_it_fails_the_call_goes_upstream(gateway: Semantic, openai: Embedding, trouble: str) -> None:
    """An endpoint that errs or hangs costs a hit and nothing else."""
    gateway.ask(ASKED)
    if trouble == "status":
        openai.status = 500
    else:
        openai.seconds = 2.5
    answer = gateway.ask(REWORDED)
    assert (answer.status_code, answer.headers["x-llmgw-cache"]) == (200, "miss")
    assert len(openai.chats) == 2
    gateway.until(lambda: all(row["state"] != "dispatched" for row in gateway.attempts()))


def test_a_spent_budget_keeps_it_unasked(gateway: Semantic, openai: Embedding) -> None:
    """Where a budget has no room for an embedding none is made."""
    gateway.ask(ASKED)
    with gateway.control as control:
        Budgets(control).set(
            Budget(scope=Scope(ScopeKind.MODEL, MODEL), window=Window.DAY, unit=Unit.MONEY, hard=1)
        )
    answer = gateway.chat(REWORDED)
    assert answer.headers["x-llmgw-cache"] != "semantic"
    assert openai.embeddings == []
