"""The dashboard itself: takes the beats of a feed into a picture and has the screen in sight draw from it."""

from __future__ import annotations

import importlib
import os
import subprocess
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from rich.console import Console
from textual.app import App
from textual.binding import Binding

from llmgw.client.feed import Replay, State
from llmgw.domain.pulse import History, Pulse
from llmgw.errors import GatewayError
from llmgw.rules.picture import MINUTE, WINDOWS, Picture
from llmgw.tui import states, themes
from llmgw.tui.actions import EVERYWHERE, bindings, check_keymap, places
from llmgw.tui.frame import Frame
from llmgw.tui.palette import Palette

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from rich.text import Text

    from llmgw.client.feed import Feed
    from llmgw.client.gateway import Gateway
    from llmgw.domain.pulse import Beat
    from llmgw.tui.widgets.pane import Draw

UNITS = ("$", "tokens", "requests")
INTERVALS = (1.0, 2.0, 5.0, 10.0, 30.0)
SPEEDS = (1.0, 2.0, 5.0, 10.0, 60.0)
SOME_THEMES = (
    themes.DARK,
    themes.LIGHT,
    "nord",
    "gruvbox",
    "tokyo-night",
    "dracula",
    "ansi-dark",
    "ansi-light",
)
"""What ``t`` goes through; the palette has all of them."""
SERVE_SECONDS = 60
PRELOAD_SECONDS = 1.0
KEY_WORDS = {"enter": "enter", "escape": "esc", "plus": "+", "minus": "-"}


class Options(NamedTuple):
    """How the dashboard was asked for. ``shots`` is where screenshots go, ``serve`` what starts a gateway here."""

    theme: str = themes.DARK
    plain: bool = False
    interval: float = 1.0
    write: bool = False
    screen: str = "overview"
    keymap: Mapping[str, str] = {}
    shots: Path = Path()
    serve: tuple[str, ...] = ()


class Dash(App[None]):
    """``reach`` opens the gateway that is asked for single requests, ``past`` a replay of what it remembers."""

    TITLE = "llmgw"
    CSS_PATH: ClassVar = sorted((Path(__file__).parent / "styles").glob("*.tcss"))
    BINDINGS = bindings(EVERYWHERE)
    COMMANDS: ClassVar = {Palette}
    MODES: ClassVar = {name: partial(lambda name: load(name)(), name) for name in places().values()}

    def __init__(
        self,
        feed: Feed,
        reach: Callable[[], AbstractContextManager[Gateway]],
        options: Options = Options(),  # noqa: B008 (immutable)
        past: Callable[[], Replay] | None = None,
    ) -> None:
        """ConfigInvalid for a keymap or a theme that cannot be."""
        check_keymap(options.keymap)
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") else None)  # else colours become greys
        self.animation_level = "none"
        for theme in themes.THEMES:
            self.register_theme(theme)
        themes.check(options.theme, self.available_themes)
        self.feed, self.reach, self.options, self.past = feed, reach, options, past
        self.picture = Picture()
        self.ink = Console()
        """Knows the styles that drawings name."""
        self.plain = options.plain
        self.units = UNITS[0]
        self.interval = options.interval
        self.paused = False
        self.missed = 0
        """Requests that came since the pause."""
        self._present = feed, self.picture
        self._been: list[str] = []
        self._painted = 0.0
        self._told: tuple[State, str] = (feed.state, "")
        self.set_keymap(dict(options.keymap))

    @property
    def window(self) -> str:
        """How far back is looked."""
        return self.feed.window

    @property
    def travels(self) -> bool:
        """Whether the past is looked at from a present that goes on."""
        return self.feed is not self._present[0]

    @property
    def held(self) -> bool:
        """Whether time stands still."""
        return self.paused or (isinstance(self.feed, Replay) and not self.feed.speed)

    @property
    def remote(self) -> bool:
        """Whether the gateway is not one that could be started here."""
        return not self.options.serve

    def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, lambda _: self._dye())
        self.app_resume_signal.subscribe(self, lambda _: self.screen.refresh())
        self.theme = self.options.theme
        self._dye()
        self.set_class(self.plain, "-ascii")
        self.switch_mode(self.options.screen)
        self.run_worker(self._listen(*self._present), group="present")
        self.set_interval(1.0, self._watch)
        self.set_timer(PRELOAD_SECONDS, self._preload)

    async def on_unmount(self) -> None:
        for feed in {self.feed, self._present[0]}:
            await feed.close()

    def take(self, beat: Beat) -> None:
        """Add a beat to the picture that is looked at, and draw it when it is time."""
        self.picture.take(beat)
        if self.paused:
            if isinstance(beat, Pulse):
                self.missed += len(beat.seen) + beat.unseen
            self._header()
        elif isinstance(beat, History) or time.monotonic() - self._painted >= self.interval - 0.2:
            self.repaint()

    def repaint(self) -> None:
        """Draw the screen in sight anew."""
        self._painted = time.monotonic()
        for screen in reversed(self.screen_stack):
            if isinstance(screen, Frame):
                screen.repaint()
                return

    def card(self) -> Draw | None:
        """What stands over a screen that has nothing to show."""
        return states.card(self.feed, self.picture, remote=self.remote, past=self.past is not None)

    def state_words(self, *, short: bool) -> Text:
        """How the gateway is, for the header."""
        return states.words(self.feed, self.picture, plain=self.plain, short=short)

    def spell_key(self, key: str) -> str:
        """A key as footer and help show it."""
        return self.get_key_display(Binding(key, ""))

    def get_key_display(self, binding: Binding) -> str:
        return KEY_WORDS.get(binding.key) or super().get_key_display(binding).replace("^", "ctrl+")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "go":
                return None if parameters == (self.current_mode,) and len(self.screen_stack) == 1 else True
            case "back":
                return len(self.screen_stack) > 1 or bool(self._been) or self.travels
            case "serve":
                return self.feed.state is State.DOWN and not self.remote
            case "seek_back" | "seek_on":
                return isinstance(self.feed, Replay) or (action == "seek_back" and self.past is not None)
        return True

    def action_go(self, name: str) -> None:
        """To a screen."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if name != self.current_mode:
            self._been.append(self.current_mode)
            self.switch_mode(name)

    async def action_back(self) -> None:
        if len(self.screen_stack) > 1:
            self.pop_screen()
        elif self._been:
            self.switch_mode(self._been.pop())
        elif self.travels:
            self._return()

    def action_pause(self) -> None:
        """Hold the picture; of a replay, time itself."""
        if isinstance(self.feed, Replay):
            self.feed.set_speed(0.0 if self.feed.speed else SPEEDS[0])
        else:
            self.paused, self.missed = not self.paused, 0
        self.repaint()
        self.screen.refresh_bindings()

    def action_units(self) -> None:
        self.units = UNITS[(UNITS.index(self.units) + 1) % len(UNITS)]
        self.repaint()

    def action_window(self) -> None:
        windows = list(WINDOWS)
        self.feed.set_window(windows[(windows.index(self.feed.window) + 1) % len(windows)])
        self._header()

    def action_slower(self) -> None:
        self._repace(1)

    def action_faster(self) -> None:
        self._repace(-1)

    def action_seek_back(self) -> None:
        if isinstance(self.feed, Replay):
            self.feed.seek(self.feed.at - MINUTE)
        elif self.past is not None:
            try:
                self._travel(self.past())
            except GatewayError as error:  # there is no ledger yet
                self.notify(error.message, severity="warning", markup=False)

    def action_seek_on(self) -> None:
        if not isinstance(self.feed, Replay):
            return
        if self.travels and self.feed.at + MINUTE >= self.feed.ends:
            self._return()
        else:
            self.feed.seek(self.feed.at + MINUTE)

    def action_theme(self) -> None:
        at = SOME_THEMES.index(self.theme) if self.theme in SOME_THEMES else -1
        self.theme = SOME_THEMES[(at + 1) % len(SOME_THEMES)]
        self.notify(self.theme, timeout=1.5)

    def action_palette(self) -> None:
        self.action_command_palette()

    def action_help(self) -> None:
        if isinstance(self.screen, Frame) and self.screen.place() != "help":
            frame = self.screen
            self.push_screen(load("help")(frame))  # type: ignore[call-arg]

    def action_filter(self) -> None:
        """From elsewhere: to the requests, and type."""
        self.show_requests(None)

    def action_zoom(self) -> None:
        if self.screen.maximized:
            self.screen.minimize()
        elif self.focused is not None:
            self.screen.maximize(self.focused, container=False)

    def action_copy(self) -> None:
        if isinstance(self.screen, Frame):
            first = states.empty(self.feed, self.picture)
            copied = states.curl(self.picture) if first else self.screen.copied
            self.copy_to_clipboard(copied)
            self.notify(copied, title="copied", timeout=4, markup=False)

    def action_show_command(self) -> None:
        if isinstance(self.screen, Frame):
            self.notify(self.screen.command, title="the same in a shell", timeout=8, markup=False)

    def action_screenshot(self) -> None:  # type: ignore[override]
        self.options.shots.mkdir(parents=True, exist_ok=True)
        name = f"{self.current_mode}-{datetime.now():%Y%m%d-%H%M%S}.svg"  # noqa: DTZ005 (a file's name)
        self.notify(self.save_screenshot(name, str(self.options.shots)), title="screenshot", markup=False)

    def action_serve(self) -> None:
        """Start the gateway of this machine, once that was confirmed."""
        if self.check_action("serve", ()) and isinstance(self.screen, Frame):
            self.screen.confirm(
                "llmgw serve", lambda _: self.run_worker(self._serve, thread=True, group="serve")
            )

    def show_requests(self, terms: str | None) -> None:
        """To the requests that fit the terms; None to have them typed."""
        self.action_go("requests")
        self.screen.look_for(terms)  # type: ignore[attr-defined]

    def show_request(self, name: str) -> None:
        """To one request."""
        self.push_screen(load("request")(name))  # type: ignore[call-arg]

    async def _listen(self, feed: Feed, picture: Picture) -> None:
        """The present is followed also while the past is looked at."""
        async for beat in feed:
            if picture is self.picture:
                self.take(beat)
            else:
                picture.take(beat)

    def _travel(self, replay: Replay) -> None:
        """From the present into the past."""
        self.feed, self.picture, self.paused = replay, Picture(), False
        self.run_worker(self._listen(replay, self.picture), exclusive=True, group="past")
        self.repaint()

    def _return(self) -> None:
        """Back to the present."""
        self.run_worker(self.feed.close(), group="past", exclusive=True)
        self.feed, self.picture = self._present
        self.repaint()

    def _serve(self) -> None:
        """Run the command that starts a gateway, and say what it said."""
        done = subprocess.run(  # noqa: S603 (our own program)
            self.options.serve, capture_output=True, text=True, check=False, timeout=SERVE_SECONDS
        )
        up = done.returncode == 0
        words = (
            done.stdout.partition("\n")[0] if up else done.stderr.strip()
        )  # a first start tells a key below
        severity: Any = "information" if up else "error"
        self.call_from_thread(partial(self.notify, words or "done", severity=severity, markup=False))

    def _repace(self, by: int) -> None:
        """The next longer or shorter interval; of a replay, the next speed."""
        if isinstance(self.feed, Replay):
            self.feed.set_speed(_next(SPEEDS, self.feed.speed, by))
        else:
            self.interval = _next(INTERVALS, self.interval, by)
        self.repaint()

    def _dye(self) -> None:
        """Give the styles that drawings name the colours of the theme."""
        self.ink.push_theme(themes.styles(self.current_theme, self.theme_variables), inherit=False)
        for pane in self.screen.query(".pane"):
            pane.redraw()  # type: ignore[attr-defined]

    def _header(self) -> None:
        for bar in self.screen.query("Header"):
            bar.redraw()  # type: ignore[attr-defined]

    def _preload(self) -> None:
        """Have the other screens at hand before they are asked for."""
        self.run_worker(lambda: [load(name) for name in places().values()], thread=True, group="preload")

    def _watch(self) -> None:
        """Another second: a feed that says something else now is drawn, beat or not."""
        told = self.feed.state, self.feed.words
        if told != self._told:
            self._told = told
            self.repaint()
            self.screen.refresh_bindings()
        elif self.feed.state is State.STALE:
            self._header()


def load(name: str) -> type[Frame]:
    """The screen of a file in ``screens``."""
    module = importlib.import_module(f"llmgw.tui.screens.{name}")
    found: type[Frame] = getattr(module, name.capitalize())
    return found


def _next(steps: tuple[float, ...], now: float, by: int) -> float:
    at = steps.index(now) if now in steps else 0
    return steps[max(0, min(len(steps) - 1, at + by))]
