"""Requests that differ in anything never share an answer, those that differ in their spelling alone do. # D-13 D-11"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.caches import CHAT, MESSAGES, Cached, options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.fake_anthropic import FakeAnthropic
    from support.fake_openai import FakeOpenAI

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}

OPENAI: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three"},
    ],
}
OPENAI_CHANGES: tuple[dict[str, Any], ...] = (
    {"model": "gpt-4o-mini"},
    {"model": "openai/gpt-4o"},
    {"messages": OPENAI["messages"][1:]},
    {"messages": [{"role": "developer", "content": "Be brief."}, *OPENAI["messages"][1:]]},
    {"messages": [{"role": "system", "content": "Be brief. "}, *OPENAI["messages"][1:]]},
    {"messages": [*OPENAI["messages"][:1], {"role": "user", "content": "Un"}, *OPENAI["messages"][2:]]},
    {
        "messages": [
            *OPENAI["messages"][:2],
            {"role": "assistant", "content": "Deux"},
            *OPENAI["messages"][3:],
        ]
    },
    {"messages": [*OPENAI["messages"][:3], {"role": "user", "content": "three"}]},
    {"messages": [*OPENAI["messages"][:3], {"role": "user", "content": "Three", "name": "ada"}]},
    {"messages": [*OPENAI["messages"][:3], {"role": "user", "content": ["Three"]}]},
    {
        "messages": [
            *OPENAI["messages"][:3],
            {"role": "user", "content": [{"type": "text", "text": "Three"}, PICTURE]},
        ]
    },
    {
        "messages": [
            *OPENAI["messages"][:3],
            {"role": "user", "content": [{"type": "text", "text": "Thr"}, {"type": "text", "text": "ee"}]},
        ]
    },
    {"temperature": 0},
    {"temperature": 0.5},
    {"temperature": 1},
    {"top_p": 0.5},
    {"top_k": 5},
    {"min_p": 0.1},
    {"max_tokens": 100},
    {"max_completion_tokens": 101},
    {"stop": "x"},
    {"stop": ["x", "y"]},
    {"n": 2},
    {"seed": 7},
    {"presence_penalty": 0.5},
    {"frequency_penalty": 0.5},
    {"repetition_penalty": 1.1},
    {"logit_bias": {"50256": -100}},
    {"logit_bias": {"50257": -100}},
    {"logprobs": True},
    {"logprobs": True, "top_logprobs": 2},
    {"response_format": {"type": "json_object"}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "array"}}}},
    {"tools": [TOOL]},
    {"tools": [TOOL], "tool_choice": "required"},
    {"tools": [TOOL], "parallel_tool_calls": False},
    {"functions": [TOOL["function"]]},
    {"reasoning_effort": "low"},
    {"reasoning": {"effort": "low"}},
    {"reasoning": {"max_tokens": 1000}},
    {"thinking": {"type": "enabled"}},
    {"thinking": {"type": "adaptive"}},
    {"enable_thinking": False},
    {"verbosity": "low"},
    {"prediction": {"type": "content", "content": "x"}},
    {"modalities": ["text"]},
    {"web_search_options": {}},
    {"service_tier": "flex"},
    {"safety_settings": [{"category": "x", "threshold": "y"}]},
    {"chat_template_kwargs": {"thinking": True}},
    {"user": "ada"},
    {"metadata": {"session": "1"}},
    {"store": True},
    {"some_new_member": 1},
    {"dialect": "x"},
    {"dialect": "y"},
    {"force_tier": "cheap"},
    {"context": {"file_path": "a.py"}},
    {"context": {"file_path": "b.py"}},
)

ANTHROPIC: dict[str, Any] = {
    "model": "claude-x",
    "max_tokens": 100,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "One"}],
}
CLAUDE_TOOL = {"name": "look", "input_schema": {"type": "object"}}
ANTHROPIC_CHANGES: tuple[dict[str, Any], ...] = (
    {"model": "anthropic/claude-x"},
    {"max_tokens": 101},
    {"system": "Be short."},
    {"system": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
    {"messages": [{"role": "user", "content": "Two"}]},
    {"messages": [{"role": "user", "content": "One"}, {"role": "assistant", "content": "So"}]},
    {"temperature": 0.0},
    {"temperature": 0.3},
    {"top_p": 0.5},
    {"top_k": 5},
    {"stop_sequences": ["x"]},
    {"stop_sequences": ["y"]},
    {"tools": [CLAUDE_TOOL]},
    {"tools": [CLAUDE_TOOL | {"description": "d"}]},
    {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "any"}},
    {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    {"thinking": {"type": "enabled", "budget_tokens": 1025}},
    {"thinking": {"type": "adaptive"}},
    {"thinking": {"type": "disabled"}},
    {"output_config": {"effort": "low"}},
    {"output_config": {"effort": "high"}},
    {"output_config": {"task_budget": 1}},
    {"output_config": {"task_budget": 2}},
    {"metadata": {"user_id": "ada"}},
    {"metadata": {"user_id": "bob"}},
    {"service_tier": "standard_only"},
    {"some_new_member": 1},
    {"context": {"file_path": "a.py"}},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "One", "citations": [1]}]}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "One", "citations": [2]}]}]},
)


@pytest.fixture
def gateway(tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic) -> Iterator[Cached]:
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=options(tools=True)) as running:
        yield running


def post(gateway: Cached, path: str, body: Any, **headers: str) -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {**gateway.auth, "content-type": "application/json", **headers}
    answer = httpx.post(gateway.url + path, content=raw, headers=given, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize(
    ("path", "base", "changes"),
    [(CHAT, OPENAI, OPENAI_CHANGES), (MESSAGES, ANTHROPIC, ANTHROPIC_CHANGES)],
    ids=["openai", "anthropic"],
)
def test_no_two_different_requests_share_an_answer(
    gateway: Cached, path: str, base: dict[str, Any], changes: tuple[dict[str, Any], ...]
) -> None:
    """Each request that differs in one field from all before it reaches the upstream."""
    assert len(changes) >= 30
    for change in ({}, *changes):
        answer = post(gateway, path, base | change)
        assert answer.headers["x-llmgw-cache"] in {"miss", "bypass"}, change


def test_spelling_alone_makes_no_difference(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """Order, white space, escapes, nulls, streaming and marks for prompt caches change nothing about an answer."""
    body = OPENAI | {"temperature": 0.5, "response_format": {"type": "json_object"}}
    post(gateway, CHAT, body)
    backwards = json.dumps(dict(reversed(body.items())), indent=3, ensure_ascii=True).encode()
    marked = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    spellings: tuple[Any, ...] = (
        backwards,
        backwards.replace(b"Three", b"Thr\\u0065e"),
        body | {"stream": True},
        body | {"stream": True, "stream_options": {"include_usage": True}},
        body | {"seed": None},
        body | {"idempotency_key": "k1"},
        body | {"prompt_cache_key": "x", "safety_identifier": "y"},
    )
    for spelling in spellings:
        assert post(gateway, CHAT, spelling).headers["x-llmgw-cache"] == "exact", spelling
    rich = body | {"messages": [{"role": "system", "content": marked}, *OPENAI["messages"][1:]]}
    post(gateway, CHAT, rich)
    unmarked = [{"type": "text", "text": "Be brief."}]
    plain = body | {"messages": [{"role": "system", "content": unmarked}, *OPENAI["messages"][1:]]}
    assert post(gateway, CHAT, plain).headers["x-llmgw-cache"] == "exact"


def test_a_plain_conversation_is_the_same_in_both_dialects(
    gateway: Cached, fake_anthropic: FakeAnthropic
) -> None:
    """What one SDK asked the other is told again, in its own words."""
    told = post(gateway, MESSAGES, ANTHROPIC, **{"anthropic-version": "2023-06-01"}).json()
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "One"}]
    again = post(gateway, CHAT, {"model": "claude-x", "max_tokens": 100, "messages": messages})
    assert again.headers["x-llmgw-cache"] == "exact"
    assert again.json()["choices"][0]["message"]["content"] == told["content"][0]["text"]
    assert len(fake_anthropic.chats) == 1


@pytest.mark.parametrize("header", ["anthropic-beta", "openai-beta"])
def test_headers_that_reach_a_target_are_part_of_the_request(gateway: Cached, header: str) -> None:
    """A beta that a caller switches on may change the answer."""
    post(gateway, MESSAGES, ANTHROPIC)
    assert post(gateway, MESSAGES, ANTHROPIC, **{header: "new"}).headers["x-llmgw-cache"] == "miss"
    assert post(gateway, MESSAGES + "?beta=true", ANTHROPIC).headers["x-llmgw-cache"] == "miss"


@pytest.mark.parametrize(
    "tail", [b'"temperature":0.1,"temperature":0.9', b'"temperature":0.9,"temperature":0.1', b'"top_p":1e999']
)
def test_a_body_with_two_readings_is_not_cached(gateway: Cached, tail: bytes) -> None:
    """Readers may take the first or the last of two equal members, and nobody the same of an endless number."""
    body = json.dumps(OPENAI).encode()[:-1] + b"," + tail + b"}"
    for _ in range(2):
        assert post(gateway, CHAT, body).headers["x-llmgw-cache"] == "bypass"


def test_no_tenant_ever_gets_anothers_answer(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """Three tenants ask the same in each form, streamed and plain, and each pays for its own call."""
    with gateway.control as control:
        tokens = {name: control.create(name, tenant=name)[1] for name in ("ada", "bob", "eve")}
        friend = control.create("friend", tenant="ada", user="another")[1]
    for form in ({}, {"tools": [TOOL]}, {"context": {"a": 1}}):
        for name, token in tokens.items():
            for stream in (False, True):
                answer = post(
                    gateway, CHAT, OPENAI | form | {"stream": stream}, authorization=f"Bearer {token}"
                )
                assert answer.headers["x-llmgw-cache"] == ("exact" if stream else "miss"), (form, name)
        shared = post(gateway, CHAT, OPENAI | form, authorization=f"Bearer {friend}")
        assert shared.headers["x-llmgw-cache"] == "exact"
    assert len(fake_openai.chats) == 9


def test_a_key_gets_no_answer_of_a_target_it_may_not_use(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Two keys of one tenant that reach different targets under one name share nothing."""
    aliases = {"best": ("anthropic/claude-x", "openai/gpt-4o")}
    with Cached(tmp_path, fake_openai, fake_anthropic, aliases=aliases) as gateway:
        with gateway.control as control:
            rich = control.create("rich")[1]
            poor = control.create("poor", models=("cheap/*",))[1]
        body = OPENAI | {"model": "best"}
        post(gateway, CHAT, body, authorization=f"Bearer {rich}")
        answer = post(gateway, CHAT, body, authorization=f"Bearer {poor}")
        assert answer.headers["x-llmgw-cache"] == "miss"
        assert answer.headers["x-llmgw-target"] == "openai/gpt-4o"
