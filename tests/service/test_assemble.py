"""From options, credentials and found servers to upstreams and the plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_ollama import FakeOllama

from llmgw.config.load import effective_config
from llmgw.config.model import Settings
from llmgw.config.paths import locate
from llmgw.config.prices import load_prices
from llmgw.domain.route import Tier
from llmgw.errors import ConfigInvalid
from llmgw.providers.base import Upstream
from llmgw.providers.registry import providers
from llmgw.service.assemble import build_plan, build_upstreams, credential_variables, survey
from llmgw.storage.secrets import Credential

KNOWN = providers()
NOW = 1_790_000_000 * 10**9


def settings(home: Path, text: str = "", **environ: str) -> Settings:
    (home / "llmgw.toml").write_text(text)
    return effective_config(locate(home=home, environ={}), {}, environ)


def found(name: str, *models: str, base_url: str = "") -> Upstream:
    provider = KNOWN[name]
    return Upstream(
        name=name,
        provider=provider,
        base_url=base_url or provider.base_url,
        tier=provider.tier,
        models=models,
    )


def credential(value: str) -> Credential:
    return Credential(value, "$X")


def test_with_nothing_at_all_echo_answers() -> None:
    """Zero configuration on an empty machine still has one upstream, and every virtual name leads somewhere."""
    assembly = build_upstreams(Settings(), KNOWN, {})
    assert [each.name for each in assembly.upstreams] == ["echo"]
    plan, missing = build_plan(Settings(), assembly.upstreams, load_prices(), NOW)
    assert plan.tiers[Tier.LOCAL] == ("echo/echo",)
    assert plan.offers[0].open
    assert missing == ()


def test_what_is_found_is_used(tmp_path: Path) -> None:
    """Configured providers come first, then servers on this machine, then those with a credential; echo is not needed."""
    declared = settings(tmp_path, '[providers.box]\nbase_url = "http://192.168.1.9:8080/v1"\n')
    assembly = build_upstreams(
        declared, KNOWN, {"openai": credential("k")}, [found("ollama", "llama3.2:latest")]
    )
    assert [each.name for each in assembly.upstreams] == ["box", "ollama", "openai"]
    assert assembly.sources == {"openai": "$X"}
    assert assembly.upstreams[2].credential == "k"


@pytest.mark.parametrize(
    ("address", "tier"),
    [
        ("http://127.0.0.1:8080/v1", Tier.LOCAL),
        ("http://192.168.1.9/v1", Tier.LOCAL),
        ("http://localhost:1/v1", Tier.LOCAL),
        ("http://host.docker.internal:11434/v1", Tier.LOCAL),
        ("https://api.example.com/v1", Tier.CHEAP),
        ("https://8.8.8.8/v1", Tier.CHEAP),
    ],
)
def test_a_server_of_ones_own_is_free_only_nearby(tmp_path: Path, address: str, tier: Tier) -> None:
    """An address out on the internet is never taken for local, since local costs nothing. # D-06"""
    declared = settings(tmp_path, f'[providers.box]\nbase_url = "{address}"\n')
    (upstream,) = build_upstreams(declared, KNOWN, {}).upstreams
    assert (upstream.tier, upstream.provider.name) == (tier, "openai_compatible")


def test_every_provider_option_reaches_the_upstream(tmp_path: Path) -> None:
    """What is declared of a provider is what its upstream does. # D-28"""
    text = """
    [providers.work]
    kind = "openai"
    base_url = "http://proxy/v1/"
    tier = "cheap"
    models = ["gpt-a"]
    credential = "${K}"
    timeout = 7
    connect_timeout = 2
    options = {num_ctx = 1}
    [providers.groq]
    enabled = false
    """
    declared = settings(tmp_path, text, K="secret")
    (upstream,) = build_upstreams(declared, KNOWN, {"groq": credential("x")}).upstreams
    assert upstream == Upstream(
        name="work",
        provider=KNOWN["openai"],
        base_url="http://proxy/v1",
        credential="secret",
        tier=Tier.CHEAP,
        models=("gpt-a",),
        closed=True,
        connect_timeout=2,
        timeout=7,
        options={"num_ctx": 1},
    )


def test_a_provider_without_its_credential_is_left_out_aloud(tmp_path: Path) -> None:
    """Requests are not sent where they can only be refused, and the command that helps is named."""
    assembly = build_upstreams(settings(tmp_path, "[providers.openai]\n"), KNOWN, {})
    assert [each.name for each in assembly.upstreams] == ["echo"]
    assert "llmgw provider add openai" in assembly.problems[0]


def test_a_credential_goes_only_where_it_is_meant_to(tmp_path: Path) -> None:
    """Another name at another address does not get OPENAI_API_KEY, only a variable of its own. # B-15"""
    text = """
    [providers.openai]
    [providers.second]
    kind = "openai"
    [providers.elsewhere]
    kind = "openai"
    base_url = "https://elsewhere.example/v1"
    """
    wanted = credential_variables(settings(tmp_path, text), KNOWN)
    assert wanted["openai"] == ("OPENAI_API_KEY",)
    assert wanted["second"] == ("SECOND_API_KEY", "OPENAI_API_KEY")
    assert wanted["elsewhere"] == ("ELSEWHERE_API_KEY",)
    assert wanted["anthropic"] == KNOWN["anthropic"].credentials


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("[providers.opnai]\n", "there is no provider `opnai`", "`openai`"),
        ('[providers.x]\nkind = "antropic"\n', "`providers.x.kind`", "`anthropic`"),
        ("[providers.qqqqqq]\n", "there is no provider", "base_url"),
    ],
)
def test_an_unknown_provider_is_refused_with_a_guess(
    tmp_path: Path, text: str, words: str, hint: str
) -> None:
    """A mistyped kind is an error that names what was probably meant."""
    with pytest.raises(ConfigInvalid) as caught:
        build_upstreams(settings(tmp_path, text), KNOWN, {})
    assert words in caught.value.message
    assert hint in str(caught.value.hint)


def test_a_configured_local_server_learns_its_models(tmp_path: Path) -> None:
    """What discovery knows of a server fills what its table leaves open, and one address counts once."""
    declared = settings(
        tmp_path, "[providers.ollama]\ntimeout = 9\n[providers.mine]\nbase_url = 'http://localhost:1234/v1'\n"
    )
    servers = [found("ollama", "llama3.2:latest"), found("lmstudio", "phi")]
    upstreams = build_upstreams(declared, KNOWN, {}, servers).upstreams
    assert [(each.name, each.models) for each in upstreams] == [
        ("ollama", ("llama3.2:latest",)),
        ("mine", ()),
    ]
    assert upstreams[0].timeout == 9


def test_undeclared_tiers_follow_price() -> None:
    """Local models are the local tier; hosted ones are cheap or premium by what they cost, cheapest first. # D-07"""
    upstreams = build_upstreams(
        Settings(),
        KNOWN,
        {name: credential("k") for name in ("openai", "anthropic", "groq")},
        [found("ollama", "a", "b")],
    ).upstreams
    prices = load_prices()
    plan, _ = build_plan(Settings(), upstreams, prices, NOW)
    assert plan.tiers[Tier.LOCAL] == ("ollama/a", "ollama/b")
    assert "openai/gpt-5.4-nano" in plan.tiers[Tier.CHEAP]
    assert any(name.startswith("groq/") for name in plan.tiers[Tier.CHEAP])
    assert any(name.startswith("anthropic/claude-opus") for name in plan.tiers[Tier.PREMIUM])
    assert not set(plan.tiers[Tier.CHEAP]) & set(plan.tiers[Tier.PREMIUM])


def test_declared_tiers_and_aliases_are_the_plan(tmp_path: Path) -> None:
    """What the file says goes; a target whose provider is not in use is left out and that is said."""
    text = """
    [tiers]
    cheap = ["ollama/a", "grok/x"]
    [models."claude-*"]
    targets = ["ollama/b", "ollma/c"]
    [models.gone]
    targets = ["nowhere/x"]
    """
    declared = settings(tmp_path, text)
    plan, missing = build_plan(declared, [found("ollama", "a", "b")], load_prices(), NOW)
    assert plan.tiers[Tier.CHEAP] == ("ollama/a",)
    assert plan.aliases == {"claude-*": ("ollama/b",)}
    assert len(missing) == 3
    assert any("did you mean `ollama`?" in each for each in missing)


def test_a_survey_asks_the_server_it_was_told_of(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    """LOCAL_LLM_URL at a running server brings its models into the local tier. # D-06"""
    text = f'[providers.ollama]\nbase_url = "{fake_ollama.url}"\n'
    declared = settings(tmp_path, text, LLMGW_DISCOVER="false")
    result = survey(declared, locate(home=tmp_path, environ={}), {})
    assert result.upstreams[0].models
    assert result.plan.tiers[Tier.LOCAL][0].startswith("ollama/")
    assert result.problems == ()
