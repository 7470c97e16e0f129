"""The dashboard as it is seen and driven: sizes, states, keys, pause, travel, themes, keymap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from rich.segment import Segment
from support.beats import AT, canned, history, whole
from support.screens import Told, check_frame, dashboard, frame
from textual.events import MouseScrollDown
from textual.strip import Strip

from llmgw.client.feed import Replay, State
from llmgw.domain.pulse import History, Pulse
from llmgw.errors import ConfigInvalid
from llmgw.tui import themes
from llmgw.tui.actions import EVERYWHERE, TABLES, actions, check_keymap, find, places
from llmgw.tui.app import SOME_THEMES, Dash, Options
from llmgw.tui.widgets.pane import Pane, _changed
from llmgw.tui.widgets.table import Table

BEATS = canned(seconds=30)
SIZES = ((80, 24), (100, 30), (200, 50), (40, 10))


def run(deed: Callable[[Dash, Any], Awaitable[None]], *, beats: Any = BEATS, **options: Any) -> None:
    async def go() -> None:
        async with dashboard(beats, **options) as (app, pilot):
            await deed(app, pilot)

    asyncio.run(go())


async def settled(app: Dash, pilot: Any) -> None:
    app.repaint()
    await pilot.pause(0.05)


class Past(Replay):
    """A past that is told by the test."""

    def __init__(self) -> None:
        super().__init__("this machine")
        self.began, self.ends, self._at = AT - 3600 * 10**9, AT + 30 * 10**9, AT
        self._state = State.REPLAY

    @property
    def at(self) -> int:
        return self._at

    def seek(self, at: int) -> None:
        self._at = at

    def set_speed(self, speed: float) -> None:
        self.speed = speed

    async def _run(self) -> None:
        await self._give(BEATS[0])
        await asyncio.Event().wait()

    def _changed(self) -> None:
        pass


@pytest.mark.parametrize("screen", ["overview", "requests"])
def test_a_screen_at_each_size(screen: str) -> None:
    """The screen is drawn whole at each size, and at 40x10 says what fits."""

    async def deed(app: Dash, pilot: Any) -> None:
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            await settled(app, pilot)
            check_frame(app, f"{screen}-{width}x{height}")

    run(deed, screen=screen)


def test_plain_ascii_is_plain_ascii() -> None:
    """With --ascii no other character is on the screen, frames and bars and curves included."""

    async def deed(app: Dash, pilot: Any) -> None:
        await settled(app, pilot)
        check_frame(app, "overview-ascii")
        assert frame(app).isascii()
        await pilot.press("2")
        await settled(app, pilot)
        assert frame(app).isascii()

    run(deed, plain=True)


def test_help_tells_every_key_the_context_first() -> None:
    """Help is made from the registry: the keys of the screen one came from come before those of everywhere."""

    async def deed(app: Dash, pilot: Any) -> None:
        await pilot.press("2", "question_mark")
        await settled(app, pilot)
        check_frame(app, "help-100x50")
        shown = frame(app)
        assert shown.index("Doctor") < shown.index("Everywhere") < shown.index("Screenshot")
        await pilot.press("escape")
        assert app.screen.place() == "requests"  # type: ignore[attr-defined]

    run(deed, size=(100, 50))


def test_help_does_what_is_chosen() -> None:
    """Enter on a line of help does that where help was asked for."""

    async def deed(app: Dash, pilot: Any) -> None:
        await pilot.press("question_mark")
        await pilot.pause(0.1)
        table = app.screen.query_one(Table)
        table.cursor = next(at for at, row in enumerate(table.rows) if row.key == "units")
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert app.units == "tokens"

    run(deed)


STATES = {
    "connecting": (State.CONNECTING, "", ()),
    "down": (State.DOWN, "the gateway is not running; `llmgw serve` starts it", BEATS[:1]),
    "empty": (State.LIVE, "", [history([], AT)]),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_said_plainly(name: str) -> None:
    """Where there is nothing to see, a card says why and what helps."""
    state, words, beats = STATES[name]
    feed = Told(state=state)
    feed.become(state, words)

    async def deed(app: Dash, pilot: Any) -> None:
        await settled(app, pilot)
        check_frame(app, f"state-{name}")

    run(deed, beats=beats, feed=feed, serve=("true",))


def test_a_remote_gateway_that_is_down_cannot_be_started() -> None:
    """No key starts a gateway elsewhere; its address is in the header."""
    feed = Told(state=State.DOWN)
    feed.name = "https://gate.example"
    feed.words = "no gateway answers at https://gate.example (refused)"

    async def deed(app: Dash, pilot: Any) -> None:
        await settled(app, pilot)
        assert "down  gate.example" in frame(app)
        assert "run `llmgw serve`" not in frame(app)
        assert app.check_action("serve", ()) is False

    run(deed, beats=(), feed=feed)


def test_a_silent_feed_is_stale_and_says_since_when() -> None:
    """After three seconds without a pulse the header says so, and takes it back with the next one."""

    async def deed(app: Dash, pilot: Any) -> None:
        feed = app.feed
        await feed.tell(BEATS[1])  # type: ignore[attr-defined]
        assert feed.state is State.LIVE
        feed._beat_at -= 6  # type: ignore[operator]
        app._watch()
        await pilot.pause()
        assert "! no pulse for 6 s" in frame(app)
        await feed.tell(BEATS[2])  # type: ignore[attr-defined]
        app._watch()
        await pilot.pause()
        assert "no pulse" not in frame(app)

    run(deed)


def test_simulated_stands_on_every_screen() -> None:
    """Of a demo each screen says that it is simulated, at every size."""
    standing = whole(AT)
    assert standing.process is not None
    standing = replace(standing, process=replace(standing.process, simulated=True))
    first = BEATS[0]
    assert isinstance(first, History)

    async def deed(app: Dash, pilot: Any) -> None:
        for size in ((100, 30), (80, 24), (40, 10)):
            await pilot.resize_terminal(*size)
            for screen in places().values():
                app.action_go(screen)
                await settled(app, pilot)
                assert "SIMULATED" in frame(app), (screen, size)

    run(deed, beats=[replace(first, standing=standing)])


def test_no_size_breaks_a_screen() -> None:
    """Down to a few cells and up again nothing fails on any screen."""

    async def deed(app: Dash, pilot: Any) -> None:
        for keys in (
            *((str(digit),) for digit in places()),
            ("2", "question_mark"),
            ("2", "d"),
            ("2", "enter"),
        ):
            await pilot.press(*keys)
            for width, height in ((40, 10), (3, 2), (1, 1), (300, 90), (100, 30)):
                await pilot.resize_terminal(width, height)
                await settled(app, pilot)
            assert frame(app).strip()
            await pilot.press("escape")

    run(deed)


def test_a_clock_that_jumps_breaks_nothing() -> None:
    """A day ahead and an hour back: the figures of the day go, nothing fails."""
    last = BEATS[-1]
    assert isinstance(last, Pulse)

    async def deed(app: Dash, pilot: Any) -> None:
        for number, jump in enumerate((24 * 3600, -3600, 31 * 24 * 3600, 0), 1):
            app.take(replace(last, at=last.at + jump * 10**9, seq=last.seq + number))
            for screen in places().values():
                app.action_go(screen)
                await settled(app, pilot)
                assert frame(app).strip()

    run(deed)


def test_a_pause_holds_the_picture_and_counts() -> None:
    """While it is held the rows stay, what comes is counted in the header; then all of it is there."""

    async def deed(app: Dash, pilot: Any) -> None:
        await pilot.press("2")
        await settled(app, pilot)
        tail = app.screen.tail  # type: ignore[attr-defined]
        before = [row.key for row in tail.rows]
        await pilot.press("space")
        for beat in BEATS[21:]:
            app.take(beat)
        await settled(app, pilot)
        assert [row.key for row in tail.rows] == before
        assert "paused +120" in frame(app)
        assert "space Resume" in frame(app)
        await pilot.press("space")
        await pilot.pause(0.05)
        assert len(tail.rows) == len(before) + 120
        assert "paused" not in frame(app)

    run(deed, beats=BEATS[:21])


def test_the_tail_follows_until_the_cursor_moves() -> None:
    """The newest request is on top and under the cursor; a cursor that was moved stays on its request until `f`."""

    async def deed(app: Dash, pilot: Any) -> None:
        await pilot.press("2")
        await settled(app, pilot)
        tail = app.screen.tail  # type: ignore[attr-defined]
        app.take(BEATS[21])
        await settled(app, pilot)
        assert tail.cursor == 0
        assert tail.row.key == app.picture.seen[-1].id
        await pilot.press("j", "j")
        chosen = tail.row.key
        app.take(BEATS[22])
        await settled(app, pilot)
        assert tail.row.key == chosen
        assert tail.cursor == 14
        await pilot.press("f")
        assert tail.cursor == 0

    run(deed, beats=BEATS[:21])


def test_requests_are_filtered_as_it_is_typed() -> None:
    """Rows go while a filter is typed; what makes no sense is said and changes nothing; esc shows all again."""

    async def deed(app: Dash, pilot: Any) -> None:
        await pilot.press("slash")
        await pilot.pause(0.1)
        assert app.screen.place() == "requests"  # type: ignore[attr-defined]
        await pilot.press(*"key:ci", "space", *"tier:cheap")
        await pilot.pause(0.05)
        tail = app.screen.tail  # type: ignore[attr-defined]
        found = [each for each in app.picture.seen if each.key == "ci" and each.tier == "cheap"]
        assert [row.key for row in tail.rows] == [each.id for each in reversed(found)]
        await pilot.press("space", *"modle:x")
        await pilot.pause(0.05)
        assert "did you mean" in frame(app)
        assert len(tail.rows) == len(found)
        await pilot.press(*["backspace"] * 8, "enter")
        await pilot.pause(0.05)
        assert "/ key:ci tier:cheap" in frame(app).splitlines()[0]
        assert app.screen.command == "llmgw request list --key ci --tier cheap"  # type: ignore[attr-defined]
        await pilot.press("escape")
        await pilot.pause(0.05)
        assert len(tail.rows) == len(app.picture.seen)

    run(deed)


def test_words_are_gone_through_with_n() -> None:
    """`n` goes to the next row that holds the words, `N` to the one before."""

    async def deed(app: Dash, pilot: Any) -> None:
        await pilot.press("2", "slash")
        await pilot.pause(0.1)
        await pilot.press(*"qwen3", "enter")
        await pilot.pause(0.1)
        tail = app.screen.tail  # type: ignore[attr-defined]
        holding = [
            at for at, row in enumerate(tail.rows) if "qwen3" in f"{row.seen.model}{row.seen.model_asked}"
        ]
        await pilot.press("g")
        await pilot.press("n", "n")
        expected = [at for at in holding if at > 0][1]
        assert tail.cursor == expected
        await pilot.press("N")
        assert tail.cursor == next(at for at in holding if at > 0)

    run(deed)


def test_a_figure_leads_to_the_requests_behind_it() -> None:
    """Enter on a model, and on a key, shows its requests."""

    async def deed(app: Dash, pilot: Any) -> None:
        await settled(app, pilot)
        app.screen.query_one("#keys", Table).focus()
        await pilot.press("j", "enter")
        await pilot.pause(0.1)
        name = app.screen.tail.filter.text  # type: ignore[attr-defined]
        assert name.startswith("key=")
        assert {f"key={row.seen.key}" for row in app.screen.tail.rows} == {name}  # type: ignore[attr-defined]
        await pilot.press("escape", "escape")
        assert app.current_mode == "overview"

    run(deed)


def test_a_table_sorts_by_each_column() -> None:
    """`s` goes through the columns, `S` turns the order; the cursor stays on its row."""

    async def deed(app: Dash, pilot: Any) -> None:
        await settled(app, pilot)
        table = app.screen.query_one("#models", Table)
        table.focus()
        chosen = table.row
        await pilot.press("s", "s")
        counts = [row.values[1] for row in table.rows]
        assert counts == sorted(counts, reverse=True)
        await pilot.press("S")
        assert [row.values[1] for row in table.rows] == sorted(counts)
        assert table.row is not None
        assert chosen is not None
        assert table.row.key == chosen.key

    run(deed)


def test_the_past_is_travelled_and_left() -> None:
    """`[` goes into the past, where space and + - mind time itself; `]` at its end, or esc, comes back."""

    async def go() -> None:
        app = Dash(Told(), None, Options(), Past)  # type: ignore[arg-type]
        async with app.run_test(size=(100, 30)) as pilot:
            for beat in BEATS:
                app.take(beat)
            present = app.picture
            await pilot.press("left_square_bracket")
            await pilot.pause(0.1)
            assert "▶ 1x 14:02:31" in frame(app)
            await pilot.press("plus", "space")
            await pilot.pause(0.1)
            assert app.feed.speed == 0  # type: ignore[attr-defined]
            assert "|| 14:02:31" in frame(app)
            await pilot.press("left_square_bracket")
            assert app.feed.at == AT - 60 * 10**9  # type: ignore[attr-defined]
            await pilot.press("right_square_bracket", "right_square_bracket")
            await pilot.pause(0.1)
            assert app.picture is present
            assert "● up 3d 04h" in frame(app)

    asyncio.run(go())


def test_every_theme_knows_every_name() -> None:
    """Each theme, Textual's and ANSI ones too, has a style for every name that drawings use."""

    async def deed(app: Dash, pilot: Any) -> None:
        for name in app.available_themes:
            app.theme = name
            await pilot.pause()
            assert set(themes.NAMES) <= set(app.ink._theme_stack._entries[-1])

    run(deed)


def test_t_goes_through_the_themes() -> None:
    """After the last theme comes the first."""

    async def deed(app: Dash, pilot: Any) -> None:
        seen = []
        for _ in SOME_THEMES:
            seen.append(app.theme)
            await pilot.press("t")
        assert tuple(seen) == SOME_THEMES
        assert app.theme == SOME_THEMES[0]

    run(deed)


def test_a_keymap_moves_a_key() -> None:
    """The configuration gives an action another key; the old one does nothing, footer and help show the new one."""

    async def deed(app: Dash, pilot: Any) -> None:
        await settled(app, pilot)
        await pilot.press("u")
        assert app.units == "$"
        await pilot.press("U")
        assert app.units == "tokens"
        assert "H Help" in frame(app)

    run(deed, keymap={"units": "U", "help": "H"})


def test_a_keymap_of_no_action_is_refused() -> None:
    """An unknown id is an error that names the nearest one; an unknown theme too."""
    with pytest.raises(ConfigInvalid, match="no such action") as refused:
        check_keymap({"windw": "w"})
    assert refused.value.hint == "did you mean `window`?"
    with pytest.raises(ConfigInvalid, match="names no key"):
        check_keymap({"window": 3})  # type: ignore[dict-item]
    with pytest.raises(ConfigInvalid, match="there is no theme `nrod`"):
        Dash(Told(), None, Options(theme="nrod"))  # type: ignore[arg-type]


def test_ids_are_unique_and_keys_do_not_clash() -> None:
    """No two actions of one place have an id or a key in common."""
    assert len({action.id for action in actions()}) == len(actions())
    for place in (EVERYWHERE, TABLES, *places().values()):
        keys = [key for action in actions() if place in action.where for key in action.keys.split(",")]
        assert len(set(keys)) == len(keys), place
    assert find("quit") is not None
    assert find("nothing") is None


def test_every_action_can_be_done() -> None:
    """Each action of the registry has its method where it is bound."""
    from llmgw.tui.app import load

    for action in actions():
        for place in action.where:
            if action.id in places().values():
                continue
            owner = {EVERYWHERE: Dash, TABLES: Table}.get(place) or load(place)
            assert hasattr(owner, f"action_{action.id}"), (place, action.id)


def test_the_palette_offers_what_can_be_done() -> None:
    """It is found by name, and done."""

    async def deed(app: Dash, pilot: Any) -> None:
        await pilot.press("colon")
        await pilot.pause(0.1)
        await pilot.press(*"units")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert app.units == "tokens"

    run(deed)


def test_a_screenshot_is_written(tmp_path: Path) -> None:
    """ctrl+s writes what is seen as SVG."""

    async def deed(app: Dash, pilot: Any) -> None:
        await pilot.press("ctrl+s")
        await pilot.pause()
        (shot,) = (tmp_path / "shots").iterdir()
        assert shot.name.startswith("overview-")
        assert "Top&#160;models" in shot.read_text(encoding="utf-8")

    run(deed, shots=tmp_path / "shots")


def test_what_is_copied_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    """`y` copies the command of what is under the cursor, of a request a curl."""
    copied: list[str] = []
    monkeypatch.setattr(Dash, "copy_to_clipboard", lambda _, text: copied.append(text))

    async def deed(app: Dash, pilot: Any) -> None:
        await settled(app, pilot)
        await pilot.press("y")
        assert copied.pop() == "llmgw request list --provider anthropic --model claude-sonnet-5"
        await pilot.press("2")
        await settled(app, pilot)
        await pilot.press("y")
        newest = app.picture.seen[-1].id
        await pilot.press("enter")
        await pilot.pause(0.1)
        await pilot.press("y")
        assert copied == [
            f"llmgw request show {newest}",
            f'curl http://127.0.0.1:8000/admin/requests/{newest}/why -H "authorization: Bearer $LLMGW_ADMIN_KEY"',
        ]

    run(deed)


def test_the_first_request_is_copied_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """`y` copies the curl that the card of an empty gateway shows."""
    copied: list[str] = []
    monkeypatch.setattr(Dash, "copy_to_clipboard", lambda _, text: copied.append(text))

    async def deed(app: Dash, pilot: Any) -> None:
        await pilot.press("y")
        assert copied[0].startswith("curl http://127.0.0.1:8000/v1/chat/completions -H")
        assert "lgw_" not in copied[0]

    run(deed, beats=[history([], AT)])


def test_zoom_shows_one_pane_alone() -> None:
    """`z` gives the pane in focus the whole screen, and again gives it back."""

    async def deed(app: Dash, pilot: Any) -> None:
        await settled(app, pilot)
        await pilot.press("z")
        await pilot.pause(0.1)
        assert "Top models" in frame(app)
        assert "Top keys" not in frame(app)
        assert "Overview" in frame(app).splitlines()[0]
        await pilot.press("z")
        await pilot.pause(0.1)
        assert "Top keys" in frame(app)

    run(deed)


def test_only_cells_that_changed_are_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A beat that changes a figure repaints the cells of that figure, not the screen. # ux 5.1"""

    async def deed(app: Dash, pilot: Any) -> None:
        await settled(app, pilot)
        painted: list[int] = []
        refresh = Pane.refresh

        def counted(self: Pane, *regions: Any, **more: Any) -> Any:
            painted.append(sum(region.area for region in regions))
            return refresh(self, *regions, **more)

        monkeypatch.setattr(Pane, "refresh", counted)
        last = BEATS[-1]
        assert isinstance(last, Pulse)
        app.take(replace(last, at=last.at + 10**9, seq=last.seq + 1, lines=(), seen=(), spreads=()))
        await settled(app, pilot)
        assert 0 < sum(painted) < 100 * 30 / 20

    run(deed)


def test_changed_cells_are_found() -> None:
    """The region begins with the first cell that differs and ends with the last one."""
    old, new = Strip([Segment("spend $1.23 now")]), Strip([Segment("spend $1.45 now")])

    region = _changed(3, old, new)

    assert region is not None
    assert (region.x, region.y, region.width, region.height) == (9, 3, 2, 1)
    assert _changed(0, Strip([Segment("ab")]), Strip([Segment("a"), Segment("b")])) is None


def test_a_click_chooses_a_row_and_another_opens_it() -> None:
    """The mouse does what cursor and enter do; its wheel moves the cursor."""

    async def deed(app: Dash, pilot: Any) -> None:
        await pilot.press("2")
        await settled(app, pilot)
        tail = app.screen.tail  # type: ignore[attr-defined]
        await pilot.click(tail, offset=(5, 4))
        assert tail.cursor == 3
        chosen = tail.row.key
        await pilot.click(tail, offset=(5, 4))
        await pilot.pause(0.1)
        assert app.screen.request_id == chosen  # type: ignore[attr-defined]
        await pilot.press("escape")
        tail.on_mouse_scroll_down(MouseScrollDown(tail, 5, 5, 0, 1, 0, False, False, False))
        assert tail.cursor == 6

    run(deed)


def test_a_click_on_the_footer_presses_its_key() -> None:
    """What the footer names can be clicked."""

    async def deed(app: Dash, pilot: Any) -> None:
        await settled(app, pilot)
        place = frame(app).splitlines()[-1].index("Cache")
        await pilot.click(offset=(place, 29))
        await pilot.pause(0.1)
        assert app.current_mode == "cache"

    run(deed)
