"""`llmgw config`."""

from __future__ import annotations

import json
import tomllib

import pytest
from support.program import Program

CANARY = "sk-canary-0123456789abcdef"


def test_show_tells_value_and_origin(llmgw: Program) -> None:
    """Each option is shown with the flag, variable, line or default that it comes from. # D-28"""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text("[server]\nport = 9000\n")
    shown = llmgw.run("config", "show", "--origin", "--json", LLMGW_LOG_LEVEL="debug").json["options"]
    rows = {row["option"]: row for row in shown}
    assert rows["server.port"] == {
        "option": "server.port",
        "value": 9000,
        "origin": f"{llmgw.home}/llmgw.toml line 2",
    }
    assert rows["server.log_level"]["origin"] == "$LLMGW_LOG_LEVEL"
    assert rows["server.host"]["origin"] == "default"
    changed = llmgw.run("config", "show", "--changed", "-q").out.split()
    assert changed == ["server.port", "server.discover"]


def test_set_get_unset(llmgw: Program) -> None:
    """A value that is set can be read back, and is at its default again when it is taken out."""
    assert llmgw.run("config", "set", "server.port", "9000").code == 0
    assert llmgw.run("config", "get", "server.port").out == "9000\n"
    assert llmgw.run("config", "get", "server.port", "--json").json["value"] == 9000
    assert llmgw.run("config", "unset", "server.port").code == 0
    assert llmgw.run("config", "get", "server.port").out == "8000\n"
    assert llmgw.run("config", "unset", "server.port").code == 5


def test_a_dry_run_changes_nothing(llmgw: Program) -> None:
    """-n shows the difference only."""
    result = llmgw.run("config", "set", "-n", "server.port", "9000")
    assert "+port = 9000" in result.out
    assert not (llmgw.home / "llmgw.toml").exists()


@pytest.mark.parametrize("option", ["server.secret", "providers.openai.credential"])
def test_a_secret_is_not_taken_from_the_command_line(llmgw: Program, option: str) -> None:
    """Only a reference is, since arguments are seen by others and stay in histories. # B-15"""
    result = llmgw.run("config", "set", option, CANARY)
    assert result.code == 2
    assert CANARY not in result.out + result.err
    assert llmgw.run("config", "set", option, "${HERE}", HERE="x").code == 0


def test_no_output_holds_a_secret(llmgw: Program) -> None:
    """Wherever a secret comes from, no form of `config` prints it. # B-15"""
    llmgw.home.mkdir()
    text = f'[server]\nsecret = "{CANARY}1"\n[providers.x]\nbase_url = "http://u:{CANARY}2@h/v1"\ncredential = "{CANARY}3"\n'
    (llmgw.home / "llmgw.toml").write_text(text)
    environ = {"OPENAI_API_KEY": CANARY + "4", "GROQ_API_KEY": f"broken {CANARY}5"}
    for words in (
        ["show", "--origin"],
        ["show", "--json"],
        ["check"],
        ["get", "server.secret"],
        ["check", "--json"],
    ):
        result = llmgw.run("config", *words, **environ)
        assert CANARY not in result.out + result.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nprot = 1\n", "did you mean `server.port`?"),
        ("[server]\nport = 'x'\n", "line 2"),
        ("[server\n", "not valid TOML"),
        ('[server]\nsecret = "${NOT_SET}"\n', "NOT_SET is not set"),
        ("[providers.opnai]\n", "did you mean `openai`?"),
    ],
)
@pytest.mark.parametrize("command", [["config", "check"], ["serve"]])
def test_a_mistyped_file_is_refused_with_exit_2(
    llmgw: Program, text: str, words: str, command: list[str]
) -> None:
    """`check` and `serve` both say what is wrong in two lines, and nothing is started. # B-17"""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text(text)
    result = llmgw.run(*command)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err


def test_check_says_what_has_no_effect(llmgw: Program) -> None:
    """Variables of features to come, a YAML file and targets out of use are noted. # D-28"""
    llmgw.run("config", "set", "tiers.cheap", "groq/x")
    result = llmgw.run("config", "check", SEMANTIC_THRESHOLD="0.9", CONFIG_PATH="/app/config.yaml")
    assert result.code == 0
    assert result.out.startswith("ok: ")
    for words in (
        "SEMANTIC_THRESHOLD is set but not used yet",
        "/app/config.yaml, which is not read",
        "`groq/x` is left out",
    ):
        assert words in result.err


def test_path_and_schema(llmgw: Program) -> None:
    """Files can be found by scripts, and an editor can check the file."""
    assert llmgw.run("config", "path", "-q").out.strip() == str(llmgw.home / "llmgw.toml")
    schema = llmgw.run("config", "schema").json
    assert "port" in schema["$defs"]["Server"]["properties"]
    assert json.dumps(schema)


def test_edit_opens_the_editor_and_checks_afterwards(llmgw: Program, tmp_path) -> None:
    """A new file starts as the commented one; what is wrong after editing is said."""
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "[server]\\nport = 7\\n" > "$1"\n')
    editor.chmod(0o755)
    assert llmgw.run("config", "edit", EDITOR=str(editor)).code == 0
    assert tomllib.loads((llmgw.home / "llmgw.toml").read_text())["server"]["port"] == 7
    editor.write_text('#!/bin/sh\nprintf "[server]\\nprot = 7\\n" > "$1"\n')
    assert llmgw.run("config", "edit", VISUAL=str(editor)).code == 2
    assert llmgw.run("config", "edit", EDITOR="/nowhere/editor").code == 5
