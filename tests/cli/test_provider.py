"""`llmgw provider`, `init` and `doctor`."""

from __future__ import annotations

import json
import re
import socket
import zipfile

import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.program import Program

CANARY = "sk-canary-0123456789abcdef"


def test_a_credential_is_stored_only_where_it_was_asked_to(llmgw: Program) -> None:
    """Without a keyring nothing is written to a plain file unless --store file says so. # B-15"""
    refused = llmgw.run("provider", "add", "openai", "--from-stdin", stdin=CANARY)
    assert refused.code == 1
    assert "--store file" in refused.err
    assert not (llmgw.home / "credentials.toml").exists()
    added = llmgw.run("provider", "add", "openai", "--from-stdin", "--store", "file", stdin=CANARY + "\n")
    assert added.code == 0
    assert (llmgw.home / "credentials.toml").stat().st_mode & 0o777 == 0o600
    (row,) = llmgw.run("provider", "list", "--json").json["providers"]
    assert (row["name"], row["credential"]) == ("openai", str(llmgw.home / "credentials.toml"))
    for result in (refused, added, llmgw.run("provider", "show", "openai"), llmgw.run("provider", "list")):
        assert CANARY not in result.out + result.err


def test_a_credential_is_never_an_argument(llmgw: Program, tmp_path) -> None:
    """It comes from a file, stdin or a hidden prompt; with nobody to ask that is said."""
    (tmp_path / "key").write_text(CANARY)
    assert (
        llmgw.run("provider", "add", "groq", "--from-file", str(tmp_path / "key"), "--store", "file").code
        == 0
    )
    result = llmgw.run("provider", "add", "mistral")
    assert result.code == 2
    assert "--from-stdin" in result.err
    assert llmgw.run("provider", "add", "mistral", CANARY).code == 2
    assert llmgw.run("provider", "add", "mistral", "--from-stdin", "--store", "file", stdin=" \n").code == 2


def test_a_server_of_ones_own_is_added_and_removed(llmgw: Program) -> None:
    """An address makes a provider without a credential; removing it takes its table out again."""
    words = ("--base-url", "http://192.168.1.9:1/v1", "--tier", "local", "--model", "a", "--model", "b")
    assert llmgw.run("provider", "add", "box", *words).code == 0
    (row,) = llmgw.run("provider", "list", "--json").json["providers"]
    assert (row["name"], row["kind"], row["models"], row["tier"]) == ("box", "openai_compatible", 2, "local")
    assert llmgw.run("provider", "remove", "box").code == 2
    assert llmgw.run("provider", "remove", "box", "--yes").code == 0
    assert "box" not in (llmgw.home / "llmgw.toml").read_text()
    assert llmgw.run("provider", "remove", "box", "--yes").code == 5


def test_what_a_variable_holds_stays_in_use(llmgw: Program) -> None:
    """Removing a provider says so when the environment still brings it."""
    result = llmgw.run("provider", "remove", "openai", "--yes", OPENAI_API_KEY=CANARY)
    assert result.code == 0
    assert "still in use, from $OPENAI_API_KEY" in result.err


@pytest.mark.parametrize("verb", ["add", "show", "test"])
def test_an_unknown_provider_is_met_with_a_guess(llmgw: Program, verb: str) -> None:
    """A mistyped name ends with exit code 5 and names what was meant."""
    result = llmgw.run("provider", verb, "opnai")
    assert result.code == 5
    assert "did you mean `openai`?" in result.err


def test_list_shows_what_is_known(llmgw: Program) -> None:
    """--all lists every provider with the variables it would be found by."""
    rows = llmgw.run("provider", "list", "--all", "--json").json["providers"]
    variables = {row["name"]: row["variables"] for row in rows}
    assert variables["openai"] == ["OPENAI_API_KEY"]
    assert {"anthropic", "groq", "ollama", "echo"} <= set(variables)


def test_a_provider_is_proven_by_calling_it(
    llmgw: Program, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, fake_ollama: FakeOllama
) -> None:
    """Credential, plain reply, stream and equal cost are tried for real in every dialect."""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text(f"""
    [providers.one]
    kind = "openai"
    base_url = "{fake_openai.url}/v1"
    credential = "${{K}}"
    models = ["gpt-4o-mini"]
    [providers.two]
    kind = "anthropic"
    base_url = "{fake_anthropic.url}/v1"
    credential = "${{K}}"
    models = ["claude-sonnet-4-6"]
    [providers.three]
    kind = "ollama"
    base_url = "{fake_ollama.url}"
    models = ["llama3.2:latest"]
    """)
    result = llmgw.run("provider", "test", "--json", K=CANARY)
    assert result.code == 0, result.err
    rows = result.json["proofs"]
    assert [row["name"] for row in rows] == ["one", "two", "three"]
    assert all(row["result"] == "ok" and row["costs_agree"] for row in rows)
    assert rows[0]["cost_nanousd"] > 0
    assert rows[2]["cost_nanousd"] == 0
    assert len(fake_openai.requests) == 2
    assert CANARY not in result.out + result.err


@pytest.mark.parametrize(
    ("status", "words"), [(401, "llmgw provider add one"), (404, "--model"), (500, "500")]
)
def test_a_failing_provider_is_named_with_exit_7(
    llmgw: Program, fake_openai: FakeOpenAI, status: int, words: str
) -> None:
    """What the upstream says is shown, with what helps. # B-17"""
    fake_openai.behave(status=status)
    llmgw.home.mkdir()
    text = f'[providers.one]\nkind = "openai"\nbase_url = "{fake_openai.url}/v1"\ncredential = "k"\nmodels = ["gpt-4o-mini"]\n'
    (llmgw.home / "llmgw.toml").write_text(text)
    result = llmgw.run("provider", "test", "one")
    assert result.code == 7
    assert words in result.err
    assert "failed" in result.out


@pytest.mark.parametrize(
    ("plain", "streamed", "words"),
    [
        ({}, {"usage_in": "never"}, "a stream tells no usage"),
        ({"usage_in": "never"}, {}, "a plain reply tells no usage"),
        ({}, {"input_tokens": 99}, "billed differently"),
        ({}, {"cut_after": 2}, "broke off|end marker"),
        ({}, {"error_after": 1, "error": "overloaded"}, "overloaded"),
    ],
)
def test_a_provider_that_bills_or_breaks_oddly_is_found_out(
    llmgw: Program, fake_openai: FakeOpenAI, plain: dict, streamed: dict, words: str
) -> None:
    """A stream without usage, with another price or cut short fails the proof."""
    fake_openai.behave(**plain)
    fake_openai.behave(**streamed)
    llmgw.home.mkdir()
    text = f'[providers.one]\nkind = "openai"\nbase_url = "{fake_openai.url}/v1"\ncredential = "k"\nmodels = ["gpt-4o-mini"]\n'
    (llmgw.home / "llmgw.toml").write_text(text)
    result = llmgw.run("provider", "test")
    assert result.code == 7
    assert re.search(words, result.err)


def test_init_writes_a_file_and_a_key(llmgw: Program) -> None:
    """With nobody to ask, what is found is used: a commented file, a first key and a curl to paste."""
    result = llmgw.run("init", "--no-input", "--port", "9000", "--json")
    assert result.code == 0, result.err
    assert result.json["key"].startswith("lgw_")
    assert llmgw.run("config", "get", "server.port").out == "9000\n"
    assert llmgw.run("config", "check").code == 0
    assert llmgw.run("env", "--json").json["OPENAI_API_KEY"] == result.json["key"]
    assert llmgw.run("init", "--no-input").code == 8
    again = llmgw.run("init", "--no-input", "--force")
    assert again.code == 0
    assert "curl http://127.0.0.1:8000/v1/chat/completions" in again.out


def test_init_takes_a_provider(llmgw: Program) -> None:
    """Each answer is an option; a credential that is found is not asked for."""
    result = llmgw.run(
        "init",
        "--provider",
        "openai",
        "--from-stdin",
        "--store",
        "file",
        "--no-input",
        "--json",
        stdin=CANARY,
    )
    assert result.code == 0, result.err
    assert result.json["stored"] == {"openai": str(llmgw.home / "credentials.toml")}
    assert CANARY not in result.out + result.err + (llmgw.home / "llmgw.toml").read_text()
    found = llmgw.run("init", "--force", "--provider", "groq", "--no-input", "--json", GROQ_API_KEY=CANARY)
    assert found.json["stored"] == {"groq": ""}
    assert llmgw.run("init", "--force", "--provider", "mistral", "--no-input").code == 2
    assert llmgw.run("init", "--force", "--provider", "nobody", "--no-input").code == 2


def test_doctor_finds_nothing_wrong_in_a_new_home(llmgw: Program) -> None:
    """A new installation has warnings at most, each with a hint."""
    result = llmgw.run("doctor", "--json", LLMGW_PORT=str(free_port()))
    assert result.code == 0, result.out
    checks = result.json["checks"]
    assert {
        "python",
        "paths",
        "config",
        "database",
        "clock",
        "prices",
        "port",
        "gateway",
        "credentials",
        "keyring",
    } <= {check["check"] for check in checks}
    assert all(
        check["hint"] for check in checks if check["state"] == "warning" and check["check"] != "config"
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def state_of(llmgw: Program, check: str, *words: str, **environ: str) -> tuple[set[str], int]:
    result = llmgw.run("doctor", "--json", *words, **environ)
    return {each["state"] for each in result.json["checks"] if each["check"] == check}, result.code


def test_doctor_names_a_port_that_is_taken(llmgw: Program) -> None:
    """Somebody else's port fails the check, our own passes. # B-17"""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert state_of(llmgw, "port", LLMGW_PORT=port) == ({"failed"}, 1)
    assert llmgw.run("serve", "--port", "0", "--demo").code == 0
    assert state_of(llmgw, "port") == ({"ok"}, 0)
    assert state_of(llmgw, "gateway") == ({"ok"}, 0)
    assert state_of(llmgw, "database") == ({"ok"}, 0)


def test_doctor_names_a_broken_config(llmgw: Program) -> None:
    """The other checks go on. # B-17"""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text("[server]\nprot = 1\n")
    result = llmgw.run("doctor")
    assert result.code == 1
    assert "✗ config       unknown option `server.prot`" in result.out
    assert "did you mean `server.port`?" in result.out
    assert "keyring" in result.out


def test_doctor_mends_permissions(llmgw: Program) -> None:
    """Files that others may read fail the check until --fix makes them private. # B-15"""
    llmgw.run("provider", "add", "openai", "--from-stdin", "--store", "file", stdin=CANARY)
    (llmgw.home / "credentials.toml").chmod(0o644)
    port = str(free_port())
    assert state_of(llmgw, "permissions", LLMGW_PORT=port)[0] == {"failed"}
    assert state_of(llmgw, "permissions", "--fix", LLMGW_PORT=port)[0] == {"ok"}
    assert (llmgw.home / "credentials.toml").stat().st_mode & 0o777 == 0o600


def test_doctor_reaches_for_upstreams(llmgw: Program, fake_openai: FakeOpenAI) -> None:
    """TCP is tried for every upstream without a call; one that is not there fails the check. # B-17"""
    llmgw.home.mkdir()
    text = f'[providers.one]\nbase_url = "{fake_openai.url}/v1"\nmodels = ["a"]\n[providers.two]\nbase_url = "http://127.0.0.1:9/v1"\nmodels = ["a"]\n'
    (llmgw.home / "llmgw.toml").write_text(text)
    assert state_of(llmgw, "upstream", LLMGW_PORT=str(free_port())) == ({"ok", "failed"}, 1)
    assert fake_openai.requests == []


def test_a_bug_report_holds_no_secret(llmgw: Program) -> None:
    """The bundle has the checks, the options and the log; every planted secret is cut out. # B-15 D-33"""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text(f'[server]\nsecret = "plain-{CANARY[3:]}"\n')
    (llmgw.home / "gateway.log").write_text(
        f"sent Bearer {CANARY}x and plain-{CANARY[3:]} and $OPENAI: odd-credential-777\n"
    )
    llmgw.run("doctor", "--bundle", OPENAI_API_KEY="odd-credential-777", LLMGW_PORT=str(free_port()))
    (path,) = llmgw.home.parent.glob("llmgw-doctor-*.zip")
    assert path.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(path) as bundle:
        texts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert set(texts) == {"checks.json", "version.txt", "llmgw.toml", "gateway.log"}
    assert json.loads(texts["checks.json"])
    assert all("canary" not in text and "odd-credential" not in text for text in texts.values())
    assert str(llmgw.home) not in texts["checks.json"]
