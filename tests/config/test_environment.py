"""Variables of LLM Gateway v2.0, and those that look as if they were options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmgw.config.budgets import daily_budget
from llmgw.config.load import effective_config
from llmgw.config.model import Settings
from llmgw.config.paths import locate
from llmgw.domain.money import NANO
from llmgw.domain.route import Tier
from llmgw.errors import ConfigInvalid


def load(home: Path, **environ: str) -> Settings:
    return effective_config(locate(home=home, environ={}), {}, environ)


@pytest.mark.parametrize(
    ("name", "text", "read", "value"),
    [
        ("GATEWAY_SECRET", "s", lambda s: s.server.secret, "s"),
        ("LOG_LEVEL", "INFO", lambda s: s.server.log_level, "info"),
        ("LOG_LEVEL", "WARN", lambda s: s.server.log_level, "warning"),
        ("LOG_LEVEL", "CRITICAL", lambda s: s.server.log_level, "error"),
        ("LOG_FORMAT", "JSON", lambda s: s.server.log_format, "json"),
        ("LOG_FILE", "/x.log", lambda s: s.server.log_file, "/x.log"),
        ("LOCAL_LLM_ENABLED", "false", lambda s: s.server.discover, False),
        ("LOCAL_LLM_MODEL", "llama3.2:latest", lambda s: s.tiers.local, ("ollama/llama3.2:latest",)),
        ("LOCAL_LLM_URL", "http://h:11434/v1", lambda s: s.providers["ollama"].base_url, "http://h:11434"),
        ("LOCAL_LLM_URL", "http://h:11434/v1", lambda s: s.providers["ollama"].kind, "ollama"),
        ("LOCAL_LLM_URL", "http://h:1234/v1", lambda s: s.providers["local"].base_url, "http://h:1234/v1"),
        ("LOCAL_LLM_URL", "http://h:1234/v1", lambda s: s.providers["local"].tier, Tier.LOCAL),
    ],
)
def test_the_old_variables_take_effect(tmp_path: Path, name: str, text: str, read, value) -> None:
    """Each variable of the original whose feature is here does what it did. # D-28 D-33"""
    settings = load(tmp_path, **{name: text})
    assert read(settings) == value
    assert read(Settings()) != value if name != "LOCAL_LLM_URL" and text != "INFO" else True
    assert any(origin == f"${name}" for origin in settings.origins.values())
    assert settings.notes == ()


def test_a_local_server_with_all_its_variables(tmp_path: Path) -> None:
    """URL, model and key together make one local provider whose model leads the local tier. # D-06"""
    settings = load(
        tmp_path,
        LOCAL_LLM_URL="http://h:8080/v1",
        LOCAL_LLM_MODEL="phi",
        LOCAL_LLM_API_KEY="k",
        LOCAL_LLM_ENABLED="true",
    )
    assert settings.providers["local"].credential == "k"
    assert settings.tiers.local == ("local/phi",)


def test_a_local_server_that_is_switched_off(tmp_path: Path) -> None:
    """LOCAL_LLM_ENABLED=false takes the URL out and stops the search. # D-06"""
    settings = load(tmp_path, LOCAL_LLM_URL="http://h:8080/v1", LOCAL_LLM_ENABLED="false")
    assert settings.providers == {}
    assert settings.server.discover is False


def test_the_old_router_is_a_classifier(tmp_path: Path) -> None:
    """ROUTER_PROVIDER names who is asked for the tier. # D-07"""
    assert load(tmp_path, ROUTER_PROVIDER="groq").router.classifier == "groq"
    assert load(tmp_path).router.classifier == ""


def test_our_own_variable_wins_over_the_old_one(tmp_path: Path) -> None:
    """Where both are set LLMGW_ counts."""
    assert load(tmp_path, GATEWAY_SECRET="old", LLMGW_SECRET="new").server.secret == "new"


@pytest.mark.parametrize(
    "name",
    [
        "SEMANTIC_THRESHOLD",
    ],
)  # fmt: skip
def test_variables_without_a_feature_yet_are_not_swallowed(tmp_path: Path, name: str) -> None:
    """A variable that changes nothing so far is said to. # D-28"""
    (note,) = load(tmp_path, **{name: "1"}).notes
    assert note.startswith(f"{name} is set but not used yet")


def test_the_old_config_file_is_not_read_and_that_is_said(tmp_path: Path) -> None:
    """CONFIG_PATH at a YAML file belongs to the original; at a TOML file it chooses ours. # D-28"""
    (note,) = load(tmp_path, CONFIG_PATH="/app/config.yaml").notes
    assert "not read" in note
    chosen = tmp_path / "other.toml"
    assert locate(environ={"CONFIG_PATH": str(chosen)}).config == chosen


@pytest.mark.parametrize(
    "name", ["LLMGW_SERVER_PROT", "LLMGW_LEDGER_X", "LLMGW_PROVIDERS_X_URL", "LLMGW_MODELS_A"]
)
def test_a_slip_in_a_section_is_an_error(tmp_path: Path, name: str) -> None:
    """A variable that names a section can only have been meant as an option."""
    with pytest.raises(ConfigInvalid, match=name):
        load(tmp_path, **{name: "1"})


def test_a_slip_without_a_section_is_noted(tmp_path: Path) -> None:
    """LLMGW_PROT may be somebody else's, so it is a note with a guess."""
    (note,) = load(tmp_path, LLMGW_PROT="1").notes
    assert "did you mean LLMGW_PORT?" in note


@pytest.mark.parametrize(
    "name",
    [
        "LLMGW_HOME",
        "LLMGW_KEY",
        "LLMGW_URL",
        "LLMGW_ADMIN_KEY",
        "LLMGW_INSECURE_HTTP",
        "LLMGW_CONFIG",
        "LLMGW_NO_INPUT",
        "LLMGW_OPENAI_API_KEY",
        "LLMGW_X_API_KEY_FILE",
    ],
)
def test_variables_of_other_use_are_no_options(tmp_path: Path, name: str) -> None:
    """What locates files, carries keys or steers commands raises neither note nor error."""
    assert load(tmp_path, **{name: "x"}) == Settings()


def test_a_provider_of_the_file_is_found_under_its_spelling(tmp_path: Path) -> None:
    """A name with dashes and capitals is reached by its letters and digits; the longest option is meant."""
    (tmp_path / "llmgw.toml").write_text("[providers.My-Box]\n")
    settings = load(
        tmp_path,
        LLMGW_PROVIDERS_MY_BOX_CONNECT_TIMEOUT="2",
        LLMGW_PROVIDERS_MY_BOX_OPTIONS_NUM_CTX="4096",
        LLMGW_PROVIDERS_OTHER_BASE_URL="http://h",
    )
    assert settings.providers["My-Box"].connect_timeout == 2
    assert settings.providers["My-Box"].options == {"num_ctx": 4096}
    assert settings.providers["other"].base_url == "http://h"


def test_a_wrong_value_names_its_variable(tmp_path: Path) -> None:
    """The message says which variable to mend."""
    with pytest.raises(ConfigInvalid, match="not 'x', the variable LLMGW_PORT"):
        load(tmp_path, LLMGW_PORT="x")


@pytest.mark.parametrize(
    ("environ", "amounts"),
    [
        ({}, None),
        ({"SOFT": "5.0", "MEDIUM": "15.0", "HARD": "50.0"}, (5, 15, 50)),
        ({"HARD": "100"}, (5, 15, 100)),
        ({"HARD": "3"}, (3, 3, 3)),
        ({"SOFT": "20"}, (20, 20, 50)),
        ({"SOFT": "80"}, (80, 80, 80)),
        ({"MEDIUM": "2"}, (2, 2, 50)),
    ],
)
def test_daily_budget_of_the_original(tmp_path: Path, environ: dict[str, str], amounts: Any) -> None:
    """DAILY_BUDGET_* make one budget of everybody; one that is left out takes the original's amount as far as it fits,
    and without any there is none. # D-20"""
    budget = daily_budget(load(tmp_path, **{f"DAILY_BUDGET_{name}": text for name, text in environ.items()}))
    if amounts is None:
        assert budget is None
    else:
        assert budget is not None
        assert (budget.soft, budget.medium, budget.hard) == tuple(amount * NANO for amount in amounts)
        assert (str(budget.scope), budget.window) == ("all", "day")


def test_daily_budget_out_of_order_is_an_error(tmp_path: Path) -> None:
    """A soft mark above the hard one can only be a slip, and is said with the names to change."""
    with pytest.raises(ConfigInvalid, match="daily_soft"):
        daily_budget(load(tmp_path, DAILY_BUDGET_SOFT="9", DAILY_BUDGET_HARD="3"))
