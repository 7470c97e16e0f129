"""A request that is too vague for any model is asked back at no cost, if the owner wants it. # D-08"""

from __future__ import annotations

from pathlib import Path

import anthropic
import httpx
import openai
import pytest
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

from llmgw.rules.tiering.options import Options


def gateway_of(home: Path, fake: FakeOpenAI, **options: bool) -> RunningGateway:
    upstreams = [upstream("openai", fake.url + "/v1", models=("gpt-4o-mini",))]
    return RunningGateway(home, upstreams, router=Options(**options))


@pytest.mark.parametrize("stream", [False, True])
def test_vague_is_asked_back(stream: bool, tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """Both SDKs read a question in an answer with status 200; no provider is asked, and the ledger has a row of no cost."""
    with gateway_of(tmp_path, fake_openai, clarify=True) as gateway:
        with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=0) as client:
            answer = client.chat.completions.create(
                model="gateway-auto", messages=[{"role": "user", "content": "fix"}], stream=stream
            )
            said = (
                "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
                if stream
                else answer.choices[0].message.content
            )
        assert said.endswith("?")
        with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token, max_retries=0) as client:
            messages = [{"role": "user", "content": "hilf mir bitte"}]
            if stream:
                with client.messages.stream(model="gateway-auto", max_tokens=9, messages=messages) as events:
                    said = events.get_final_text()
            else:
                answer = client.messages.create(model="gateway-auto", max_tokens=9, messages=messages)
                said = answer.content[0].text
        assert said.endswith("?")
        rows = gateway.requests()
        assert [(row["status"], row["cost"], row["attempts"]) for row in rows] == [(200, 0, 0)] * 2
        assert {row["reason"] for row in gateway._rows("SELECT * FROM decisions")} == {
            "too vague for any model: asked back"
        }
    assert fake_openai.requests == []


def test_nothing_else_is_asked_back(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """Not without the option, not for a named model, not where the conversation or the instructions say what it is about."""

    def ask(gateway: RunningGateway, *messages: tuple[str, str], model: str = "gateway-auto") -> None:
        body = {"model": model, "messages": [{"role": role, "content": said} for role, said in messages]}
        reply = httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=body)
        assert reply.headers["x-llmgw-target"] == "openai/gpt-4o-mini"

    (tmp_path / "off").mkdir()
    with gateway_of(tmp_path / "off", fake_openai) as gateway:
        ask(gateway, ("user", "fix"))
    with gateway_of(tmp_path, fake_openai, clarify=True) as gateway:
        ask(gateway, ("user", "fix"), model="gpt-4o-mini")
        ask(gateway, ("user", "here is a poem"), ("assistant", "Nice."), ("user", "fix"))
        ask(gateway, ("system", "You correct spelling."), ("user", "fix"))
        ask(gateway, ("user", "fix the leak in main.py"))
    assert len(fake_openai.requests) == 5
