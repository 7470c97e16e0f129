"""Real programs: how each is had, and how it is set up by hand and driven without a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from support.installed import node24, npm, pip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.program import Result
    from support.served import Served

GPT, CLAUDE = "gpt-5.4-mini", "claude-sonnet-4-6"
OPENAI_ONLY = {"*claude-*": f"openai/{GPT}"}
ANTHROPIC_ONLY = {"gpt-*": f"anthropic/{CLAUDE}"}
"""Aliases under which a program's usual models are answered by the other provider."""

QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""What keeps these programs from calling home."""

AIDER = (
    "--yes-always",
    "--dry-run",
    "--no-check-update",
    "--no-show-release-notes",
    "--no-analytics",
    "--no-show-model-warnings",
    "--no-git",
    "--no-pretty",
    "--map-tokens",
    "0",
    "--message",
)


def claude_code() -> list[Path]:
    return [npm("claude-code", "@anthropic-ai/claude-code")]


def opencode() -> list[Path]:
    return [npm("opencode", "opencode-ai")]


def openclaw() -> list[Path]:
    # Under an older Node npm silently takes an empty first version.
    node = node24()
    return [node, npm("openclaw", "openclaw@>=2026.9", node=node)]


def aider() -> list[Path]:
    return [pip("aider", "aider-chat>=0.86")]


def llm() -> list[Path]:
    return [pip("llm", "llm>=0.27", "llm-anthropic")]


def drive(there: Served, path: list[Path], *words: str, **environ: str) -> Result:
    """One headless run of an installed program."""
    return there.run(*words, path=path, **QUIET | environ)


class Way(NamedTuple):
    """One program over one surface; ``turn`` sets it up for a model and lets it finish a turn."""

    surface: str
    install: Callable[[], list[Path]]
    turn: Callable[[Served, list[Path], str, str], Result]


def _claude_code(there: Served, path: list[Path], model: str, prompt: str) -> Result:
    environ = {"ANTHROPIC_BASE_URL": there.url, "ANTHROPIC_API_KEY": there.key}
    return drive(there, path, "claude", "-p", prompt, "--model", model, **environ)


def _opencode(adapter: str) -> Callable[[Served, list[Path], str, str], Result]:
    def turn(there: Served, path: list[Path], model: str, prompt: str) -> Result:
        shown = {
            "name": model,
            "tool_call": True,
            "attachment": True,
            "limit": {"context": 128_000, "output": 8_192},
        }
        options = {"baseURL": f"{there.url}/v1", "apiKey": there.key}
        provider = {"npm": adapter, "name": "gw", "options": options, "models": {model: shown}}
        name = f"gw/{model}"
        settings = {"provider": {"gw": provider}, "model": name, "small_model": name, "share": "disabled"}
        (there.project / "opencode.json").write_text(json.dumps(settings))
        return drive(there, path, "opencode", "run", prompt)

    return turn


def _openclaw(api: str, suffix: str) -> Callable[[Served, list[Path], str, str], Result]:
    def turn(there: Served, path: list[Path], model: str, prompt: str) -> Result:
        shown = {
            "id": model,
            "name": model,
            "reasoning": True,
            "input": ["text", "image"],
            "contextWindow": 128_000,
            "maxTokens": 8_192,
            "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        }
        provider = {"baseUrl": there.url + suffix, "apiKey": there.key, "api": api, "models": [shown]}
        settings = {
            "models": {"mode": "merge", "providers": {"gw": provider}},
            "agents": {"defaults": {"model": {"primary": f"gw/{model}"}, "skipBootstrap": True}},
        }
        place = there.home / ".openclaw" / "openclaw.json"
        place.parent.mkdir()
        place.write_text(json.dumps(settings))
        return drive(there, path, "openclaw", "agent", "--local", "--session-id", "first", "-m", prompt)

    return turn


def _aider(provider: str) -> Callable[[Served, list[Path], str, str], Result]:
    def turn(there: Served, path: list[Path], model: str, prompt: str) -> Result:
        base = there.url + ("/v1" if provider == "openai" else "")
        environ = {f"{provider.upper()}_API_BASE": base, f"{provider.upper()}_API_KEY": there.key}
        return drive(
            there, path, "aider", "--model", f"{provider}/{model}", *AIDER, prompt, "hello.py", **environ
        )

    return turn


def _llm_openai(there: Served, path: list[Path], model: str, prompt: str) -> Result:
    home = there.home / "llm"
    home.mkdir()
    entry = {"model_id": "gw", "model_name": model, "api_base": f"{there.url}/v1", "api_key_name": "gw"}
    (home / "extra-openai-models.yaml").write_text(json.dumps([entry]))
    (home / "keys.json").write_text(json.dumps({"gw": there.key}))
    return drive(there, path, "llm", "-m", "gw", prompt, LLM_USER_PATH=str(home))


def _llm_anthropic(there: Served, path: list[Path], model: str, prompt: str) -> Result:
    name = model.replace("-4-6", "-4.6")
    environ = {"ANTHROPIC_BASE_URL": there.url, "ANTHROPIC_API_KEY": there.key}
    return drive(there, path, "llm", "-m", name, prompt, **environ)


WAYS = {
    "claude-code": Way("messages", claude_code, _claude_code),
    "opencode-openai": Way("chat", opencode, _opencode("@ai-sdk/openai-compatible")),
    "opencode-anthropic": Way("messages", opencode, _opencode("@ai-sdk/anthropic")),
    "openclaw-openai": Way("chat", openclaw, _openclaw("openai-completions", "/v1")),
    "openclaw-anthropic": Way("messages", openclaw, _openclaw("anthropic-messages", "")),
    "aider-openai": Way("chat", aider, _aider("openai")),
    "aider-anthropic": Way("messages", aider, _aider("anthropic")),
    "llm-openai": Way("chat", llm, _llm_openai),
    "llm-anthropic": Way("messages", llm, _llm_anthropic),
}
