"""The models a caller may name are those the upstreams list now, not those they had at the start."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream
from support.raw import RawServer, reply

CALL = {"model": "new-model", "messages": [{"role": "user", "content": "hi"}]}


def names(gateway: RunningGateway) -> list[str]:
    listed = httpx.get(gateway.url + "/v1/models", headers=gateway.auth).json()["data"]
    return [model["id"] for model in listed if not model["id"].startswith("gateway-")]


def test_list_shows_what_upstreams_list(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """`GET /v1/models` asks the upstreams, with our credential, and leaves out what answers no chat."""
    fake_openai.models = ("gpt-4o-mini", "gpt-new", "text-embedding-3-small")
    with RunningGateway(tmp_path, [upstream("openai", fake_openai.url + "/v1")]) as gateway:
        assert names(gateway) == ["gpt-4o-mini", "gpt-new"]
        assert names(gateway) == ["gpt-4o-mini", "gpt-new"]
    [asked] = [request for request in fake_openai.requests if request.path == "/v1/models"]
    assert asked.headers["authorization"] == "Bearer sk-upstream"


def test_model_pulled_later_is_found(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    """A name nobody offered at the start is served when an upstream lists it by now, without a restart."""
    local = upstream("ollama", fake_ollama.url, models=("old:latest",), closed=False, credential="")
    fake_ollama.models = ("old:latest", "new-model:latest")
    with RunningGateway(tmp_path, [local]) as gateway:
        reply = httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CALL)
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-llmgw-target"] == "ollama/new-model"


@pytest.mark.parametrize("closed", [True, False])
def test_declared_models_are_all_there_are(closed: bool, tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """An upstream whose models the operator declared is never asked for more; an unanswered question changes nothing."""
    fake_openai.models = ("new-model",)
    if not closed:
        fake_openai.models = ()
    declared = upstream("vllm", fake_openai.url + "/v1", models=("only",), closed=closed)
    with RunningGateway(tmp_path, [declared]) as gateway:
        assert names(gateway) == ["only"]
        reply = httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CALL)
    assert reply.status_code == 404


@pytest.mark.parametrize(
    "said",
    [
        b"[" * 100_000,
        b'{"data":[{"id":"\xff\xfe"}]}',
        b"<html>",
        b'{"data":5}',
        b'{"data":[{"id":"a\\r\\nb"}]}',
    ],
)
def test_list_that_is_none_changes_nothing(said: bytes, tmp_path: Path) -> None:
    """Whatever an upstream says where its list should be, an unknown name is a 404 and the known ones stay."""
    with RawServer(reply(said)) as raw:
        local = upstream("vllm", raw.url + "/v1", models=("known",), closed=False)
        with RunningGateway(tmp_path, [local]) as gateway:
            asked = httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CALL)
            assert names(gateway) == ["known"]
        assert asked.status_code == 404
        assert raw.asked >= 1
