"""What is found on this machine, what is not mistaken for a model server, and that looking costs no time."""

from __future__ import annotations

import socket
import time

import pytest
from msgspec.structs import replace
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.fake_server import Reply, json_reply
from support.raw import RawServer, reply

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider
from llmgw.providers.ollama import PROVIDER as OLLAMA
from llmgw.service.discover import discover, find_credentials, list_models, ollama_address

VLLM = Provider(name="vllm", title="vLLM", dialect="openai_chat", base_url="", tier=Tier.LOCAL)


def at(provider: Provider, *urls: str) -> dict[str, Provider]:
    return {provider.name: replace(provider, probes=urls)}


def test_running_servers_are_found_with_their_chat_models():
    """Ollama and an OpenAI-compatible server are found at their probes; embedding models are left out. # D-06"""
    models = ("llama3.2:latest", "nomic-embed-text:latest", "bge-m3:latest", "all-minilm:22m")
    with FakeOllama(models=models) as ollama, FakeOpenAI(models=("qwen", "text-embedding-x")) as other:
        known = at(OLLAMA, ollama.url) | at(VLLM, "http://127.0.0.1:1/v1", other.url + "/v1")
        found = discover(known, {})
    assert [(each.name, each.base_url, each.models, each.tier) for each in found] == [
        ("ollama", ollama.url, ("llama3.2:latest",), "local"),
        ("vllm", other.url + "/v1", ("qwen",), "local"),
    ]


def test_ollama_host_comes_first(fake_ollama):
    """OLLAMA_HOST is asked before Ollama's usual port, in the forms Ollama takes."""
    known = at(OLLAMA, "http://127.0.0.1:1")
    found = discover(known, {"OLLAMA_HOST": f"0.0.0.0:{fake_ollama.port}"})
    assert [each.base_url for each in found] == [f"http://127.0.0.1:{fake_ollama.port}"]


def test_our_own_port_is_not_asked(fake_openai):
    """The port that the gateway itself will take is skipped."""
    known = at(VLLM, fake_openai.url + "/v1")
    assert discover(known, {}, own_port=fake_openai.port) == ()
    assert fake_openai.requests == []


class Gateway(FakeOpenAI):
    """Another llmgw, by its headers."""

    def other(self, request):
        reply = super().other(request)
        reply.headers["X-LLMGW-Request-Id"] = "req_0"
        return reply


class Stranger(FakeOpenAI):
    """Something else that listens there; ``said`` is its answer to everything."""

    said = Reply(b"<html>Hello</html>", content_type="text/html")

    def other(self, request):
        return self.said


@pytest.mark.parametrize(
    "said",
    [
        Stranger.said,
        json_reply({"error": "no"}, 401),
        json_reply({"data": "x"}),
        json_reply({"data": ["x"]}),
        json_reply([]),
        json_reply({"ok": True}),
        Reply(b"\xff\xfe{", 200),
    ],
)
def test_a_stranger_is_no_model_server(said):
    """A web page, a refusal or other JSON at a known port is nothing to use."""
    with Stranger() as stranger:
        stranger.said = said
        assert list_models(stranger.url + "/v1/models", 1) is None


def test_another_llmgw_is_no_model_server():
    """A gateway would offer our own models back to us, so its headers rule it out."""
    with Gateway() as gateway:
        assert discover(at(VLLM, gateway.url + "/v1"), {}) == ()


def test_silence_costs_no_more_than_the_patience():
    """A port that accepts and never answers, and one that is closed, are given up together within 0.3 s."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        known = at(OLLAMA, url, "http://127.0.0.1:1") | at(VLLM, url + "/v1")
        began = time.monotonic()
        assert discover(known, {"OLLAMA_HOST": "http://name.invalid"}) == ()
        assert time.monotonic() - began < 0.6


def test_closed_ports_answer_at_once():
    """With nothing running, looking takes a few milliseconds."""
    known = at(OLLAMA, "http://127.0.0.1:1") | at(VLLM, "http://127.0.0.1:1/v1")
    began = time.monotonic()
    assert discover(known, {}) == ()
    assert time.monotonic() - began < 0.2


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        (":11435", "http://127.0.0.1:11435"),
        ("http://box", "http://box:80"),
        ("https://box/ollama/", "https://box:443/ollama"),
        ("[::]:7", "http://[::1]:7"),
        ('"box:1"', "http://box:1"),
        ("[broken", "http://127.0.0.1:11434"),
    ],
)
def test_ollama_host_in_all_its_forms(text, address):
    """The variable means to us what it means to Ollama's own clients."""
    assert ollama_address(text) == address


def test_credentials_are_named_not_read():
    """For each provider the first of its variables that holds something is named, never its value."""
    known = {
        "a": replace(VLLM, credentials=("A_KEY", "B_KEY")),
        "b": replace(VLLM, credentials=("C_KEY",)),
        "c": VLLM,
    }
    environ = {"A_KEY": "x", "B_KEY": "y", "C_KEY": " "}
    assert find_credentials(known, environ) == {"a": "A_KEY"}


@pytest.mark.parametrize("said", [b"[" * 100_000, b"\xff\xfe", b'{"data":[{"id":"\\ud800"}]}', b"5"])
def test_list_that_is_none_is_no_server(said: bytes) -> None:
    """What a server says where its list should be may be anything at all."""
    with RawServer(reply(said)) as raw:
        assert list_models(raw.url + "/v1/models", 1.0) is None


def test_trickling_list_is_not_waited_for() -> None:
    """A server that sends its list byte by byte delays a start no longer than one that says nothing."""
    whole = reply(b" " * 1_000)
    with RawServer(whole[:-990], closes_after=3.0) as raw:
        begun = time.monotonic()
        assert list_models(raw.url + "/v1/models", 0.2) is None
        assert time.monotonic() - begun < 1


def test_names_that_are_none_are_left_out() -> None:
    """Names stand in headers and on terminals: one line, no control characters, of sensible length."""
    with RawServer(
        reply(b'{"data":[{"id":"a\\u001b[31m"},{"id":"b\\r\\nc"},{"id":"' + b"d" * 999 + b'"},{"id":"e"}]}')
    ) as raw:
        assert list_models(raw.url + "/v1/models", 1.0) == ("e",)


def test_address_that_is_none_is_no_server() -> None:
    """A base URL that cannot be read is answered by nobody."""
    assert list_models("http://[/v1/models", 0.2) is None
