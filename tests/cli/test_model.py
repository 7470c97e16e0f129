"""`llmgw model`: what there is, what it costs, the operator's own prices, and a refreshed list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.program import Program, Result

    Model = Callable[..., Result]


@pytest.fixture
def home(llmgw: Program) -> Path:
    """A home with a server on this machine and one elsewhere, both unknown to any price list."""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text(
        '[providers.mine]\nbase_url = "http://127.0.0.1:9/v1"\nmodels = ["tiny"]\n'
        '[providers.theirs]\nbase_url = "https://llm.example.com/v1"\nmodels = ["huge"]\n'
    )
    return llmgw.home


@pytest.fixture
def model(llmgw: Program, home: Path) -> Model:
    """`llmgw model ...` in that home, with credentials for OpenAI and Anthropic in the environment."""
    assert home.exists()
    keys = {"OPENAI_API_KEY": "sk-not-real", "ANTHROPIC_API_KEY": "sk-ant-not-real"}
    return lambda *words: llmgw.run("model", *words, **keys)


def test_list_shows_tier_and_price_of_every_model_in_use(model: Model):
    """Local is free, a strange address is unknown and never zero, a known provider is listed."""
    listed = {each["name"]: each for each in model("list", "--json").json["models"]}
    assert (listed["mine/tiny"]["price"], listed["mine/tiny"]["tier"]) == ("free", "local")
    assert listed["mine/tiny"]["input_nanousd"] == 0
    assert (listed["theirs/huge"]["price"], listed["theirs/huge"]["input_nanousd"]) == ("unknown", None)
    priced = [each for name, each in listed.items() if name.startswith("anthropic/")]
    assert priced
    assert all(each["price"] == "listed" and each["input_nanousd"] > 0 for each in priced)


def test_list_in_a_table(model: Model):
    """People see dollars per million tokens as the provider's page writes them."""
    table = model("list").out
    assert table.splitlines()[0].split()[:5] == ["MODEL", "TIER", "PRICE", "INPUT", "OUTPUT"]
    (line,) = [line for line in table.splitlines() if line.startswith("theirs/huge")]
    assert line.split()[2] == "unknown"


def test_list_can_be_narrowed_and_widened(model: Model):
    """By tier, by provider, and to all that a provider's price list knows."""
    assert model("list", "--tier", "local", "-q").out == "mine/tiny\n"
    few = model("list", "--provider", "openai", "-q").out.split()
    many = model("list", "--provider", "openai", "--all", "-q").out.split()
    assert set(few) < set(many)
    assert "openai/gpt-4o" in many
    assert model("list", "--provider", "nobody").code == 5


def test_show_says_how_sure_a_price_is(model: Model):
    """Long-context rates, source and the day of the last check come with it."""
    shown = model("show", "anthropic/claude-sonnet-4-5", "--json").json
    assert (shown["input_nanousd"], shown["cache_write_1h_usd"]) == (3 * 10**9, "6")
    assert shown["long_context"][0]["above"] == 200_000
    assert shown["source"].startswith("genai-prices")
    assert shown["checked"]
    assert "unknown" in model("show", "theirs/huge").out


def test_a_name_is_understood_as_a_call_would(model: Model):
    """A bare name leads to the provider that offers it; a known provider that is not in use still has prices."""
    assert "anthropic/claude-sonnet-4-5  input=3,output=15" in model("price", "claude-sonnet-4-5").out
    assert model("price", "groq/llama-3.1-8b-instant").out.startswith("groq/llama-3.1-8b-instant  input=0.05")


def test_a_price_is_set_changed_and_forgotten(model: Model, home: Path):
    """The config file keeps it, the exit code says whether a price is known."""
    assert model("price", "theirs/huge").code == 5
    assert model("price", "theirs/huge", "--set", "input=0.05,output=0.40").code == 0
    shown = model("price", "theirs/huge", "--json").json
    assert (shown["price"], shown["input_nanousd"], shown["output_nanousd"]) == (
        "own",
        50_000_000,
        400_000_000,
    )
    assert '[prices."theirs/huge"]' in (home / "llmgw.toml").read_text()
    assert model("price", "theirs/huge", "--set", "cache_read=0.01").out.startswith(
        "theirs/huge  input=0.05,output=0.4,cache_read=0.01"
    )
    assert model("price", "theirs/huge", "--remove").code == 0
    assert model("price", "theirs/huge", "--remove").code == 5
    assert model("price", "theirs/huge").code == 5


def test_a_dry_run_changes_nothing(model: Model, home: Path):
    """The difference is shown, the file stays."""
    before = (home / "llmgw.toml").read_text()
    ran = model("price", "openai/gpt-4o", "--set", "input=1", "-n")
    assert (ran.code, "+input = 1" in ran.err) == (0, True)
    assert (home / "llmgw.toml").read_text() == before


@pytest.mark.parametrize("wrong", ["input", "inptu=1", "input=-1", "input=0.00000005", "input=many"])
def test_a_price_that_makes_no_sense_is_refused(model: Model, home: Path, wrong: str):
    """A slip ends with exit code 2 and leaves the file alone."""
    before = (home / "llmgw.toml").read_text()
    assert model("price", "openai/gpt-4o", "--set", wrong).code == 2
    assert (home / "llmgw.toml").read_text() == before


def test_set_and_remove_exclude_each_other(model: Model):
    """Contradictory options are a usage error."""
    assert model("price", "openai/gpt-4o", "--set", "input=1", "--remove").code == 2


def test_sync_shows_what_changes_and_then_does_it(model: Model, home: Path):
    """A dry run prints the difference; the real run makes the new prices count, for names no other list knows too."""
    source = home / "data.json"
    gpt = {"id": "gpt-4o", "match": {"equals": "gpt-4o"}, "prices": {"input_mtok": 1, "output_mtok": 2}}
    source.write_text(json.dumps([{"id": "openai", "name": "OpenAI", "models": [gpt]}]))
    found = {
        each["name"]: each for each in model("sync", "--from", str(source), "-n", "--json").json["changes"]
    }
    assert found["openai/gpt-4o"]["after"] == "input=1,output=2"
    assert found["openai/gpt-4o"]["before"].startswith("input=2.5,output=10")
    assert found["anthropic/claude-sonnet-4-5"]["change"] == "gone"
    assert not (home / "prices.toml").exists()
    assert model("sync", "--from", str(source)).code == 0
    assert model("price", "openai/gpt-4o").out.startswith("openai/gpt-4o  input=1,output=2  (data.json")
    assert model("sync", "--from", str(source), "--json").json["changes"] == []


def test_sync_from_what_is_no_price_data(model: Model, home: Path):
    """An absent or foreign file is a usage error."""
    assert model("sync", "--from", str(home / "absent.json")).code == 2
    assert model("sync", "--from", str(home / "llmgw.toml")).code == 2
