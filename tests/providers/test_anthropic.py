"""The provider Anthropic as data, and its two kinds of credential."""

from __future__ import annotations

from llmgw.providers import registry
from llmgw.providers.anthropic import PROVIDER, is_setup_token


def test_the_provider_is_found_by_its_name():
    """Anthropic is spoken to in its own dialect, with its key header and version."""
    assert registry.provider("anthropic") is PROVIDER
    assert (PROVIDER.dialect, PROVIDER.auth, PROVIDER.chat_path) == ("anthropic", "x-api-key", "/messages")
    assert dict(PROVIDER.headers)["anthropic-version"] == "2023-06-01"
    assert registry.caller_dialect("anthropic") is registry.target_dialect("anthropic")


def test_a_setup_token_is_told_from_a_key():
    """A subscription's token is recognised, so that it is never sent as an API key."""  # D-17
    assert is_setup_token("sk-ant-oat01-abc")
    assert is_setup_token(" sk-ant-oat01-abc\n")
    assert not is_setup_token("sk-ant-api03-abc")
    assert not is_setup_token("")
