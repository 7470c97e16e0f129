"""`POST /cache/invalidate`: who may forget which answers. # D-13"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.gateway import RunningGateway, upstream
from support.remembered import HOUR, an_answer, an_entry

from llmgw.config.caching import Cache, SemanticCache
from llmgw.domain.spans import parse_span
from llmgw.errors import BadRequest
from llmgw.storage.answers import AnswerStore

CACHES = Cache(semantic=SemanticCache(mode="off"))

PROMPTS: dict[str, dict[str, Any]] = {
    "mine": {},
    "mine about src/app.py": {"model_asked": "claude-sonnet-4-5"},
    "mine and old": {"created_at": time.time_ns() - 5 * HOUR, "tags": "nightly"},
    "theirs": {"tenant": "ml", "tags": "nightly"},
    "theirs too": {"tenant": "ml", "tags": "file:/srv/repo/src/app.py"},
}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path, [upstream("echo", "echo:")], cache=CACHES) as running:
        with AnswerStore.open(tmp_path / "cache.db") as store:
            for prompt, more in PROMPTS.items():
                store.put(an_entry(prompt, **more), an_answer())
        with running.control as control:
            running.tokens = {
                "admin": control.create("ops", admin=True)[1],
                "default": control.create("me")[1],
                "ml": control.create("them", tenant="ml")[1],
            }
        yield running


def invalidate(gateway: RunningGateway, who: str, **event: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {gateway.tokens.get(who, who)}"}
    return httpx.post(gateway.url + "/cache/invalidate", headers=headers, json={"event": "manual"} | event)


def left(gateway: RunningGateway) -> set[str]:
    with AnswerStore.open(gateway.database.with_name("cache.db")) as store:
        return {entry.prompt for entry in store.list()}


COMMIT = {"event": "git_commit", "commit": "8d3f", "files": ["src/app.py"]}


@pytest.mark.parametrize(
    ("who", "event", "gone"),
    [
        ("default", {}, {"mine", "mine about src/app.py", "mine and old"}),
        ("ml", {}, {"theirs", "theirs too"}),
        ("admin", {}, set(PROMPTS)),
        ("admin", {"tenant": "ml"}, {"theirs", "theirs too"}),
        ("ml", {"tenant": "ml", "tag": "nightly"}, {"theirs"}),
        ("default", {"tag": "nightly"}, {"mine and old"}),
        ("default", {"model": "claude-*"}, {"mine about src/app.py"}),
        ("default", {"older_than": "4h"}, {"mine and old"}),
        ("default", {"text": "AND old"}, {"mine and old"}),
        ("default", {"text": "nobody said this"}, set()),
        ("default", COMMIT, {"mine about src/app.py"}),
        ("ml", COMMIT, {"theirs too"}),
        ("admin", COMMIT, {"mine about src/app.py", "theirs too"}),
        ("admin", COMMIT | {"files": []}, set()),
        ("admin", COMMIT | {"tag": "nightly"}, set()),
    ],
)
def test_what_goes(gateway, who, event, gone):
    """What fits every condition goes, of a key's own tenant only, of all for an admin; the number is told."""
    reply = invalidate(gateway, who, **event)

    assert (reply.status_code, reply.json()) == (200, {"invalidated": len(gone)})
    assert left(gateway) == PROMPTS.keys() - gone


@pytest.mark.parametrize(
    ("who", "event", "status"),
    [
        ("default", {"tenant": "ml"}, 403),
        ("ml", {"tenant": "default"}, 403),
        ("lgw_wrong", {}, 401),
        ("admin", {"event": "rebase"}, 400),
        ("admin", {"event": "git_commit", "commit": "8d3f"}, 400),
        ("admin", {"oldr_than": "4h"}, 400),
        ("admin", {"older_than": "soon"}, 400),
        ("admin", {"files": "src/app.py"}, 400),
        ("admin", {"text": ""}, 400),
        ("admin", {"model": "*a" * 30_000}, 400),
        ("admin", {"tenant": ""}, 400),
        ("admin", COMMIT | {"files": [""]}, 400),
    ],
)
def test_what_is_refused(gateway, who, event, status):
    """Another tenant, a wrong key and an event that makes no sense are refused, and nothing goes."""
    reply = invalidate(gateway, who, **event)

    assert reply.status_code == status
    assert reply.json()["error"]["message"]
    assert left(gateway) == PROMPTS.keys()


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", rb"\ud800", rb"\udc00\ud800", b"\x00"], ids=str)
@pytest.mark.parametrize("field", ["text", "tenant", "tag", "model", "commit", "older_than"])
def test_what_is_no_text_is_refused(gateway, field, text):
    """Broken UTF-8, half a surrogate pair and a control character are 400 in every field, and nothing goes."""
    headers = {"authorization": f"Bearer {gateway.tokens['admin']}"}
    body = b'{"event": "manual", "%s": "a%sb"}' % (field.encode(), text)
    reply = httpx.post(gateway.url + "/cache/invalidate", headers=headers, content=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"]
    assert left(gateway) == PROMPTS.keys()


def ask(gateway: RunningGateway, **more: Any) -> httpx.Response:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]} | more
    headers = {"authorization": f"Bearer {gateway.tokens['default']}"}
    return httpx.post(gateway.url + "/v1/chat/completions", headers=headers, json=body)


def test_the_next_call_is_asked_anew(gateway):
    """An answer that was given from memory is asked for upstream again right after it was invalidated. # D-11"""
    about = {"context": {"file_path": "lib/util.py"}}
    assert ask(gateway, **about).headers["x-llmgw-cache"] == "miss"
    assert ask(gateway, **about).headers["x-llmgw-cache"] == "exact"
    assert invalidate(gateway, "default", **COMMIT).json() == {"invalidated": 1}
    assert ask(gateway, **about).headers["x-llmgw-cache"] == "exact"
    assert invalidate(gateway, "default", **COMMIT | {"files": ["lib/util.py"]}).json() == {"invalidated": 1}
    assert ask(gateway, **about).headers["x-llmgw-cache"] == "miss"


def test_without_caches_nothing_goes(tmp_path):
    """A gateway without caches forgets nothing, and says so."""
    with RunningGateway(tmp_path, [upstream("echo", "echo:")]) as running:
        reply = httpx.post(running.url + "/cache/invalidate", headers=running.auth, json={"event": "manual"})
    assert reply.json() == {"invalidated": 0}


@pytest.mark.parametrize("span", ["9999999w", "9" * 400 + "d"])
def test_a_span_beyond_all_time_is_refused(span: str) -> None:
    """No database could count it, and whoever asked would wait for ever."""
    with pytest.raises(BadRequest, match="too long"):
        parse_span(span)
