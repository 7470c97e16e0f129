"""The folder is the registry: what is in it, and what asking costs."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from llmgw.domain.route import Tier
from llmgw.errors import ConfigInvalid
from llmgw.providers import registry
from llmgw.providers.registry import caller_dialect, provider, providers, target_dialect

WANTED = """anthropic cerebras deepseek echo fireworks gemini groq huggingface lmstudio localai mistral ollama openai
 openai_compatible openrouter perplexity together vllm xai zai"""


def test_every_provider_is_there():
    """Each file of the folder is a provider under its own name."""
    assert set(WANTED.split()) <= set(providers())
    assert all(name == each.name for name, each in providers().items())


@pytest.mark.parametrize("name", sorted(providers()))
def test_a_provider_is_consistent(name):
    """Its dialect exists, a local one is free and sits on loopback, any other has a credential, TLS and a price list."""
    each = provider(name)
    assert target_dialect(each.dialect).name == each.dialect
    assert each.stream_usage in ("ask", "always", "never")
    assert not each.base_url.endswith("/")
    if each.tier is Tier.LOCAL:
        assert not each.price_id
    else:
        assert each.credentials
        assert each.base_url.startswith("https://")
        assert each.price_id
    assert each.max_tokens_field not in each.unsupported
    assert all(address.startswith("http://127.0.0.1:") for address in each.probes)


def test_dialects_speak_to_both_sides():
    """OpenAI's and Anthropic's dialects serve callers and upstreams, Ollama's upstreams alone."""
    assert caller_dialect("openai_chat").name == target_dialect("openai_chat").name == "openai_chat"
    assert caller_dialect("anthropic").name == target_dialect("anthropic").name == "anthropic"
    assert target_dialect("ollama").name == "ollama"


def test_unknown_names_are_refused_with_the_known_ones():
    """A wrong name is answered with those there are."""
    with pytest.raises(ConfigInvalid) as caught:
        provider("openia")
    assert "openai" in caught.value.hint
    for ask in (caller_dialect, target_dialect):
        with pytest.raises(ConfigInvalid, match="no dialect 'klingon'"):
            ask("klingon")


def test_a_package_may_bring_a_provider(monkeypatch):
    """An entry point adds a provider; anything else under that group is refused by name."""
    good = EntryPoint("deepseek", "llmgw.providers.deepseek:PROVIDER", "llmgw.providers")
    monkeypatch.setattr(registry, "entry_points", lambda group: [good])
    providers.cache_clear()
    assert providers()["deepseek"].title == "DeepSeek"
    bad = EntryPoint("odd", "llmgw.domain.route:Tier", "llmgw.providers")
    monkeypatch.setattr(registry, "entry_points", lambda group: [bad])
    providers.cache_clear()
    with pytest.raises(ConfigInvalid, match="'odd' is not a Provider"):
        providers()
    monkeypatch.undo()
    providers.cache_clear()


def test_importing_the_registry_imports_no_dialect_and_no_transport():
    """Nothing dear is loaded until it is asked for."""
    code = (
        "import sys, llmgw.providers.registry as r;"
        "assert not [m for m in sys.modules if 'dialects' in m or 'pyreqwest' in m];"
        "r.target_dialect('openai_chat');"
        "assert 'pyreqwest' not in sys.modules and 'llmgw.providers.dialects.anthropic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
