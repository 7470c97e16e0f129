"""Routing, cache, spend, keys and providers as they are seen, at each size, and what their keys do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from support.beats import AT, canned, history, whole
from support.screens import FRAMES, Told, check_frame, dashboard, frame
from textual.widgets import Input

from llmgw.desk.budget_shapes import view
from llmgw.desk.budgets import Budgets, ListBudgets, SetBudget
from llmgw.desk.cache_shapes import Cleared, Entries, EntryView
from llmgw.desk.caches import ClearCache, ListEntries
from llmgw.desk.kills import LiftKill, ThrowKill
from llmgw.desk.overview import Overview
from llmgw.desk.routes import PolicyView, Simulated, SimulateRoutes
from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.pulse import KillNow, Pulse, Standing
from llmgw.domain.scope import parse_scope
from llmgw.errors import NotFound
from llmgw.rules.picture import HOUR
from llmgw.tui.app import Dash
from llmgw.tui.screens.request import KEPT, Request
from llmgw.tui.widgets.drawing import fold
from llmgw.tui.widgets.pane import Pane

SCREENS = ("routing", "cache", "spend", "keys", "providers")
SIZES = ((80, 24), (100, 30), (200, 50), (40, 10))
BEATS = canned(seconds=30, before=3 * HOUR)


class Asked:
    """A gateway of a test: answers by the kind of an ask, and remembers what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[Any] = []

    @contextmanager
    def __call__(self) -> Iterator[Asked]:
        yield self

    def ask(self, ask: Any) -> Any:
        self.asked.append(ask)
        answer = self.answers[type(ask).__name__]
        if isinstance(answer, Exception):
            raise answer
        return answer(ask) if callable(answer) else answer


def run(
    deed: Callable[[Dash, Any], Awaitable[None]],
    screen: str,
    *,
    reach: Any = None,
    beats: Any = BEATS,
    **options: Any,
) -> None:
    """Do something on a screen."""
    size = options.pop("size", (100, 30))

    async def go() -> None:
        async with dashboard(beats, screen=screen, size=size, reach=reach, **options) as (app, pilot):
            await deed(app, pilot)

    asyncio.run(go())


async def settled(app: Dash, pilot: Any) -> None:
    """Once no thread asks anything any more."""
    await pilot.pause()
    while asking := [each for each in app.workers if each.group[:1].isupper()]:  # named for what is asked
        await app.workers.wait_for_complete(asking)
        await pilot.pause()
    await pilot.pause()


DIGITS = "34567"


def look_at_each(name: str, **options: Any) -> None:
    """Compare each screen with its frame."""

    async def look(app: Dash, pilot: Any) -> None:
        for digit, screen in zip(DIGITS, SCREENS, strict=True):
            await pilot.press(digit)
            await pilot.pause()
            check_frame(app, f"{screen}-{name}")

    run(look, "overview", **options)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_screens_at_a_size(size: tuple[int, int]):
    """D-26: each screen shows its figures at 80x24, 100x30 and 200x50, and does not fall over at 40x10."""
    look_at_each(f"{size[0]}x{size[1]}", size=size)


def test_screens_in_ascii():
    """With --ascii nothing is drawn that a terminal without Unicode could not show."""
    look_at_each("ascii", plain=True, size=(80, 24))
    assert all((FRAMES / f"{screen}-ascii.txt").read_text().isascii() for screen in SCREENS)


@pytest.mark.parametrize("size", [(80, 24), (40, 10)], ids=str)
def test_screens_without_traffic(size: tuple[int, int]):
    """A gateway that nobody has called yet has screens all the same."""
    nothing = Standing(process=whole().process, budgets=(), keys=(), upstreams=(), kills=(), notices=())

    async def look(app: Dash, pilot: Any) -> None:
        for digit, screen in zip(DIGITS, SCREENS, strict=True):
            await pilot.press(digit)
            await pilot.pause()
            assert screen.capitalize() in frame(app)

    run(look, "overview", beats=[history([], AT, standing=nothing)], size=size)


@pytest.mark.parametrize("window", ["5m", "24h", "7d", "30d"])
def test_screens_over_another_window(window: str):
    """Every window that can be looked at can be drawn."""

    async def look(app: Dash, pilot: Any) -> None:
        for digit in DIGITS:
            await pilot.press(digit)
            await pilot.pause()
            assert f"window {window}" in frame(app)

    run(look, "overview", beats=canned(seconds=2, window=window), feed=Told(window))


@pytest.mark.parametrize(
    ("screen", "keys", "terms"),
    [
        ("routing", ["j", "enter"], "tier=cheap"),
        ("routing", ["tab", "enter"], "rule=short"),
        ("cache", ["enter"], "cache=exact"),
        ("spend", ["j", "j", "enter"], "key=ci"),
        ("spend", ["tab", "enter"], "key=me"),
        ("spend", ["b", "tab", "enter"], "target=anthropic/claude-sonnet-5"),
        ("keys", ["enter"], "key=me"),
        ("keys", ["tab", "j", "enter"], "tenant=ml"),
        ("providers", ["j", "enter"], "provider=groq"),
        ("providers", ["tab", "enter"], "target=anthropic/claude-sonnet-5"),
    ],
)
def test_enter_opens_the_requests_behind_a_figure(screen: str, keys: list[str], terms: str):
    """D-26: from any figure to its requests, by the filter that selects them."""
    asked: list[str] = []

    async def drill(app: Dash, pilot: Any) -> None:
        app.show_requests = asked.append  # type: ignore[method-assign,assignment]
        await pilot.press(*keys)
        await pilot.pause()
        assert asked == [terms]

    run(drill, screen)


def _simulated(ask: SimulateRoutes) -> Simulated:
    quality = 0.7 if ask.quality is None else ask.quality
    before = PolicyView(local=600, cheap=300, premium=100, cost_nanousd=4_120_000_000, good=0.93)
    part = round(1000 * quality)
    after = PolicyView(
        local=(1000 - part) // 2, cheap=(1000 - part) // 2, premium=part,
        cost_nanousd=part * 10_000_000, good=0.8 + quality * 0.16,
    )  # fmt: skip
    return Simulated(
        quality=quality, max_regret=0.1, requests=1000, fixed=10, changed=5, unpriced=0, before=before, after=after,
        saved_nanousd=0,
    )  # fmt: skip


def test_the_dial_is_weighed_on_demand():
    """D-26: what-if by `route simulate`, asked for by a key and never by itself; regret is against the best setting."""
    gateway = Asked(SimulateRoutes=_simulated)

    async def weigh(app: Dash, pilot: Any) -> None:
        assert gateway.asked == []
        await pilot.press("d")
        await settled(app, pilot)
        assert [each.quality for each in gateway.asked] == [None, 0.0, 0.25, 0.5, 0.75, 1.0]
        check_frame(app, "routing-dial")

    run(weigh, "routing", reach=gateway)


def test_a_gateway_of_one_tier_says_so():
    """Where nothing is decided the dial says why, and the screen goes on."""
    gateway = Asked(SimulateRoutes=NotFound("there is one tier only, so nothing is decided"))

    async def weigh(app: Dash, pilot: Any) -> None:
        await pilot.press("d")
        await settled(app, pilot)
        assert "one tier only" in " ".join(frame(app).replace("│", " ").split())

    run(weigh, "routing", reach=gateway)


def test_a_week_without_decisions_is_not_weighed():
    """Where callers named every model there is no cost and no regret to tell, so no table of zeros is shown."""
    none = PolicyView(local=0, cheap=0, premium=0, cost_nanousd=0, good=0.0)
    gateway = Asked(SimulateRoutes=lambda ask: replace(_simulated(ask), requests=0, before=none, after=none))

    async def weigh(app: Dash, pilot: Any) -> None:
        await pilot.press("d")
        await settled(app, pilot)
        words = " ".join(frame(app).replace("│", " ").split())
        assert "no request of the last week" in words
        assert "REGRET" not in words

    run(weigh, "routing", reach=gateway)


def _answers(ask: ListEntries) -> Entries:
    texts = ("what is our refund policy?", "summarise this ticket", "translate to french")
    found = tuple(
        EntryView(
            id=number, created_at=AT - number * HOUR, expires_at=None, tenant="default", key="bot", tags=(), model="auto",
            target="openai/gpt-5-nano", tier="cheap", kind="usual", hits=1000 // number, last_hit_at=AT, pinned=number == 2, bytes=2048 * number,
            saved_nanousd=2_100_000_000 // number, cost_nanousd=100, latency_us=10,
            input_tokens=1, output_tokens=1, fingerprint="00", beginning=text, prompt=text,
        )
        for number, text in enumerate(texts, 1)
        if ask.text is None or ask.text in text
    )  # fmt: skip
    return Entries(entries=found, total=len(found))


def test_entries_are_listed_and_one_is_forgotten():
    """Enter on a top entry lists the answers with its words, `a` all of them; x forgets the one under the cursor."""
    gateway = Asked(
        ListEntries=_answers, ClearCache=Cleared(removed=1, would_remove=1, bytes=10, dry_run=False)
    )

    async def look(app: Dash, pilot: Any) -> None:
        await pilot.press("tab", "tab", "enter")
        await settled(app, pilot)
        assert gateway.asked == [ListEntries(text="what is our refund policy?", sort="hits", limit=500)]
        await pilot.press("escape", "a")
        await settled(app, pilot)
        check_frame(app, "answers")
        await pilot.press("j", "x", "y")
        await settled(app, pilot)
        assert gateway.asked[-2:] == [ClearCache(ids=(2,)), ListEntries(sort="hits", limit=500)]

    run(look, "cache", reach=gateway, write=True)


@pytest.mark.parametrize(
    ("screen", "keys"), [("cache", ["x"]), ("keys", ["x"]), ("spend", ["B"]), ("keys", ["B"])], ids=str
)
def test_a_dashboard_without_write_changes_nothing(screen: str, keys: list[str]):
    """Read-only unless --write: keys that change something are dead."""
    gateway = Asked()

    async def press(app: Dash, pilot: Any) -> None:
        await pilot.press(*keys, "y")
        await settled(app, pilot)
        assert not [each for each in gateway.asked if not isinstance(each, ListEntries | ListBudgets)]

    run(press, screen, reach=gateway)


def test_the_cache_is_cleared_after_a_yes():
    """With --write x shows the command, n leaves all as it was, y clears."""
    gateway = Asked(ClearCache=Cleared(removed=8204, would_remove=8204, bytes=10, dry_run=False))

    async def clear(app: Dash, pilot: Any) -> None:
        await pilot.press("x")
        await pilot.pause()
        assert "llmgw cache clear -y" in frame(app)
        await pilot.press("n")
        await settled(app, pilot)
        assert gateway.asked == []
        await pilot.press("x", "y")
        await settled(app, pilot)
        assert gateway.asked == [ClearCache()]

    run(clear, "cache", reach=gateway, write=True)


def test_a_key_is_paused_and_let_go_again():
    """With --write x throws the kill switch of the key under the cursor, and lifts it where it is thrown."""
    gateway = Asked(ThrowKill=None, LiftKill=None)

    async def pause(app: Dash, pilot: Any) -> None:
        await pilot.press("j", "x")
        await pilot.pause()
        assert "llmgw kill on key:bot --reason 'paused from the dashboard'" in frame(app)
        await pilot.press("y")
        await settled(app, pilot)
        assert gateway.asked == [ThrowKill(scope="key:bot", reason="paused from the dashboard")]
        thrown = Standing(kills=(KillNow(scope="key:bot", mode="kill", reason="", by="me", at=AT),))
        last = BEATS[-1]
        assert isinstance(last, Pulse)
        app.picture.standing = Standing(keys=whole().keys, kills=thrown.kills)
        app.repaint()
        await pilot.press("x", "y")
        await settled(app, pilot)
        assert gateway.asked[-1] == LiftKill(scope="key:bot")

    run(pause, "keys", reach=gateway, write=True)


def test_a_budget_is_set_with_its_marks_as_they_were():
    """With --write B asks for an amount, refuses what is none, shows the command and keeps warnings and actions."""
    budget = Budget(
        scope=parse_scope("tenant:ml"), window=Window.WEEK, unit=Unit.MONEY, hard=50 * 10**9, warn=(80, 95),
        on_exceed="downgrade:cheap",
    )  # fmt: skip
    row = Overview(budget=budget, spent=0, held=0, burn=0, period="2026-W47", until=AT, runs_out_at=None)
    gateway = Asked(ListBudgets=Budgets((view(row),)), SetBudget=None)

    async def set_it(app: Dash, pilot: Any) -> None:
        await pilot.press("j", "B")
        await settled(app, pilot)
        assert "llmgw budget set tenant:ml 50/week" in frame(app)
        app.screen.query_one(Input).value = "75/fortnight"
        await pilot.press("enter")
        await settled(app, pilot)
        assert any("is not an amount for a window" in each.message for each in app._notifications)
        await pilot.press("B")
        await settled(app, pilot)
        app.screen.query_one(Input).value = "75/week"
        await pilot.pause()
        assert "llmgw budget set tenant:ml 75/week" in frame(app)
        await pilot.press("enter")
        await settled(app, pilot)
        (set_,) = [each for each in gateway.asked if isinstance(each, SetBudget)]
        assert (set_.hard_nanousd, set_.warn, set_.on_exceed) == (75 * 10**9, (80, 95), "downgrade:cheap")

    run(set_it, "spend", reach=gateway, write=True)


def test_spending_is_grouped_and_exported(tmp_path: Path):
    """b goes through what can be added up by; e writes what is shown, exactly."""

    async def export(app: Dash, pilot: Any) -> None:
        for by in ("MODEL", "TAG", "DAY", "PROVIDER", "TIER", "TENANT", "KEY"):
            await pilot.press("b")
            assert f" {by} " in frame(app)
        await pilot.press("e", "tab", "e")
        await pilot.pause(0.2)
        found = {path.name: path.read_text() for path in tmp_path.glob("*.csv")}
        assert sorted(found) == [
            "spend-budgets-2026-11-21T14-03-01.csv",
            "spend-by-key-2026-11-21T14-03-01.csv",
        ]
        cost = sum(line.counts.cost for line in app.picture.in_window())
        rows = found["spend-by-key-2026-11-21T14-03-01.csv"].splitlines()[1:]
        assert sum(int(row.split(",")[5]) for row in rows) == cost

    run(export, "spend", shots=tmp_path)


def test_an_answer_under_way_is_kept_in_part() -> None:
    """However much a call writes, its screen keeps the end of it."""

    class Talking:
        async def overhear(self, name: str) -> AsyncIterator[str]:
            for number in range(500):
                yield f"{number} " * 100
            yield "the end"

    screen = Request("req_1")
    screen.repaint = lambda: None  # type: ignore[method-assign]
    asyncio.run(screen._overhear(Talking()))  # type: ignore[arg-type]
    assert len(screen.live) == KEPT
    assert screen.live.endswith("499 the end")


@pytest.mark.parametrize("plain", [False, True])
def test_nothing_that_is_shown_commands_the_terminal(plain: bool) -> None:
    """A control character in a name or an answer is drawn as one sign, and lines stay as wide as their box."""

    async def deed(app: Dash, pilot: Any) -> None:
        page = next(each for each in app.screen.query(Pane) if each.content_size and type(each) is Pane)
        page.show(lambda paper: fold("a\x1b]0;b\x9b2J\x7fc", paper.width))
        await pilot.pause()
        drawn = "".join(segment.text for segment in page._strips[0])
        assert drawn.isprintable()
        assert "a?]0;b?2J?c" in drawn.replace("\N{REPLACEMENT CHARACTER}", "?")
        assert page._strips[0].cell_length == page.content_size.width

    run(deed, "overview", plain=plain)
