"""What the documentation promises of calls, against a real gateway with imitated providers."""

from __future__ import annotations

import httpx
import pytest
from support.gateway import RunningGateway, upstream

CHAT = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def gateway(tmp_path, fake_ollama, fake_openai, fake_anthropic):
    """One provider in each tier, an alias that falls back, and a page that may call."""
    upstreams = [
        upstream("ollama", fake_ollama.url, models=("llama3.2",)),
        upstream("groq", fake_openai.url + "/v1", models=("llama-3.1-8b-instant",)),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-5",)),
    ]
    aliases = {"both": ("groq/llama-3.1-8b-instant", "anthropic/claude-sonnet-4-5")}
    origins = ("https://chat.example",)
    with RunningGateway(tmp_path, upstreams, aliases, cors_origins=origins) as running:
        yield running


def ask(gateway: RunningGateway, model: str, **fields) -> httpx.Response:
    body = CHAT | {"model": model} | fields
    return httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=body)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        ("gateway-auto", "ollama/llama3.2"),
        ("gateway-local", "ollama/llama3.2"),
        ("gateway-cheap", "groq/llama-3.1-8b-instant"),
        ("gateway-premium", "anthropic/claude-sonnet-4-5"),
    ],
)
def test_virtual_models_go_to_their_tier(gateway, model, target):
    """A virtual model is listed, and answered by its own tier. # D-04"""
    listed = httpx.get(gateway.url + "/v1/models", headers=gateway.auth).json()["data"]

    assert model in {each["id"] for each in listed}
    assert ask(gateway, model).headers["x-llmgw-target"] == target


@pytest.mark.parametrize("tier", ["local", "cheap", "premium"])
def test_force_tier(gateway, tier):
    """`force_tier` decides the tier whatever the model is; another word is refused. # D-05"""
    assert ask(gateway, "gateway-auto", force_tier=tier).headers["x-llmgw-tier"] == tier
    assert ask(gateway, "gateway-auto", force_tier="bogus").status_code == 400


@pytest.mark.parametrize("how", [{"status": 503}, {"status": 429}, {"status": 401}, {"cut_after": 0}])
def test_the_next_target_answers(gateway, fake_openai, how):
    """A target that fails before the caller has a byte is followed by the next, and both are in the ledger. # D-09"""
    fake_openai.behave(**how)

    answer = ask(gateway, "both", stream="cut_after" in how)

    assert answer.status_code == 200
    assert answer.headers["x-llmgw-target"] == "anthropic/claude-sonnet-4-5"
    assert answer.headers["x-llmgw-fallbacks"] == "1"
    assert [row["provider"] for row in gateway.attempts()] == ["groq", "anthropic"]


def test_a_faulty_request_is_told_at_once(gateway, fake_openai, fake_anthropic):
    """What is wrong with the request itself is not tried elsewhere. # D-09"""
    fake_openai.behave(status=400)

    assert ask(gateway, "both").status_code == 400
    assert not fake_anthropic.chats


def test_the_last_failure_is_the_answer(gateway, fake_openai, fake_anthropic):
    """When no target can, the caller hears of the last one. # D-09"""
    fake_openai.behave(status=503)
    fake_anthropic.behave(status=529)

    assert ask(gateway, "both").status_code == 529


@pytest.mark.parametrize("asked", ["field", "model", "header"])
def test_meta_comes_to_those_who_speak_our_language(gateway, generator, asked):
    """`gateway_meta` has the members that are documented, and comes for a field, a virtual model or a header. # D-01"""
    headers = gateway.auth | ({"x-llmgw-meta": "body"} if asked == "header" else {})
    fields = {"context": {"file_path": "a.py"}} if asked == "field" else {}
    model = "gateway-cheap" if asked == "model" else "llama-3.1-8b-instant"
    body = CHAT | {"model": model} | fields

    answer = httpx.post(gateway.url + "/v1/chat/completions", headers=headers, json=body)

    assert answer.json()["gateway_meta"].keys() == generator.META.keys()
    assert answer.headers["x-llmgw-request-id"] == answer.json()["gateway_meta"]["request_id"]


def test_everybody_elses_answer_is_untouched(gateway):
    """Without a word of ours the body of a relayed answer is the provider's; headers tell the rest."""
    answer = ask(gateway, "llama-3.1-8b-instant")

    assert "gateway_meta" not in answer.json()
    promised = {"request-id", "target", "tier", "cost", "cache", "budget-left"}
    assert {f"x-llmgw-{name}" for name in promised} <= answer.headers.keys()


def test_health_needs_no_key(gateway):
    """`GET /health` tells anybody how the gateway is and names no secret. # D-22"""
    answer = httpx.get(gateway.url + "/health")

    assert answer.status_code == 200
    told = answer.json()
    assert told["status"] == "ok"
    assert told["components"]["ledger"] == "ok"
    assert told["components"]["local_llm"]["default_model"] == "llama3.2"
    assert "sk-upstream" not in answer.text
    assert gateway.token not in answer.text


def test_only_named_pages_may_call(gateway):
    """A browser page may call from an origin that is named, and from no other. # D-30"""

    def allowed(origin: str) -> str | None:
        headers = {"origin": origin, "access-control-request-method": "POST"}
        answer = httpx.options(gateway.url + "/v1/chat/completions", headers=headers)
        return answer.headers.get("access-control-allow-origin")

    assert allowed("https://chat.example") == "https://chat.example"
    assert allowed("https://elsewhere.example") is None
