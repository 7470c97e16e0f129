"""What the dashboard shows of a real gateway is what its ledger holds, and what is done there is done."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream
from support.screens import frame

from llmgw.client.feed_live import Address, Live
from llmgw.client.remote import Remote
from llmgw.config.caching import Cache, SemanticCache
from llmgw.desk.budgets import ListBudgets, SetBudget
from llmgw.desk.kills import ListKills
from llmgw.desk.reports import ShowReport
from llmgw.desk.requests import ListRequests
from llmgw.desk.status import ShowStatus
from llmgw.domain import spelling
from llmgw.rules.picture import TIERS, grouped, total
from llmgw.service import pulsing
from llmgw.storage import histories
from llmgw.tui.app import Dash, Options

PRICES = {"openai/*": {"input": 2.0, "output": 6.0}, "anthropic/*": {"input": 3.0, "output": 15.0}}
LONG = "The quick brown fox jumps over the lazy dog and then some more words follow it. " * 6


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second for each second between two pulses."""
    monkeypatch.setattr(pulsing, "SECOND", 0.1)


@pytest.fixture
def openai() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def gateway(tmp_path: Path, openai: FakeOpenAI) -> Iterator[RunningGateway]:
    with FakeAnthropic() as anthropic:
        upstreams = [
            upstream("openai", openai.url + "/v1", models=("gpt-5-nano",)),
            upstream("anthropic", anthropic.url + "/v1", models=("claude-sonnet-5",)),
        ]
        caches = Cache(semantic=SemanticCache(mode="off"))
        with RunningGateway(tmp_path, upstreams, prices=PRICES, cache=caches) as running:
            yield running


def ask(gateway: RunningGateway, model: str, words: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": words}]} | more
    return httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=body, timeout=30)


def work(gateway: RunningGateway) -> None:
    """A known workload: four models' answers, two of them from the cache, one refused, one a stream."""
    for words in ("one", "two", "one", "one"):
        assert ask(gateway, "openai/gpt-5-nano", words).status_code == 200
    assert ask(gateway, "anthropic/claude-sonnet-5", "three", max_tokens=50).status_code == 200
    assert ask(gateway, "anthropic/claude-sonnet-5", "four", max_tokens=50, stream=True).status_code == 200
    assert ask(gateway, "nobody/nothing", "five").status_code >= 400


def look(
    gateway: RunningGateway,
    deed: Callable[[Dash, Any, Remote], Any],
    size: tuple[int, int] = (110, 40),
    **options: Any,
) -> None:
    """Do something with a dashboard of the gateway."""

    async def go() -> None:
        def reach() -> Remote:
            return Remote(gateway.url, gateway.token)

        address = Address(gateway.url, gateway.token)
        feed = Live("this machine", lambda: address)
        app = Dash(feed, reach, Options(**options))
        async with app.run_test(size=size, notifications=True) as pilot:
            with Remote(gateway.url, gateway.token) as remote:
                await until(pilot, lambda: app.picture.history is not None)
                await deed(app, pilot, remote)

    asyncio.run(go())


async def until(pilot: Any, true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, frame(pilot.app)
        await pilot.pause(0.05)


def test_every_figure_is_that_of_the_reports(gateway: RunningGateway) -> None:
    """Spend, requests, errors, hits, tokens and savings on screen are those of `status`, `report` and `request list`. # D-26"""

    async def deed(app: Dash, pilot: Any, remote: Remote) -> None:
        await asyncio.to_thread(work, gateway)
        await until(pilot, lambda: total(app.picture.today()).requests == 7)
        app.repaint()
        await pilot.pause()
        status = await asyncio.to_thread(remote.ask, ShowStatus())
        shown = frame(app)

        today = total(app.picture.today())
        assert today.cost == status.spend.today_nanousd > 0
        assert total(app.picture.month()).cost == status.spend.month_nanousd
        assert today.saving == status.spend.saved_today_nanousd
        assert today.requests == status.requests.today
        assert today.errors == status.requests.errors_today == 1
        assert (today.input_tokens, today.output_tokens) == (
            status.tokens.input_today,
            status.tokens.output_today,
        )
        assert spelling.usd(status.spend.today_nanousd) in shown
        assert spelling.usd(status.spend.saved_today_nanousd) in shown
        assert status.cache.hits_today == 2
        assert spelling.percent(status.cache.hit_rate) in shown
        for axis in ("model", "tier", "key", "provider"):
            lines = (await asyncio.to_thread(remote.ask, ShowReport(by=axis))).lines
            told = {
                getattr(line, axis): (line.requests, line.cost_nanousd or 0, line.saving_nanousd)
                for line in lines
            }
            ours = {
                each.name or None: (
                    each.counts.requests, each.counts.cost, each.counts.saving,
                )
                for each in grouped(app.picture.today(), axis)
            }  # fmt: skip
            assert ours == told, axis
        assert all(tier in shown for tier in TIERS)
        premium = next(each for each in grouped(app.picture.today(), "tier") if each.name == "premium")
        assert spelling.usd(premium.counts.cost) in shown

        await pilot.press("2")
        await pilot.pause(0.2)
        listed = await asyncio.to_thread(remote.ask, ListRequests())
        tail = app.screen.tail  # type: ignore[attr-defined]
        assert {row.key for row in tail.rows} == {each.id for each in listed.requests}
        rows = frame(app)
        for each in listed.requests:
            if each.cost_nanousd:
                assert spelling.usd(each.cost_nanousd) in rows

    look(gateway, deed)


def test_a_request_is_told_with_its_arithmetic(gateway: RunningGateway) -> None:
    """Enter on a row tells its attempts and its cost as tokens times the price that it was billed by."""

    async def deed(app: Dash, pilot: Any, remote: Remote) -> None:
        await asyncio.to_thread(ask, gateway, "openai/gpt-5-nano", "one")
        await until(pilot, lambda: bool(app.picture.seen))
        await pilot.press("2")
        await pilot.pause(0.2)
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.screen, "why", None) is not None)
        await pilot.pause(0.2)

        shown = frame(app)
        assert "openai/gpt-5-nano" in shown
        assert "$0.000064 = 11 * $2.00/M + 7 * $6.00/M" in shown.replace("\N{MULTIPLICATION SIGN}", "*")
        await pilot.press("escape")
        assert app.screen.place() == "requests"  # type: ignore[attr-defined]

    look(gateway, deed)


def test_a_call_under_way_is_read_and_ended(gateway: RunningGateway, openai: FakeOpenAI) -> None:
    """A running stream stands on top, its text is read as it is written, and with --write it is ended as by `request stop`."""
    openai.behave(text=LONG, chunk_delay=0.05)
    ended: list[str] = []

    def call() -> None:
        ended.append(ask(gateway, "openai/gpt-5-nano", "tell", stream=True).text)

    thread = threading.Thread(target=call, daemon=True)

    async def deed(app: Dash, pilot: Any, remote: Remote) -> None:
        await pilot.press("2")
        thread.start()
        await until(pilot, lambda: len(app.picture.under_way) == 1)
        app.repaint()
        await pilot.pause(0.1)
        assert "streams" in frame(app)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: "quick brown fox" in getattr(app.screen, "live", ""))
        assert "quick brown" in frame(app)
        await pilot.press("x")
        await pilot.pause(0.1)
        assert "$ llmgw request stop req_" in frame(app)
        await pilot.press("y")
        await until(pilot, lambda: not app.picture.under_way)
        await asyncio.to_thread(thread.join, 10)
        await until(pilot, lambda: not remote.ask(ListKills()).kills)  # no switch stays thrown for it

    look(gateway, deed, write=True)

    assert ended
    assert LONG not in ended[0]


def test_a_budget_is_raised_from_a_request(gateway: RunningGateway) -> None:
    """The budget that leaves least is proposed half as large again; what was agreed to is in force. # ux 5.1"""

    async def deed(app: Dash, pilot: Any, remote: Remote) -> None:
        await asyncio.to_thread(remote.ask, SetBudget(scope="all", window="day", hard_nanousd=2 * 10**9))
        await asyncio.to_thread(ask, gateway, "openai/gpt-5-nano", "one")
        await until(pilot, lambda: bool(app.picture.seen))
        await pilot.press("2")
        await pilot.pause(0.2)
        await pilot.press("B")
        await until(pilot, lambda: "llmgw budget set all 3/day" in frame(app))
        await pilot.press("enter")
        await until(pilot, lambda: remote.ask(ListBudgets()).budgets[0].hard_nanousd == 3 * 10**9)

    look(gateway, deed, write=True)


def test_without_write_nothing_is_changed(gateway: RunningGateway) -> None:
    """A dashboard that only looks tells the command instead."""

    async def deed(app: Dash, pilot: Any, remote: Remote) -> None:
        await asyncio.to_thread(remote.ask, SetBudget(scope="all", window="day", hard_nanousd=2 * 10**9))
        await asyncio.to_thread(ask, gateway, "openai/gpt-5-nano", "one")
        await until(pilot, lambda: bool(app.picture.seen))
        await pilot.press("2")
        await pilot.pause(0.2)
        await pilot.press("B")
        await until(pilot, lambda: "--write" in frame(app))
        assert "budget set all 3/day" in frame(app)
        assert remote.ask(ListBudgets()).budgets[0].hard_nanousd == 2 * 10**9

    look(gateway, deed)


def test_a_gateway_that_goes_and_comes_back(tmp_path: Path) -> None:
    """It dies: the screen says so and keeps what it knew; it comes back elsewhere: the figures go on."""
    with FakeOpenAI() as fake:
        upstreams = [upstream("openai", fake.url + "/v1", models=("gpt-5-nano",))]
        found: list[Address | None] = [None]

        async def go() -> None:
            app = Dash(Live("this machine", lambda: found[0]), lambda: None, Options(serve=("true",)))  # type: ignore[arg-type,return-value]
            async with app.run_test(size=(100, 30)) as pilot:
                await until(pilot, lambda: "gateway is not running" in frame(app))
                assert "run `llmgw serve`" in frame(app)
                with RunningGateway(tmp_path, upstreams) as gateway:
                    found[0] = Address(gateway.url, gateway.token)
                    await until(pilot, lambda: "curl http://127.0.0.1" in frame(app))
                    assert "no traffic yet;" in frame(app)
                    await asyncio.to_thread(ask, gateway, "openai/gpt-5-nano", "one")
                    await until(pilot, lambda: "no traffic yet" not in frame(app))
                    found[0] = None
                await until(pilot, lambda: "gateway is not running" in frame(app))
                assert "what is below is of" in frame(app)
                assert "gpt-5-nano" in frame(app)
                with RunningGateway(tmp_path, upstreams) as gateway:
                    found[0] = Address(gateway.url, gateway.token)
                    await until(pilot, lambda: " up 0m" in frame(app))
                    assert total(app.picture.today()).requests == 1

        asyncio.run(go())


def test_a_figure_leads_to_requests_from_before(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The requests behind a figure are there also where they ended before the dashboard came."""
    monkeypatch.setattr(histories, "SEEN", 2)
    for number in range(5):
        ask(gateway, "openai/gpt-5-nano", f"number {number}")
    for number in range(3):
        ask(gateway, "anthropic/claude-sonnet-5", f"number {number}", max_tokens=20)

    async def deed(app: Dash, pilot: Any, remote: Remote) -> None:
        await until(pilot, lambda: total(app.picture.today()).requests == 8)
        assert len(app.picture.seen) == 2
        app.show_requests("target=openai/gpt-5-nano")
        await until(pilot, lambda: app.screen.place() == "requests" and app.screen.is_mounted)  # type: ignore[attr-defined]
        await until(pilot, lambda: len(app.screen.tail.rows) == 5)  # type: ignore[attr-defined]
        assert "claude" not in frame(app)
        await pilot.press("slash", *" cost<0")
        await pilot.press("enter")
        await until(pilot, lambda: "no request fits" in frame(app))

    look(gateway, deed)
