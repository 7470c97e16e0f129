"""The settings by which each known program finds the gateway, as changes to that program's own files.

Nothing here touches a disk: a program is asked which files it wants and what becomes of their text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llmgw.cli import json5

CHAT, MESSAGES, RESPONSES, GEMINI = "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1beta/models"
SERVED = frozenset({CHAT, MESSAGES})
"""The surfaces that this gateway has; a program that speaks another one is not led into a dead end."""

NAME = "llmgw"
CONTEXT_WINDOW, MAX_TOKENS = 128_000, 8_192
"""What programs are told of models whose limits they insist on knowing."""


class Link(NamedTuple):
    """What a program has to know: the gateway's address without a path, a key, the model to start with, and others."""

    url: str
    key: str
    model: str
    models: tuple[str, ...] = ()

    @property
    def offered(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.model, *self.models)))


class Machine(NamedTuple):
    """Whose settings: the user's home, environment and folders."""

    home: Path
    environ: Mapping[str, str]
    state: Path

    def folder(self, variable: str, default: str) -> Path:
        """The folder a variable names, else one under the home."""
        return (
            Path(self.environ[variable]).expanduser() if self.environ.get(variable) else self.home / default
        )


Rewrite = Callable[[str], str]
"""From the text of a file, empty where there is none, to its new text."""


class Program(NamedTuple):
    """One program. ``files`` tells what to change; ``start`` is how it is started afterwards."""

    title: str
    speaks: str
    start: str
    model: str
    files: Callable[[Link, Machine], dict[Path, Rewrite]]
    note: str = ""


def _claude_code(link: Link, machine: Machine) -> dict[Path, Rewrite]:
    env = {"ANTHROPIC_BASE_URL": link.url, "ANTHROPIC_AUTH_TOKEN": link.key}
    if link.model:
        env |= {"ANTHROPIC_MODEL": link.model, "ANTHROPIC_DEFAULT_HAIKU_MODEL": link.model}
    return {machine.folder("CLAUDE_CONFIG_DIR", ".claude") / "settings.json": _merge({"env": env})}


def _codex(link: Link, machine: Machine) -> dict[Path, Rewrite]:
    def rewrite(text: str) -> str:
        import tomlkit

        document = tomlkit.parse(text)
        provider: dict[str, str] = {
            "name": NAME,
            "base_url": f"{link.url}/v1",
            "wire_api": "responses",
            "experimental_bearer_token": link.key,
        }
        head = {"model": link.model, "model_provider": NAME}
        for option in head.keys() & document.keys():
            document[option] = head.pop(option)
        providers = document.setdefault("model_providers", tomlkit.table(is_super_table=True))
        providers[NAME] = tomlkit.item(provider)
        # Options of no table must stand before the first one.
        return (f"{tomlkit.dumps(head)}\n" if head else "") + tomlkit.dumps(document)

    return {machine.folder("CODEX_HOME", ".codex") / "config.toml": rewrite}


def _openclaw(link: Link, machine: Machine) -> dict[Path, Rewrite]:
    def rewrite(text: str) -> str:
        models = [
            {
                "id": model,
                "name": model,
                "reasoning": False,
                "input": ["text", "image"],
                "contextWindow": CONTEXT_WINDOW,
                "maxTokens": MAX_TOKENS,
                "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
            }
            for model in link.offered
        ]
        provider = {
            "baseUrl": f"{link.url}/v1",
            "apiKey": link.key,
            "api": "openai-completions",
            "models": models,
        }
        primary = f"{NAME}/{link.model}"
        defaults: dict[str, Any] = {"model": {"primary": primary}}
        settings = json5.loads(text)
        if _at(settings, "agents", "defaults", "models"):
            # Where this list exists OpenClaw refuses models outside of it.
            defaults["models"] = {f"{NAME}/{model}": {} for model in link.offered}
        return _merge({"models": {"providers": {NAME: provider}}, "agents": {"defaults": defaults}})(text)

    state = machine.folder("OPENCLAW_STATE_DIR", ".openclaw")
    path = machine.environ.get("OPENCLAW_CONFIG_PATH")
    return {Path(path).expanduser() if path else state / "openclaw.json": rewrite}


def _opencode(link: Link, machine: Machine) -> dict[Path, Rewrite]:
    limit = {"context": CONTEXT_WINDOW, "output": MAX_TOKENS}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": NAME,
        "options": {"baseURL": f"{link.url}/v1", "apiKey": link.key},
        "models": {
            model: {"name": model, "tool_call": True, "attachment": True, "limit": limit}
            for model in link.offered
        },
    }
    model = f"{NAME}/{link.model}"
    settings = {
        "$schema": "https://opencode.ai/config.json",
        "provider": {NAME: provider},
        "model": model,
        "small_model": model,
    }
    folder = machine.folder("XDG_CONFIG_HOME", ".config") / "opencode"
    path = machine.environ.get("OPENCODE_CONFIG")
    usual = next((each for each in (folder / "opencode.jsonc",) if each.exists()), folder / "opencode.json")
    return {Path(path).expanduser() if path else usual: _merge(settings)}


def _aider(link: Link, machine: Machine) -> dict[Path, Rewrite]:
    settings = {
        "openai-api-base": f"{link.url}/v1",
        "openai-api-key": link.key,
        "model": f"openai/{link.model}",
        "weak-model": f"openai/{link.model}",
    }
    return {machine.home / ".aider.conf.yml": _lines(settings, ": ")}


def _gemini(link: Link, machine: Machine) -> dict[Path, Rewrite]:
    folder = machine.home / ".gemini"
    env = {"GEMINI_API_KEY": link.key, "GOOGLE_GEMINI_BASE_URL": link.url}
    return {
        folder / ".env": _lines(env, "="),
        folder / "settings.json": _merge({"security": {"auth": {"selectedType": "gemini-api-key"}}}),
    }


def _llm(link: Link, machine: Machine) -> dict[Path, Rewrite]:
    import typer

    chosen = machine.environ.get("LLM_USER_PATH")
    folder = Path(chosen).expanduser() if chosen else Path(typer.get_app_dir("io.datasette.llm"))
    begin, end = f"# {NAME} begin\n", f"# {NAME} end\n"
    entries = "".join(
        f"- model_id: {json.dumps(f'{NAME}/{model}')}\n  model_name: {json.dumps(model)}\n"
        f"  api_base: {json.dumps(f'{link.url}/v1')}\n  api_key_name: {NAME}\n"
        "  supports_tools: true\n  supports_schema: true\n  vision: true\n"
        for model in link.offered
    )

    def rewrite(text: str) -> str:
        rest = re.sub(f"(?ms)^{begin}.*?^{end}", "", text)
        return f"{rest}{'' if rest.endswith(chr(10)) or not rest else chr(10)}{begin}{entries}{end}"

    return {folder / "extra-openai-models.yaml": rewrite, folder / "keys.json": _merge({NAME: link.key})}


def _open_webui(link: Link, machine: Machine) -> dict[Path, Rewrite]:
    env = {"ENABLE_OPENAI_API": "True", "OPENAI_API_BASE_URL": f"{link.url}/v1", "OPENAI_API_KEY": link.key}
    return {machine.state / "open-webui.env": _lines(env, "=")}


PROGRAMS = {
    "claude-code": Program("Claude Code", MESSAGES, "claude", "", _claude_code),
    "codex": Program("Codex", RESPONSES, "codex", "gateway-auto", _codex),
    "openclaw": Program(
        "OpenClaw", CHAT, 'openclaw agent --local --session-id first -m "hello"', "gateway-auto", _openclaw
    ),
    "open-webui": Program(
        "Open WebUI",
        CHAT,
        "set -a; . {file}; open-webui serve",
        "gateway-auto",
        _open_webui,
        "Open WebUI reads these variables at its first start and keeps them; one that has already run is connected"
        " under Admin Panel, Settings, Connections",
    ),
    "aider": Program("aider", CHAT, "aider", "gateway-auto", _aider),
    "opencode": Program("OpenCode", CHAT, "opencode", "gateway-auto", _opencode),
    "gemini-cli": Program("Gemini CLI", GEMINI, "gemini", "gateway-auto", _gemini),
    "llm": Program("llm", CHAT, "llm -m llmgw/{model} hello", "gateway-auto", _llm),
}


def variables(url: str, key: str) -> dict[str, str]:
    """What SDKs and programs read from the environment to find the gateway.

    ``OPENAI_API_BASE`` and ``OPENAI_API_BASE_URL`` are the older names that aider and Open WebUI still use.
    """
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",
        "OPENAI_API_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": key,
    }


def _merge(settings: Mapping[str, Any]) -> Rewrite:
    """Settings laid over a JSON file; tables are merged, everything else is replaced."""

    def rewrite(text: str) -> str:
        return json.dumps(_overlaid(json5.loads(text), settings), indent=2, ensure_ascii=False) + "\n"

    return rewrite


def _overlaid(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, Mapping):
        return above
    return {**below, **{key: _overlaid(below.get(key), value) for key, value in above.items()}}


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _lines(settings: Mapping[str, str], sign: str) -> Rewrite:
    """One setting a line at the left margin, as flat YAML and .env files have them; others stay as they are."""

    def rewrite(text: str) -> str:
        lines = text.splitlines()
        for name, value in settings.items():
            line = f"{name}{sign}{json.dumps(value)}"
            pattern = re.compile(rf"(export\s+)?{re.escape(name)}\s*{sign.strip()}")
            places = [number for number, each in enumerate(lines) if pattern.match(each)]
            if places:
                lines[places[0]] = line
                lines = [each for number, each in enumerate(lines) if number not in places[1:]]
            else:
                lines.append(line)
        return "\n".join(lines) + "\n"

    return rewrite
