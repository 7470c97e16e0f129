"""The messages in the guide to troubleshooting are those that the program gives. # B-17"""

from __future__ import annotations

import re
import socket

import httpx
import pytest
from support.gateway import RunningGateway, upstream
from support.program import ROOT, Program

PAGE = (ROOT / "docs" / "guides" / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^    (.+)$", PAGE, re.MULTILINE)
HELLO = {"model": "llama3.2", "messages": [{"role": "user", "content": "hi"}]}


def general(text: str) -> str:
    """A message without what differs from run to run: folders, ports, processes, ids."""
    text = re.sub(r"/\S*/(?=[\w.]+\.toml)", "", text)
    text = re.sub(r"\d{2,}|(?<=:)\d+", "0", text)
    return re.sub(r"python\S*|pytest", "python", text).strip()


EXPECTED = {general(line) for line in QUOTED}


def quoted(text: str) -> bool:
    """Whether the guide has every line of this error."""
    return {general(line) for line in text.splitlines() if line.strip()} <= EXPECTED


def test_the_guide_quotes_messages():
    """The guide is read as it is meant to be."""
    assert len(QUOTED) > 30


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[server]\nprot = 9000\n", ()),
        ('[server]\nport = "nine"\n', ()),
        ("[server\nport = 9000\n", ()),
        ('[server]\nsecret = "${NOT_SET}"\n', ()),
        ("[providers.opanai]\n", ()),
        ("", ("--config", "nowhere.toml")),
        ("", ("--home", "/proc/nowhere")),
        ("", ("--host", "0.0.0.0")),
    ],
)
def test_a_start_that_fails(tmp_path, config, words):
    """A wrong config, a folder that cannot be written and an open door are told as the guide says."""
    llmgw = Program(tmp_path / "home")
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text(config)

    failed = llmgw.run("serve", "--port", "0", *words)

    assert failed.code in {2, 6}
    assert general(failed.err.splitlines()[0]) in EXPECTED, failed.err


def test_a_port_that_is_taken(tmp_path):
    """The program that has the port is named, and another port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        failed = Program(tmp_path / "home").run("serve", "--port", str(port))

    assert failed.code == 8
    assert quoted(failed.err), failed.err


def test_commands_that_fail(tmp_path):
    """A second start, a gateway that is not running, and names that are not there or taken."""
    llmgw = Program(tmp_path / "home")
    failures = [(3, llmgw.run("stop"))]
    llmgw.run("serve", "--demo", "--port", "0")
    try:
        failures.append((8, llmgw.run("serve")))
        failures.append((5, llmgw.run("key", "show", "nobody")))
        failures.append((5, llmgw.run("request", "show", "req_0000000000000")))
        llmgw.run("key", "create", "ci")
        failures.append((8, llmgw.run("key", "create", "ci")))
    finally:
        llmgw.run("stop")

    for code, failed in failures:
        assert failed.code == code
        assert general(failed.err.splitlines()[0]) in EXPECTED, failed.err


def test_calls_that_are_refused(tmp_path, fake_ollama):
    """Keys, models, tiers, addresses and bodies that are wrong, and a provider that is not there."""
    upstreams = [
        upstream("ollama", fake_ollama.url, models=("llama3.2",)),
        upstream("openai", "http://127.0.0.1:9/v1", models=("gpt-5.4-mini",), tier="cheap"),
    ]
    with RunningGateway(tmp_path, upstreams, max_body_mb=1) as gateway:
        control = gateway.control
        _, limited = control.create("ci", models=("cheap/*",))

        def ask(path: str = "/v1/chat/completions", *, token: str = gateway.token, **sent) -> str:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            answer = httpx.post(gateway.url + path, headers=headers, **({"json": HELLO} | sent))
            error = answer.json()["error"]
            return error["message"].partition(error.get("hint") or "\0")[0].rstrip(" (.;:")

        said = [
            ask(token="wrong"),
            ask(token=""),
            ask(token=limited).replace("llama3.2", "echo"),
            ask(json=HELLO | {"model": "gtp-5.4-mini"}),
            ask(json=HELLO | {"model": "gateway-premium"}),
            ask("/v1/v1/messages"),
            ask("/v1/responses"),
            ask(json=None, content=b"x" * 2_000_000).replace(" 1 MB", " 40 MB"),
            ask(json=None, content=b"{bad").partition(":")[0],
            ask(json=HELLO | {"model": "gpt-5.4-mini"}),
        ]
        control.revoke("ci")
        said.append(ask(token=limited))
        control.close()

    for message in said:
        assert general(message) in EXPECTED, message
