"""Every real program over every surface it speaks finishes a turn and stands in the ledger with the right tokens.

Programs are installed on demand; one command repeats it all: ``pytest -m clients``.
"""

from __future__ import annotations

import pytest
from support.clients import ANTHROPIC_ONLY, CLAUDE, GPT, OPENAI_ONLY, WAYS, Way
from support.served import Serve

pytestmark = pytest.mark.clients

MODELS = {"chat": GPT, "messages": CLAUDE}
OWN = {"chat": "openai", "messages": "anthropic"}
OTHER = {"chat": "anthropic", "messages": "openai"}
ALIASES = {"chat": ANTHROPIC_ONLY, "messages": OPENAI_ONLY}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.mark.parametrize("translated", [False, True], ids=["relayed", "translated"])
def test_a_turn(serve: Serve, way: Way, translated: bool) -> None:
    """The upstream's words are shown, each of its answers is a row with its tokens, and none is missing."""
    path = way.install()
    provider = (OTHER if translated else OWN)[way.surface]
    there = serve(provider, aliases=ALIASES[way.surface] if translated else None)

    result = way.turn(there, path, MODELS[way.surface], "What is the answer?")

    assert "The answer is 42." in result.out, result.err
    assert result.code == 0
    rows = there.rows()
    assert len(rows) == len(there.fakes[provider].chats) > 0
    for row in rows:
        assert (row["surface"], row["provider"], row["status"]) == (way.surface, provider, 200)
        assert row["model"] == MODELS["messages" if provider == "anthropic" else "chat"]
        assert (row["usage"]["input_tokens"], row["usage"]["output_tokens"]) == (321, 45)
        assert not row["usage"]["estimated"]
        assert row["cost_nanousd"] > 0


def test_a_turn_with_nothing_configured(serve: Serve, way: Way) -> None:
    """With no upstream at all the built-in echo serves every program: counted, free, and plainly no model."""
    path = way.install()
    there = serve()

    result = way.turn(there, path, MODELS[way.surface], "Wie heisst die Antwort?")

    assert "Wie heisst die Antwort?" in result.out, result.err
    assert result.code == 0
    for row in there.rows():
        assert (row["surface"], row["provider"], row["status"]) == (way.surface, "echo", 200)
        assert row["usage"]["input_tokens"] > 0
        assert row["cost_nanousd"] == 0
