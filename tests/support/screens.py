"""The dashboard in a test: fed with beats, driven by keys, read as text.

    async with dashboard(canned(), screen="cache", size=(80, 24)) as (app, pilot):
        await pilot.press("s")
        check_frame(app, "cache-80x24")          # tests/frames/cache-80x24.txt

``LLMGW_FRAMES=write pytest tests/tui`` writes the frames anew; read the difference before you keep them.
"""

from __future__ import annotations

import asyncio
import io
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console

from llmgw.client.feed import Feed, State
from llmgw.errors import NotRunning
from llmgw.tui.app import Dash, Options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from textual.pilot import Pilot

    from llmgw.domain.pulse import Beat

FRAMES = Path(__file__).resolve().parents[1] / "frames"


class Told(Feed):
    """A feed of a test: ``tell`` puts a beat in, ``become`` changes its state."""

    def __init__(self, window: str = "1h", state: State = State.LIVE) -> None:
        super().__init__("127.0.0.1:8000", window)
        self._state = state

    async def tell(self, beat: Beat) -> None:
        await self._give(beat)

    def become(self, state: State, words: str = "") -> None:
        self._state, self.words = state, words

    async def _run(self) -> None:
        await asyncio.Event().wait()

    def _changed(self) -> None:
        pass


def nowhere() -> NoReturn:
    """There is no gateway to be asked."""
    raise NotRunning("no gateway is there to be asked")


@asynccontextmanager
async def dashboard(
    beats: Iterable[Beat] = (),
    *,
    size: tuple[int, int] = (100, 30),
    feed: Feed | None = None,
    reach: Any = None,
    **options: Any,
) -> AsyncIterator[tuple[Dash, Pilot[None]]]:
    """A dashboard that has taken all beats."""
    feed = feed or Told()
    app = Dash(feed, reach or nowhere, Options(**options))
    async with app.run_test(size=size) as pilot:
        for beat in beats:
            app.take(beat)
        await pilot.pause()
        app.repaint()
        await pilot.pause()
        yield app, pilot
    await feed.close()


def frame(app: Dash) -> str:
    """What is on the screen, as text."""
    width, height = app.size
    console = Console(width=width, height=height, file=io.StringIO(), record=True, force_terminal=True)
    stack = app._background_screens
    console.print(app.screen._compositor.render_update(full=True, screen_stack=stack))
    return "".join(f"{line.rstrip()}\n" for line in console.export_text().splitlines())


def check_frame(app: Dash, name: str) -> None:
    """The screen looks as it did when the frame was written."""
    path, found = FRAMES / f"{name}.txt", frame(app)
    if os.environ.get("LLMGW_FRAMES") == "write":
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")
