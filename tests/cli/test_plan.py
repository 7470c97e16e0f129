"""`llmgw plan`: what another config file would change, before it does."""

from __future__ import annotations

BEFORE = """
[server]
discover = false
secret = "a-very-secret-secret"

[providers.small]
kind = "echo"
models = ["tiny"]
tier = "local"

[providers.big]
kind = "echo"
models = ["huge"]
tier = "premium"

[prices."big/huge"]
input = 5
output = 25
"""
AFTER = (
    BEFORE.replace("output = 25", "output = 15").replace("a-very-secret-secret", "another-secret-secret")
    + """
[models."smart*"]
targets = ["gateway-auto"]

[models.coder]
targets = ["big/huge", "nowhere/else"]

[tiers]
local = ["small/tiny"]
premium = ["small/tiny"]

[[routes]]
key = "ci"
to = ["local"]
"""
)


def test_options_tiers_names_and_prices_are_compared(llmgw, tmp_path):
    """Each change has its two sides; secrets are masked, problems of the new file are told, and nothing is written."""
    llmgw.home.mkdir(parents=True, exist_ok=True)
    (llmgw.home / "llmgw.toml").write_text(BEFORE)
    new = tmp_path / "new.toml"
    new.write_text(AFTER)
    told = llmgw.run("plan", str(new), "--json")
    changes = {(each["kind"], each["name"]): (each["before"], each["after"]) for each in told.json["changes"]}
    assert changes["price", "big/huge"] == (
        "$5.00 in, $25.00 out, per million tokens",
        "$5.00 in, $15.00 out, per million tokens",
    )
    assert changes["tier", "premium"] == ("big/huge", "small/tiny")
    assert changes["name", "gateway-premium"] == ("big/huge", "small/tiny")
    assert changes["name", "coder"] == ("", "big/huge")
    assert "ci" in changes["option", "routes"][1]
    assert ("name", "tiny") not in changes
    assert "very-secret" not in told.out
    assert "nowhere/else" in told.err
    assert (llmgw.home / "llmgw.toml").read_text() == BEFORE


def test_the_same_file_changes_nothing(llmgw):
    """And says so."""
    llmgw.home.mkdir(parents=True, exist_ok=True)
    path = llmgw.home / "llmgw.toml"
    path.write_text(BEFORE)
    told = llmgw.run("plan", str(path), "--json")
    assert told.json["changes"] == []
    assert "nothing would change" in told.err


def test_a_file_that_is_wrong_is_refused(llmgw, tmp_path):
    """With the exit code of a wrong configuration and the line at fault."""
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[server]\nprot = 1\n")
    told = llmgw.run("plan", str(wrong))
    assert (told.code, told.out) == (2, "")
    assert "line 2" in told.err
    assert llmgw.run("plan", str(tmp_path / "missing.toml")).code == 2
