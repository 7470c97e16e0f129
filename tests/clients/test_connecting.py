"""What `llmgw connect`, `exec` and `env` set up is all that a program needs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.clients import AIDER, aider, claude_code, drive, llm, openclaw, opencode
from support.served import Serve, Served

pytestmark = pytest.mark.clients

QUESTION = "What is the answer?"
CONNECTED = {
    "claude-code": (claude_code, ("claude", "-p")),
    "opencode": (opencode, ("opencode", "run")),
    "openclaw": (openclaw, ("openclaw", "agent", "--local", "--session-id", "first", "-m")),
    "aider": (aider, ("aider", *AIDER)),
    "llm": (llm, ("llm", "-m", "llmgw/gateway-auto")),
}
PYTHON = """
import anthropic, openai
call = {"messages": [{"role": "user", "content": "What is the answer?"}]}
print(openai.OpenAI().chat.completions.create(model="gpt-5.4-mini", **call).choices[0].message.content)
with anthropic.Anthropic().messages.stream(model="claude-sonnet-4-6", max_tokens=50, **call) as stream:
    print(stream.get_final_text())
"""
STARTED: dict[str, tuple[Callable[[], list[Path]], tuple[str, ...]]] = {
    "claude-code": (claude_code, ("claude", "-p", QUESTION)),
    "opencode-anthropic": (opencode, ("opencode", "run", "-m", "anthropic/claude-sonnet-4-5", QUESTION)),
    "aider-openai": (aider, ("aider", "--model", "openai/gpt-5.4-mini", *AIDER, QUESTION)),
    "aider-anthropic": (aider, ("aider", "--model", "anthropic/claude-sonnet-4-6", *AIDER, QUESTION)),
    "llm-openai": (llm, ("llm", "-m", "gpt-4o-mini", QUESTION)),
    "llm-anthropic": (llm, ("llm", "-m", "claude-sonnet-4.6", QUESTION)),
    "sdks": (list, (sys.executable, "-c", PYTHON)),
}


def check(there: Served, key: str) -> None:
    """Each answer of the upstreams is a row under this key, with its tokens."""
    rows = there.rows()
    assert len(rows) == sum(len(fake.chats) for fake in there.fakes.values()) > 0
    for row in rows:
        assert (row["key"], row["status"]) == (key, 200)
        assert (row["usage"]["input_tokens"], row["usage"]["output_tokens"]) == (321, 45)


@pytest.mark.parametrize("program", CONNECTED)
def test_connect(serve: Serve, program: str) -> None:
    """A program that only `llmgw connect` has set up finishes a turn under a key of its own; `--undo` leaves no trace."""
    install, words = CONNECTED[program]
    path = install()
    there = serve("openai", "anthropic")
    connected = there.llmgw("connect", program, "--json")
    assert connected.code == 0, connected.err

    result = drive(there, path, *words, QUESTION)

    assert "The answer is 42." in result.out, result.err
    check(there, program)
    files = [Path(file) for file in connected.json["files"]]
    assert files
    assert all(file.exists() for file in files)
    # Claude Code and OpenClaw write into their settings themselves.
    undone = there.llmgw("connect", program, "--undo", "--yes")
    assert undone.code == 0, undone.err
    assert not any(file.exists() for file in files)


@pytest.mark.parametrize("program", STARTED)
def test_exec(serve: Serve, program: str) -> None:
    """`llmgw exec -- PROGRAM` needs no settings at all."""
    install, words = STARTED[program]
    path = install()
    there = serve("openai", "anthropic")

    result = drive(there, path, sys.executable, "-m", "llmgw", "exec", "--", *words)

    assert "The answer is 42." in result.out, result.err
    check(there, "default")


@pytest.mark.parametrize("program", ["claude-code", "aider-openai", "llm-openai", "sdks"])
def test_env(serve: Serve, program: str) -> None:
    """`eval "$(llmgw env)"` does for a shell what `exec` does for one program."""
    install, words = STARTED[program]
    path = install()
    there = serve("openai", "anthropic")
    script = f'eval "$({sys.executable} -m llmgw env)"; exec "$@"'

    result = drive(there, path, "sh", "-c", script, "sh", *words)

    assert "The answer is 42." in result.out, result.err
    check(there, "default")
