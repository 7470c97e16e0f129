"""`llmgw connect`, `env` and `exec`: programs are pointed at the gateway, and back."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from support.program import Program

from llmgw.cli import json5
from llmgw.cli.programs import PROGRAMS, SERVED, Link, Machine

CONNECTABLE = [name for name, program in PROGRAMS.items() if program.speaks in SERVED]

BEFORE = {
    "claude-code": (
        ".claude/settings.json",
        '{"model": "opus", "env": {"FOO": "1", "ANTHROPIC_BASE_URL": "x"}}',
    ),
    "codex": (
        ".codex/config.toml",
        '# mine\nmodel = "gpt-5"\napproval_policy = "never"\n\n[mcp_servers.a]\ncommand = "x"\n',
    ),
    "openclaw": (
        ".openclaw/openclaw.json",
        "{ // mine\n  agents: {defaults: {workspace: '~/w', models: {'a/b': {}}}},\n}\n",
    ),
    "aider": (".aider.conf.yml", "# mine\ndark-mode: true\nmodel: gpt-4o\nread:\n  - a.md\n"),
    "opencode": (".config/opencode/opencode.json", '{"theme": "x", "provider": {"other": {"npm": "y"}}}'),
    "gemini-cli": (".gemini/.env", "# mine\nexport GEMINI_API_KEY=old\nX=1\n"),
    "llm": (".config/io.datasette.llm/extra-openai-models.yaml", "- model_id: mine\n  model_name: x"),
    "open-webui": ("open-webui.env", "X=1\n"),
}


def settings(home: Path, program: str) -> tuple[Path, str]:
    name, text = BEFORE[program]
    return home / name, text


def rewritten(program: str, before: str | None = None, url: str = "http://h:1") -> str:
    """The new text of a program's first file."""
    machine = Machine(Path("/nowhere"), {}, Path("/state"))
    files = PROGRAMS[program].files(Link(url, "lgw_key", PROGRAMS[program].model, ("m1", "m2")), machine)
    return next(iter(files.values()))(BEFORE[program][1] if before is None else before)


@pytest.mark.parametrize("program", CONNECTABLE)
@pytest.mark.parametrize("there", [True, False])
def test_undo_brings_back_every_byte(llmgw: Program, program: str, there: bool) -> None:
    """Connecting twice and undoing leaves each file as it was, mode too, and makes none that was not there. # D-29"""
    path, text = settings(llmgw.home, program)
    if there:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o640)
    for _ in range(1 + there):
        result = llmgw.run("connect", program)
        assert result.code == 0, result.err
    assert path.stat().st_mode & 0o777 == 0o600
    secret = (llmgw.home / "keys" / f"{program}.key").read_text().strip()
    assert secret in "".join(
        each.read_text()
        for each in path.parent.iterdir()
        if each.suffix in {".env", ".json", ".yml", path.suffix}
    )
    assert llmgw.run("connect", program, "--undo").code == 0
    if there:
        assert path.read_text() == text
        assert path.stat().st_mode & 0o777 == 0o640
    else:
        assert not path.exists()


def test_what_is_connected_is_listed(llmgw: Program) -> None:
    """Without a program each one is listed with its state; nothing is left to undo where nothing was done."""
    llmgw.run("connect", "aider")
    connected = {row["program"]: row["connected"] for row in llmgw.run("connect", "--json").json["programs"]}
    assert connected == {name: name == "aider" for name in PROGRAMS}
    assert llmgw.run("connect", "llm", "--undo").code == 5


def test_what_others_wrote_since_is_not_lost_unasked(llmgw: Program) -> None:
    """Undoing over later changes is refused until --yes; also when they came between two connects."""
    path, text = settings(llmgw.home, "aider")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    llmgw.run("connect", "aider")
    path.write_text(path.read_text() + "later: true\n")
    assert llmgw.run("connect", "aider", "--undo").code == 8
    llmgw.run("connect", "aider")
    assert llmgw.run("connect", "aider", "--undo").code == 8
    assert llmgw.run("connect", "aider", "--undo", "--yes").code == 0
    assert path.read_text() == text


def test_print_writes_nothing(llmgw: Program) -> None:
    """--print shows the settings with a placeholder, issues no key and touches no file."""
    result = llmgw.run("connect", "openclaw", "--print")
    assert result.code == 0
    assert "YOUR_KEY" in result.out
    assert not (llmgw.home / ".openclaw").exists()
    assert not (llmgw.home / "llmgw.db").exists()


@pytest.mark.parametrize("program", [name for name in PROGRAMS if name not in CONNECTABLE])
def test_nobody_is_led_into_a_dead_end(llmgw: Program, program: str) -> None:
    """A program whose API is not served is refused, and its settings can still be seen."""
    result = llmgw.run("connect", program)
    assert result.code == 6
    assert PROGRAMS[program].speaks in result.err
    assert llmgw.run("connect", program, "--print").code == 0


@pytest.mark.parametrize("text", ["{broken", "\x00"])
def test_settings_that_cannot_be_read_are_left_alone(llmgw: Program, text: str) -> None:
    """A file that is not understood is never overwritten."""
    path, _ = settings(llmgw.home, "claude-code")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    result = llmgw.run("connect", "claude-code")
    assert result.code == 2
    assert str(path) in result.err
    assert path.read_text() == text


def test_unknown_programs_can_still_be_run(llmgw: Program) -> None:
    """The hint names those that are known, and exec for the others."""
    result = llmgw.run("connect", "emacs")
    assert result.code == 5
    assert "llmgw exec -- emacs" in result.err


def test_claude_code_keeps_its_other_settings() -> None:
    """Address and token stand in `env`, everything else stays."""
    after = json.loads(rewritten("claude-code"))
    assert after["model"] == "opus"
    assert after["env"] == {"FOO": "1", "ANTHROPIC_BASE_URL": "http://h:1", "ANTHROPIC_AUTH_TOKEN": "lgw_key"}


def test_openclaw_gets_a_provider_and_a_primary_model() -> None:
    """The snippet has the shape of its documentation, and its allow-list lets our models in. # D-29"""
    after = json5.loads(rewritten("openclaw"))
    provider = after["models"]["providers"]["llmgw"]
    assert provider["baseUrl"] == "http://h:1/v1"
    assert (provider["apiKey"], provider["api"]) == ("lgw_key", "openai-completions")
    assert [model["id"] for model in provider["models"]] == ["gateway-auto", "m1", "m2"]
    assert set(provider["models"][0]) >= {
        "id",
        "name",
        "reasoning",
        "input",
        "cost",
        "contextWindow",
        "maxTokens",
    }
    defaults = after["agents"]["defaults"]
    assert defaults["model"]["primary"] == "llmgw/gateway-auto"
    assert set(defaults["models"]) == {"a/b", "llmgw/gateway-auto", "llmgw/m1", "llmgw/m2"}
    assert defaults["workspace"] == "~/w"
    assert "models" not in json5.loads(rewritten("openclaw", ""))["agents"]["defaults"]


def test_codex_keeps_comments_and_tables() -> None:
    """Its TOML stays valid and commented, whether or not options were there before."""
    for before in (BEFORE["codex"][1], "[mcp_servers.a]\ncommand = 'x'\n", ""):
        after = tomllib.loads(rewritten("codex", before))
        assert (after["model"], after["model_provider"]) == ("gateway-auto", "llmgw")
        assert after["model_providers"]["llmgw"]["base_url"] == "http://h:1/v1"
        assert ("mcp_servers" in after) is bool(before)
    assert "# mine" in rewritten("codex")


def test_flat_files_are_changed_by_the_line() -> None:
    """YAML and .env files keep what is not ours; a setting stands there once."""
    aider = rewritten("aider").splitlines()
    assert 'model: "openai/gateway-auto"' in aider
    assert {"# mine", "dark-mode: true", "read:", "  - a.md"} <= set(aider)
    assert sum(line.startswith("model:") for line in aider) == 1
    gemini = rewritten("gemini-cli").splitlines()
    assert gemini[:2] == ["# mine", 'GEMINI_API_KEY="lgw_key"']


def test_llm_gets_one_block_however_often() -> None:
    """Its list of models keeps its own entries, and ours stand in it once."""
    once = rewritten("llm")
    assert once.startswith("- model_id: mine\n  model_name: x\n# llmgw begin\n")
    assert once.count("model_id: ") == 4
    assert rewritten("llm", once) == once


def test_every_rewrite_is_stable() -> None:
    """Connecting again changes nothing more."""
    for program in PROGRAMS:
        once = rewritten(program)
        assert rewritten(program, once) == once


def test_env_prints_what_sdks_read(llmgw: Program) -> None:
    """The four variables are there in every syntax, with a key the gateway knows, the same each time."""
    first = llmgw.run("env")
    assert "export OPENAI_BASE_URL=http://127.0.0.1:8000/v1\n" in first.out
    assert "export ANTHROPIC_BASE_URL=http://127.0.0.1:8000\n" in first.out
    assert "issued key `default`" in first.err
    again = llmgw.run("env", "--json").json
    assert f"OPENAI_API_KEY={again['OPENAI_API_KEY']}\n" in first.out
    assert again["ANTHROPIC_AUTH_TOKEN"] == again["OPENAI_API_KEY"]
    assert f"set -gx OPENAI_API_KEY {again['OPENAI_API_KEY']}\n" in llmgw.run("env", "--shell", "fish").out
    assert f"\nOPENAI_API_KEY={again['OPENAI_API_KEY']}\n" in llmgw.run("env", "--shell", "dotenv").out


def test_the_token_kept_on_this_machine_is_private(llmgw: Program) -> None:
    """It lies in a file of its owner's alone. # B-15"""
    llmgw.run("env")
    (path,) = (llmgw.home / "keys").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_that_is_not_kept_here_is_explained(llmgw: Program) -> None:
    """The gateway holds hashes only, so the value of another key, or of a rotated one, must be brought along."""
    llmgw.run("key", "create", "ci")
    result = llmgw.run("env", "--key", "ci")
    assert result.code == 5
    assert "LLMGW_KEY" in result.err
    llmgw.run("env", "--key", "mine")
    llmgw.run("key", "rotate", "mine")
    assert llmgw.run("env", "--key", "mine").code == 5
    llmgw.run("key", "revoke", "mine", "--yes")
    assert "issued key `mine`" in llmgw.run("env", "--key", "mine").err


def test_a_key_may_be_brought_along(llmgw: Program) -> None:
    """LLMGW_KEY is used as it is; a gateway elsewhere needs it."""
    assert llmgw.run("env", "--json", LLMGW_KEY="k").json["OPENAI_API_KEY"] == "k"
    there = llmgw.run("env", "--json", "--url", "https://gw.example/", LLMGW_KEY="k").json
    assert there["ANTHROPIC_BASE_URL"] == "https://gw.example"
    assert llmgw.run("env", "--url", "https://gw.example").code == 2


def test_new_keys_follow_the_configured_defaults(llmgw: Program) -> None:
    """[keys.defaults] holds for a key that is issued on the way, too. # D-28"""
    llmgw.run("config", "set", "keys.defaults.models", "cheap/*")
    llmgw.run("config", "set", "keys.defaults.expires", "90d")
    llmgw.run("env", "--key", "mine")
    key = llmgw.run("key", "show", "mine", "--json").json
    assert key["models"] == ["cheap/*"]
    assert key["expires_at"]


def test_exec_runs_a_program_with_the_key_in_its_environment(llmgw: Program) -> None:
    """The key is not in the arguments, it stands in for a provider's own, and the exit code is the program's."""
    script = (
        'echo "$@"; echo $OPENAI_BASE_URL; test "$OPENAI_API_KEY" = "$ANTHROPIC_API_KEY" || exit 1;'
        ' test -z "$ANTHROPIC_AUTH_TOKEN" || exit 2; exit 7'
    )
    result = llmgw.run(
        "exec", "--", "sh", "-c", script, "sh", "--json", "-q", ANTHROPIC_API_KEY="sk-ant-theirs"
    )
    assert result.code == 7
    assert result.out == "--json -q\nhttp://127.0.0.1:8000/v1\n"
    assert llmgw.run("exec", "--", "no-such-program").code == 5


def test_exec_gives_claude_code_a_token(llmgw: Program) -> None:
    """Claude Code finds the key where it uses it without asking, and no API key beside it."""
    claude = llmgw.home.parent / "claude"
    claude.write_text(
        '#!/bin/sh\ntest -z "$ANTHROPIC_API_KEY" && test "$ANTHROPIC_AUTH_TOKEN" = "$OPENAI_API_KEY"\n'
    )
    claude.chmod(0o755)
    assert llmgw.run("exec", "--", str(claude), ANTHROPIC_API_KEY="sk-ant-theirs").code == 0


def test_the_address_is_one_that_can_be_called(llmgw: Program) -> None:
    """A gateway that listens everywhere is reached at loopback."""
    assert (
        llmgw.run("env", "--json", LLMGW_HOST="0.0.0.0").json["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8000"
    )
    assert llmgw.run("env", "--json", LLMGW_HOST="::1").json["ANTHROPIC_BASE_URL"] == "http://[::1]:8000"


def test_a_running_gateway_is_asked_for_its_address_and_models(llmgw: Program) -> None:
    """What is written is where it really listens and what it really offers."""
    served = llmgw.run("serve", "--port", "0", "--demo", "--json")
    assert served.code == 0, served.err
    url = served.json["url"]
    assert llmgw.run("env", "--json").json["ANTHROPIC_BASE_URL"] == url
    assert llmgw.run("connect", "opencode").code == 0
    settings_ = json.loads((llmgw.home / ".config/opencode/opencode.json").read_text())
    assert "echo" in settings_["provider"]["llmgw"]["models"]
    assert (llmgw.home / "connect" / "opencode.json").exists()
