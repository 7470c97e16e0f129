"""What Claude Code does beyond a plain turn: tools, pictures, counting, searching, going on with a conversation."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from support.clients import CLAUDE, OPENAI_ONLY, claude_code, drive
from support.fake_server import Behaviour
from support.program import Result
from support.served import Serve, Served

pytestmark = pytest.mark.clients

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)


@pytest.fixture(params=["anthropic", "openai"])
def there(request: pytest.FixtureRequest, serve: Serve) -> Served:
    """A gateway in front of Claude's own provider, and one in front of OpenAI alone."""
    claude_code()
    return serve(request.param, aliases=OPENAI_ONLY if request.param == "openai" else None)


def claude(there: Served, *words: str, model: str = CLAUDE, **environ: str) -> Result:
    ours = {"ANTHROPIC_BASE_URL": there.url, "ANTHROPIC_AUTH_TOKEN": there.key}
    return drive(there, claude_code(), "claude", "-p", *words, "--model", model, **ours | environ)


def fake(there: Served) -> Any:
    [only] = there.fakes.values()
    return only


def test_a_tool_reads_a_file(there: Served) -> None:
    """The model's call is carried out, and the file's text is what the next request brings."""
    fake(there).act = ("Read", {"file_path": str(there.project / "hello.py")})
    result = claude(there, "Read hello.py", "--allowedTools", "Read")
    assert "The answer is 42." in result.out, result.err
    first, second = fake(there).chats
    assert b"a file of the project" not in first.body
    assert b"a file of the project" in second.body
    assert [row["finish_reason"] for row in there.rows()] == ["tool_calls", "stop"]


def test_a_tool_that_fails(there: Served) -> None:
    """A tool's error reaches the model as its result, and the turn goes on."""
    fake(there).act = ("Read", {"file_path": str(there.project / "missing.py")})
    result = claude(there, "Read missing.py", "--allowedTools", "Read")
    assert "The answer is 42." in result.out, result.err
    assert b"does not exist" in fake(there).chats[-1].body


def test_a_tool_shows_a_picture(there: Served) -> None:
    """A picture among a tool's results reaches either upstream."""
    picture = there.project / "dot.png"
    picture.write_bytes(PNG)
    fake(there).act = ("Read", {"file_path": str(picture)})
    result = claude(there, "Look at dot.png", "--allowedTools", "Read")
    assert "The answer is 42." in result.out, result.err
    body = fake(there).chats[-1].json
    assert '"image' in json.dumps(body["messages"])
    assert all(row["status"] == 200 for row in there.rows())


def test_a_conversation_goes_on_after_thinking(there: Served) -> None:
    """What the model thought comes back with the next turn and does no harm."""
    fake(there).default = Behaviour(
        text="The answer is 42.", thinking="Let me see.", input_tokens=321, output_tokens=45
    )
    claude(there, "What is the answer?")
    result = claude(there, "--continue", "Are you sure?")
    assert "The answer is 42." in result.out, result.err
    assert b"What is the answer?" in fake(there).chats[-1].body
    rows = there.rows()
    assert [row["status"] for row in rows] == [200] * len(rows)


@pytest.mark.parametrize("model", ["gpt-5-mini", "claude-opus-4-8", "haiku"])
def test_any_model_may_be_asked_for(serve: Serve, model: str) -> None:
    """Claude Code writes other requests for models it does not know, with system messages among the others."""
    claude_code()
    there = serve("openai", aliases=OPENAI_ONLY)
    result = claude(there, "What is the answer?", model=model)
    assert "The answer is 42." in result.out, result.err
    assert {row["status"] for row in there.rows()} == {200}


def test_counting_is_free(there: Served) -> None:
    """`/context` counts with dozens of calls, none of which is a request to a model."""
    result = claude(there, "/context")
    assert "Tokens" in result.out, result.err
    assert fake(there).chats == []
    assert there.rows() == []


def test_its_own_searches_need_its_own_provider(serve: Serve) -> None:
    """Elsewhere a web search is refused in words that reach the model, and the turn goes on."""
    claude_code()
    there = serve("openai", aliases=OPENAI_ONLY)
    fake(there).act = ("WebSearch", {"query": "the answer"})
    result = claude(there, "Search the web", "--allowedTools", "WebSearch")
    assert "The answer is 42." in result.out, result.err
    assert b"runs at its own provider" in fake(there).chats[-1].body
    assert [row["status"] for row in there.rows()] == [200, 400, 200]


def test_it_asks_the_gateway_for_its_models(there: Served) -> None:
    """With discovery switched on Claude Code lists the gateway's models, and the gateway its upstream's."""
    result = claude(
        there,
        "What is the answer?",
        CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY="1",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="",
    )
    assert "The answer is 42." in result.out, result.err
    assert "/v1/models" in {request.path for request in fake(there).requests}


def test_a_wrong_key_is_told(there: Served) -> None:
    """Claude Code understands the refusal, does not try again, and ends with what the gateway says."""
    result = claude(there, "What is the answer?", ANTHROPIC_AUTH_TOKEN="lgw_wrong")
    assert result.code != 0
    assert "this key is not known to the gateway" in result.out
    assert fake(there).chats == []


def test_betas_stay_with_anthropic(there: Served) -> None:
    """Headers that only Anthropic knows reach it, and nobody else."""
    claude(there, "What is the answer?")
    seen = fake(there).chats[-1]
    assert ("claude-code" in seen.headers.get("anthropic-beta", "")) == ("anthropic" in there.fakes)
    assert ("anthropic-version" in seen.headers) == ("anthropic" in there.fakes)
    assert Path(seen.path).name in {"messages", "completions"}
