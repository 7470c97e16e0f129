"""The admin API: who may, what is refused and how, that what is set holds. # D-20 A-11"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.gateway import RunningGateway, upstream

from llmgw.api.app import operations
from llmgw.api.operations import Access

nothing: Any = None
ADMIN = [each for each in operations(nothing, nothing, nothing) if each.access is Access.ADMIN]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    prices = {"echo/*": {"input": 2.0, "output": 6.0}}
    home = tmp_path_factory.mktemp("home")
    with RunningGateway(home, [upstream("echo", "echo:")], prices=prices) as running:
        yield running


def ask(gateway: RunningGateway, method: str, path: str, **more: Any) -> httpx.Response:
    return httpx.request(method, gateway.url + path, **({"headers": gateway.auth} | more))


def call(gateway: RunningGateway, token: str) -> httpx.Response:
    body = {"model": "echo", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {token}"}
    return httpx.post(gateway.url + "/v1/chat/completions", headers=headers, json=body)


@pytest.mark.parametrize("operation", ADMIN, ids=lambda each: f"{each.method} {each.path}")
def test_who_may(gateway: RunningGateway, operation: Any) -> None:
    """Without a key 401, with one without admin rights 403, before anything of the request is looked at."""
    with gateway.control as control:
        name = f"plain-{ADMIN.index(operation)}"
        _, plain = control.create(name)
    path = operation.path.replace("{name}", "x").replace("{id}", "x")
    wrong = [({}, 401), ({"authorization": "Bearer lgw_wrong"}, 401), ({"x-admin-key": plain}, 403)]
    for headers, status in wrong:
        reply = ask(gateway, operation.method, path, headers=headers, content=b"{")
        assert reply.status_code == status
        assert reply.json()["error"].keys() == {"code", "message", "hint", "param"}
        assert plain not in reply.text
    assert ask(gateway, operation.method, path, headers={}).headers["www-authenticate"] == "Bearer"


def test_no_spelling_goes_around_it(gateway: RunningGateway) -> None:
    """Access belongs to the route that matches, so other spellings of its path find nothing at all."""
    for path in (
        "//admin/keys",
        "/admin//keys",
        "/admin/keys/",
        "/ADMIN/keys",
        "/admin/./keys",
        "/x/../admin/keys",
    ):
        target = httpx.URL(gateway.url).copy_with(raw_path=path.encode())
        assert httpx.get(target).status_code in {401, 404}, path
    encoded = httpx.URL(gateway.url).copy_with(raw_path=b"/%61dmin/keys")
    assert httpx.get(encoded).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "param"),
    [
        ("POST", "/admin/budgets", {"scope": "all"}, "window"),
        ("POST", "/admin/budgets", {"scope": "all", "window": "year", "hard_usd": "1"}, "window"),
        ("POST", "/admin/budgets", {"scope": "nobody", "window": "day", "hard_usd": "1"}, "scope"),
        ("POST", "/admin/budgets", {"scope": "all", "window": "day", "hard_usd": "much"}, "hard_usd"),
        ("POST", "/admin/budgets", {"scope": "all", "window": "day", "hard_nanousd": 1.5}, "hard_nanousd"),
        ("POST", "/admin/budgets", {"scope": "all", "window": "day", "hrad_usd": "1"}, "hrad_nanousd"),
        ("POST", "/admin/budgets", {"scope": "all", "window": "day"}, None),
        (
            "POST",
            "/admin/budgets",
            {"scope": "all", "window": "day", "hard_usd": "1", "soft_tokens": 5},
            None,
        ),
        ("POST", "/admin/budgets", {"scope": "all", "window": "day", "hard_usd": "1", "soft_usd": "2"}, None),
        ("POST", "/admin/budgets", [], None),
        ("PUT", "/admin/budgets", {"budgets": [{"scope": "all", "window": 1}]}, "budgets[0].window"),
        ("POST", "/admin/keys", {"name": "a b"}, "name"),
        ("POST", "/admin/keys", {"name": "x", "key": "short"}, "key"),
        ("POST", "/admin/keys", {"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ("POST", "/admin/keys/x/rotate", {"name": "y"}, "name"),
        ("POST", "/admin/limits", {"scope": "all"}, None),
        ("POST", "/admin/limits", {"scope": "all", "rpm": 0}, "amount"),
        ("POST", "/admin/kills", {"scope": "everybody"}, "scope"),
        ("POST", "/admin/kills", {}, "scope"),
        ("POST", "/admin/kills", {"scope": "all", "mode": "off"}, "mode"),
    ],
)
def test_what_makes_no_sense(
    gateway: RunningGateway, method: str, path: str, body: Any, param: str | None
) -> None:
    """A body that cannot be meant is 400 with the field at fault, and changes nothing."""
    before = [ask(gateway, "GET", f"/admin/{noun}").json() for noun in ("budgets", "limits", "kills")]
    reply = ask(gateway, method, path, json=body)
    assert reply.status_code == 400, reply.text
    told = reply.json()["error"]
    assert (told["code"], told["param"]) == ("invalid_request", param)
    assert told["message"]
    after = [ask(gateway, "GET", f"/admin/{noun}").json() for noun in ("budgets", "limits", "kills")]
    assert after == before


@pytest.mark.parametrize(
    "path",
    [
        "/admin/budgets?tz=Mars/Base",
        "/admin/budgets?colour=red",
        "/admin/budgets?tz=UTC&tz=UTC",
        "/admin/requests?limit=0",
        "/admin/requests?limit=many",
        "/admin/requests?since=2026-11-01T00:00:00",
        "/admin/requests/ooo",
        "/admin/report?window=century",
    ],
)
def test_a_query_that_makes_no_sense(gateway: RunningGateway, path: str) -> None:
    """A query with a wrong or an unknown parameter is 400; none is ignored."""
    assert ask(gateway, "GET", path).status_code == 400


def test_what_is_not_json(gateway: RunningGateway) -> None:
    """Broken JSON is 400, a body without end is 413."""
    assert ask(gateway, "POST", "/admin/budgets", content=b'{"scope":').status_code == 400
    assert ask(gateway, "POST", "/admin/budgets", content=b" " * 5_000_000).status_code == 413


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/admin/budgets", b"[" * 100_000),
        ("/admin/budgets", b'{"x":' * 900 + b"1" + b"}" * 900),
        ("/admin/budgets", b'{"scope": "all", "window": "day", "hard_nanousd": 1' + b"0" * 30 + b"}"),
        ("/admin/budgets", b'{"scope": "all", "window": "day", "hard_usd": "1e999999"}'),
        ("/admin/budgets", b'{"scope": "all", "window": "day", "hard_usd": 1e300}'),
        ("/admin/keys", b'{"name": "x", "expires_at": "9999-12-31T00:00:00Z"}'),
    ],
)
def test_what_is_too_large(gateway: RunningGateway, path: str, body: bytes) -> None:
    """Numbers that nothing can hold and endless nesting are the caller's mistake, not a fault of the gateway."""
    assert ask(gateway, "POST", path, content=body).status_code == 400


@pytest.mark.parametrize(
    "query", ["after=1" + "0" * 30, "min_cost_nanousd=1" + "0" * 30, "since=9999-12-31T00:00:00Z"]
)
def test_a_query_that_is_too_large(gateway: RunningGateway, query: str) -> None:
    """The same in a query."""
    assert ask(gateway, "GET", f"/admin/requests?{query}").status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/keys/nobody"),
        ("DELETE", "/admin/keys/nobody"),
        ("POST", "/admin/keys/nobody/rotate"),
        ("DELETE", "/admin/budgets?scope=key:nobody"),
        ("GET", "/admin/budgets/history?scope=key:nobody"),
        ("GET", "/admin/budgets/check?scope=key:nobody&amount_usd=1"),
        ("POST", "/api/admin/reset-budgets"),
        ("DELETE", "/admin/limits?scope=key:nobody"),
        ("GET", "/admin/requests/req_0000000000000"),
        ("GET", "/admin/models?provider=nobody"),
    ],
)
def test_what_there_is_not(gateway: RunningGateway, method: str, path: str) -> None:
    """What is named and is not there is 404."""
    more = {"json": {"scope": "key:nobody"}} if path.startswith("/api") else {}
    assert ask(gateway, method, path, **more).status_code == 404


def test_a_method_there_is_not(gateway: RunningGateway) -> None:
    """405 says what is allowed."""
    reply = ask(gateway, "PUT", "/admin/keys/x")
    assert reply.status_code == 405
    assert "GET" in reply.headers["allow"] or "DELETE" in reply.headers["allow"]


def test_life_of_a_key(gateway: RunningGateway) -> None:
    """A key is shown once, works at once with its budget, gets a new value, and is closed."""
    wanted = {"name": "life", "tags": ["b", "a"], "budget": {"window": "day", "hard_usd": "1"}}
    made = ask(gateway, "POST", "/admin/keys", json=wanted)
    assert made.status_code == 200
    token = made.json()["key"]
    assert (made.json()["schema"], made.json()["tags"]) == (1, ["a", "b"])
    assert call(gateway, token).headers["x-llmgw-budget-left"].startswith("0.99")
    shown = ask(gateway, "GET", "/admin/keys/life")
    assert token not in shown.text
    assert "hash" not in shown.json()
    assert ask(gateway, "POST", "/admin/keys", json=wanted).status_code == 409
    turned = ask(gateway, "POST", "/admin/keys/life/rotate", json={"grace_seconds": 60}).json()
    assert {call(gateway, each).status_code for each in (token, turned["key"])} == {200}
    assert turned["grace_ends_at"].endswith("Z")
    assert ask(gateway, "DELETE", "/admin/keys/life").json()["state"] == "revoked"
    assert call(gateway, turned["key"]).status_code == 401
    assert "life" not in [key["name"] for key in ask(gateway, "GET", "/admin/keys").json()["keys"]]
    ask(gateway, "DELETE", "/admin/budgets?scope=key:life")


def test_a_budget_holds_on_the_next_call(gateway: RunningGateway) -> None:
    """One that is set refuses the next call, one that is raised or removed lets it through; setting twice is one."""
    with gateway.control as control:
        _, token = control.create("spender")
    nothing_left = {"scope": "key:spender", "window": "day", "hard_usd": "0"}
    first = ask(gateway, "POST", "/admin/budgets", json=nothing_left).json()
    assert (first["changed"], first["hard_nanousd"], first["hard_usd"]) == (True, 0, "0")
    assert ask(gateway, "POST", "/admin/budgets", json=nothing_left).json()["changed"] is False
    assert call(gateway, token).status_code == 402
    assert ask(gateway, "POST", "/admin/budgets", json=nothing_left | {"hard_usd": "1"}).status_code == 200
    assert call(gateway, token).status_code == 200
    check = "/admin/budgets/check?scope=key:spender&amount_usd="
    assert ask(gateway, "GET", check + "0.5").json()["fits"] is True
    assert ask(gateway, "GET", check + "1").json()["fits"] is False
    gone = ask(gateway, "DELETE", "/admin/budgets?scope=key:spender").json()["removed"]
    assert [each["amount"] for each in gone] == ["1/day"]
    assert ask(gateway, "DELETE", "/admin/budgets?scope=key:spender").status_code == 404


def test_reset(gateway: RunningGateway) -> None:
    """Afterwards nothing counts as spent and what could not be afforded can; the history keeps it. # A-11"""
    with gateway.control as control:
        _, token = control.create("reset")
    budget = {"scope": "key:reset", "window": "month", "hard_usd": "1"}
    ask(gateway, "POST", "/admin/budgets", json=budget)
    assert call(gateway, token).status_code == 200
    (spent,) = ask(gateway, "GET", "/admin/budgets?holding=key:reset").json()["budgets"]
    assert spent["spent_nanousd"] > 0
    headers = {"x-admin-key": gateway.token}
    done = ask(gateway, "POST", "/api/admin/reset-budgets", headers=headers)
    assert done.status_code == 200
    (row,) = (each for each in done.json()["budgets"] if each["scope"] == "key:reset")
    assert row["spent_nanousd"] == 0
    (past,) = ask(gateway, "GET", "/admin/budgets/history?scope=key:reset").json()["windows"]
    assert past["spent_nanousd"] == spent["spent_nanousd"]
    ask(gateway, "DELETE", "/admin/budgets?scope=key:reset")


def test_replacing_all_budgets(gateway: RunningGateway) -> None:
    """PUT leaves exactly what it names, but for those of `llmgw run`; one that makes no sense changes nothing."""
    with gateway.control as control:
        control.create("run-1", plan="run")
    for scope in ("key:run-1", "tenant:old"):
        ask(gateway, "POST", "/admin/budgets", json={"scope": scope, "window": "total", "hard_usd": "1"})
    wanted = {"scope": "tenant:new", "window": "day", "hard_tokens": 500}
    twice = ask(gateway, "PUT", "/admin/budgets", json={"budgets": [wanted, wanted]})
    assert twice.status_code == 400
    left = ask(gateway, "PUT", "/admin/budgets", json={"budgets": [wanted]}).json()["budgets"]
    assert [(each["scope"], each["unit"]) for each in left] == [
        ("tenant:new", "tokens"),
        ("key:run-1", "money"),
    ]
    ask(gateway, "PUT", "/admin/budgets", json={"budgets": []})
    ask(gateway, "DELETE", "/admin/budgets?scope=key:run-1")


def test_a_switch_holds_once_it_is_answered(gateway: RunningGateway) -> None:
    """Thrown over HTTP it stops the next call and names who threw it; lifted, calls go on; lifting twice is no error."""
    with gateway.control as control:
        _, token = control.create("stopped")
        _, admin = control.create("ops", admin=True)
    headers = {"authorization": f"Bearer {admin}"}
    body = {"scope": "key:stopped", "reason": "drill"}
    thrown = ask(gateway, "POST", "/admin/kills", headers=headers, json=body).json()
    assert (thrown["mode"], thrown["by"]) == ("kill", "ops")
    assert call(gateway, token).status_code == 503
    assert ask(gateway, "DELETE", "/admin/kills?scope=key:stopped").json()["lifted"] is True
    assert call(gateway, token).status_code == 200
    assert ask(gateway, "DELETE", "/admin/kills?scope=key:stopped").json()["lifted"] is False


def test_a_limit_holds_on_the_next_call(gateway: RunningGateway) -> None:
    """The second call within a limit of one a minute is 429; each measure is set and lifted alone."""
    with gateway.control as control:
        _, token = control.create("fast")
    done = ask(gateway, "POST", "/admin/limits", json={"scope": "key:fast", "rpm": 1, "concurrency": 3})
    assert [(each["measure"], each["amount"]) for each in done.json()["limits"]] == [
        ("rpm", 1),
        ("concurrency", 3),
    ]
    assert [call(gateway, token).status_code for _ in range(2)] == [200, 429]
    lifted = ask(gateway, "DELETE", "/admin/limits?scope=key:fast&measure=rpm").json()["limits"]
    assert [each["measure"] for each in lifted] == ["rpm"]
    assert call(gateway, token).status_code == 200
    ask(gateway, "DELETE", "/admin/limits?scope=key:fast")


def test_no_secret_is_told(gateway: RunningGateway) -> None:
    """Neither credentials nor the operator's secret are in any answer."""
    for operation in ADMIN:
        if operation.method == "GET" and "{" not in operation.path:
            with httpx.stream("GET", gateway.url + operation.path, headers=gateway.auth) as reply:
                endless = reply.headers["content-type"].startswith("text/event-stream")
                text = next(reply.iter_text()) if endless else reply.read().decode()
            assert "sk-upstream" not in text
            assert gateway.token not in text
