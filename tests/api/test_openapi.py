"""The OpenAPI document and its page: whole, valid, true, and needing nothing from elsewhere. # E-27"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from support.gateway import RunningGateway, upstream

from llmgw.api import anthropic, openai
from llmgw.api.app import operations
from llmgw.api.openapi import document, place
from llmgw.api.operations import Access, routes

nothing: Any = None
DOCUMENT = document(operations(nothing, nothing, nothing))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path, [upstream("echo", "echo:")]) as running:
        yield running


def test_the_document_is_valid(gateway: RunningGateway) -> None:
    """It is valid OpenAPI 3.1, served to anybody."""
    reply = httpx.get(gateway.url + "/openapi.json")
    assert reply.headers["content-type"] == "application/json"
    validate(reply.json())


def test_every_route_is_documented_and_nothing_else() -> None:
    """Routes and hot paths are exactly what the document has, method by method."""
    every = operations(nothing, nothing, nothing)
    served = {
        (method, place(route.path))
        for route in routes(nothing, every)
        for method in (route.methods or set()) - {"HEAD"}
    }
    served |= {*openai.hot_paths(nothing), *anthropic.hot_paths(nothing)}
    documented = {
        (method.upper(), path) for path, methods in document(every)["paths"].items() for method in methods
    }
    assert served == documented


def test_names_are_unique_and_access_is_told() -> None:
    """Each operation has a name of its own; those that take a key say so, admin ones what else they answer."""
    every = operations(nothing, nothing, nothing)
    assert len({each.name for each in every}) == len(every)
    paths = document(every)["paths"]
    for each in every:
        told = paths[place(each.path)][each.method.lower()]
        assert bool(told["security"]) == (each.access is not Access.OPEN), each.path
        assert (each.access is Access.ADMIN) == ({"401", "403"} <= told["responses"].keys()), each.path


def test_admin_paths_take_an_admin_key() -> None:
    """Whatever lies under /admin or /api/admin is for admin keys, and so is nothing else but what Prometheus reads."""
    for each in operations(nothing, nothing, nothing):
        under = each.path.startswith(("/admin/", "/api/admin/")) or each.path == "/metrics"
        assert under == (each.access is Access.ADMIN), each.path


@pytest.mark.parametrize(
    "path",
    [
        "/health",
        "/api/budget",
        "/v1/models",
        "/v1/models/echo",
        "/",
        "/admin/budgets",
        "/admin/budgets/history?scope=all",
        "/admin/budgets/check?scope=all&amount_usd=0.01",
        "/admin/keys?all=true",
        "/admin/keys/ci",
        "/admin/limits",
        "/admin/kills",
        "/admin/status",
        "/admin/report?by=model",
        "/admin/requests",
        "/admin/models",
        "/admin/providers",
    ],
)
def test_answers_are_as_documented(gateway: RunningGateway, path: str) -> None:
    """What is answered fits the schema of the document, with data in it."""
    with gateway.control as control:
        control.create("ci", tags=("nightly",))
    headers = gateway.auth
    budget = {"scope": "all", "window": "day", "hard_usd": "5", "warn": [80]}
    assert httpx.post(gateway.url + "/admin/budgets", headers=headers, json=budget).status_code == 200
    limit = {"scope": "key:ci", "rpm": 60}
    assert httpx.post(gateway.url + "/admin/limits", headers=headers, json=limit).status_code == 200
    kill = {"scope": "key:ci", "reason": "drill"}
    assert httpx.post(gateway.url + "/admin/kills", headers=headers, json=kill).status_code == 200
    call = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    assert httpx.post(gateway.url + "/v1/chat/completions", headers=headers, json=call).status_code == 200
    reply = httpx.get(gateway.url + path, headers=headers)
    assert reply.status_code == 200, reply.text
    _fits(reply.json(), path.partition("?")[0], "200")


def test_one_request_and_a_refusal_are_as_documented(gateway: RunningGateway) -> None:
    """A request with its attempts fits its schema, and so does what is said of one that is not there."""
    call = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    made = httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=call)
    place = f"{gateway.url}/admin/requests/"
    found = httpx.get(place + made.headers["x-llmgw-request-id"], headers=gateway.auth)
    assert found.json()["state"] == "done"
    _fits(found.json(), "/admin/requests/{id}", "200")
    absent = httpx.get(place + "req_0000000000000", headers=gateway.auth)
    assert absent.status_code == 404
    _fits(absent.json(), "/admin/requests/{id}", "default")


def _fits(body: Any, path: str, status: str) -> None:
    found = DOCUMENT
    path = {"/v1/models/echo": "/v1/models/{name}", "/admin/keys/ci": "/admin/keys/{name}"}.get(path, path)
    response = found["paths"][path]["get"]["responses"][status]
    if "$ref" in response:
        response = found["components"]["responses"]["Refusal"]
    schema = response["content"]["application/json"]["schema"] | {"components": found["components"]}
    Draft202012Validator(schema).validate(body)
    _complete(body, schema, found["components"]["schemas"])


def _complete(body: Any, schema: dict[str, Any], components: dict[str, Any]) -> None:
    """Every member of an answer is documented."""
    fields = {
        name: field
        for part in _parts(schema, components)
        for name, field in part.get("properties", {}).items()
    }
    if isinstance(body, dict) and fields:
        assert body.keys() <= fields.keys()
        for name, value in body.items():
            _complete(value, fields[name], components)
    elif isinstance(body, list):
        for item in body:
            _complete(item, schema.get("items", {}), components)


def _parts(schema: dict[str, Any], components: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    yield schema
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        yield from _parts(part, components)


def test_the_page_needs_nothing_from_elsewhere(gateway: RunningGateway) -> None:
    """The page names no other host, and its policy lets the browser ask none; what is inline is allowed by its hash."""
    reply = httpx.get(gateway.url + "/docs")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/html")
    assert not re.search(r"(?:https?:)?//[a-z]", reply.text)
    assert not re.search(r"<(?:link|img|iframe)|\bsrc=|@import|url\(", reply.text)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("'sha256-") == 2
    assert "innerHTML" not in reply.text
