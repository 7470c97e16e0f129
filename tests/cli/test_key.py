"""Keys from the command line."""

import pytest
from support.program import Program


def test_life_of_a_key(llmgw):
    """A key is made, listed, shown without its value, rotated and revoked, with the gateway down."""
    token = llmgw.run(
        "key",
        "create",
        "ci",
        "--models",
        "cheap/*",
        "--tag",
        "nightly",
        "--expires",
        "90d",
        "--plan",
        "pro",
        "-q",
    ).out.strip()
    assert token.startswith("lgw_")
    shown = llmgw.run("key", "show", "ci", "--json")
    assert shown.json["models"] == ["cheap/*"]
    assert shown.json["tags"] == ["nightly"]
    assert shown.json["plan"] == "pro"
    assert shown.json["expires_at"].endswith("Z")
    assert token not in shown.out
    assert llmgw.run("key", "list", "-q").out == "ci\n"
    rotated = llmgw.run("key", "rotate", "ci", "--grace", "24h", "--json").json
    assert rotated["key"] != token
    assert rotated["grace_ends_at"] is not None
    assert llmgw.run("key", "revoke", "ci", "-y").code == 0
    assert llmgw.run("key", "list", "-q").out == ""
    assert llmgw.run("key", "list", "--all", "--json").json["keys"][0]["state"] == "revoked"


def test_the_value_is_on_stdout_and_nothing_else(llmgw):
    """`key create` writes the value to stdout and its words to stderr, so it can be piped."""
    result = llmgw.run("key", "create", "ci")
    assert result.out.startswith("lgw_")
    assert len(result.out.splitlines()) == 1
    assert "shown only now" in result.err


def test_a_key_of_ones_own(llmgw, tmp_path):
    """A value can be brought from stdin or a file, never as an argument; a poor one is refused."""
    assert (
        llmgw.run("key", "create", "a", "--from-stdin", "-q", stdin="my-own-value-0123456789\n").out
        == "my-own-value-0123456789\n"
    )
    (tmp_path / "value").write_text("another-value-0123456789")
    assert llmgw.run("key", "create", "b", "--from-file", str(tmp_path / "value")).code == 0
    assert llmgw.run("key", "create", "c", "--from-stdin", stdin="short").code == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["show", "nobody"], 5),
        (["rotate", "nobody"], 5),
        (["revoke", "nobody", "-y"], 5),
        (["create", "ci"], 8),
        (["create", "no/slash"], 2),
        (["create", "x", "--expires", "soon"], 2),
        (["create", "x", "--expires", "2020-01-01"], 2),
        (["revoke", "ci"], 2),
        (["revoke", "ci", "--no-input"], 2),
    ],
)
def test_exit_codes(llmgw, words, code):
    """Each failure has the exit code of the table, an error and nothing on stdout; danger is not done unasked."""
    llmgw.run("key", "create", "ci")
    result = llmgw.run("key", *words)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("error: ")
    assert llmgw.run("key", "list", "-q").out == "ci\n"


def test_defaults_come_from_the_config(llmgw):
    """[keys.defaults] holds for a new key unless its options say otherwise."""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text('[keys.defaults]\nmodels = ["cheap/*"]\nexpires = "30d"\n')
    made = llmgw.run("key", "create", "a", "--json").json
    assert made["models"] == ["cheap/*"]
    assert made["expires_at"] is not None
    assert llmgw.run("key", "create", "b", "--expires", "never", "--json").json["expires_at"] is None


def test_options_stand_before_or_after(llmgw):
    """Global options mean the same before the command, between its words and after it."""
    llmgw.run("key", "create", "ci")
    outs = {
        llmgw.run(*words).out
        for words in (["-q", "key", "list"], ["key", "-q", "list"], ["key", "list", "-q"])
    }
    assert outs == {"ci\n"}


def test_home_goes_before_the_environment(llmgw, tmp_path):
    """--home puts everything under another folder than LLMGW_HOME."""
    llmgw.run("key", "create", "elsewhere", "--home", str(tmp_path / "other"))
    assert llmgw.run("key", "list", "-q").out == ""
    assert Program(tmp_path / "other").run("key", "list", "-q").out == "elsewhere\n"
