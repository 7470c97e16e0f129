"""The live dashboard: what is asked, what it costs, what the caches save, what is wrong."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import options
from llmgw.cli.options import Format, When, given
from llmgw.domain.spans import parse_span
from llmgw.errors import BadRequest, NotRunning
from llmgw.rules.picture import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmgw.client.feed import Feed, Replay
    from llmgw.client.gateway import Gateway
    from llmgw.tui.app import Options

PLACE = "WATCH", 1
ELSEWHERE = ("dash",)

OVER_SSH_FPS = "10"
FEW_COLOURS = "ansi-dark"
"""The theme of terminals that would not tell the shades of another one apart."""
HOUR = 3600 * 10**9


def command(
    replay: Annotated[
        str | None, typer.Option(help="Play the last hours or days once more: 2h.", metavar="SPAN")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--from", help="Play recorded beats of a file.", metavar="FILE")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show simulated traffic; nothing real is touched.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Allow changes from here; each shows its command first.")
    ] = False,
    theme: Annotated[
        str | None, typer.Option(help="llmgw, llmgw-light, ansi-dark, ansi-light, nord ...", metavar="NAME")
    ] = None,
    ascii_: Annotated[bool, typer.Option("--ascii", help="Draw in plain ASCII.")] = False,
    window: Annotated[str, typer.Option(help=f"How far back: {' '.join(WINDOWS)}.", metavar="WINDOW")] = "1h",
    screen: Annotated[
        str, typer.Option(help="Where to begin: overview, requests, cache ...", metavar="SCREEN")
    ] = "overview",
    web: Annotated[
        bool, typer.Option("--web", help="Serve it to a browser, behind an admin key (extra web).")
    ] = False,
    host: Annotated[str, typer.Option(help="Where --web listens.", metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Where --web listens; 0 takes a free one.", metavar="PORT", min=0, max=65535)
    ] = 8001,
) -> None:
    """Open the live dashboard. It only looks, unless --write is given; `?` tells every key.

    With --url it shows a gateway elsewhere. Where it runs in a terminal without a cursor to move, use `llmgw watch`.

    Examples:
      llmgw dash
      llmgw dash --replay 2h
      llmgw dash --url https://gateway.example --theme nord
      llmgw dash --demo
      llmgw dash --web --port 8001
    """
    _tell_textual()
    from llmgw.tui.actions import places

    if given.output is not Format.TABLE:
        raise BadRequest(
            "the dashboard draws on a terminal", hint="`llmgw watch --json` prints the same figures"
        )
    if window not in WINDOWS:
        raise BadRequest(f"there is no window `{window}`", hint=f"one of {', '.join(WINDOWS)}")
    if screen not in places().values():
        raise BadRequest(f"there is no screen `{screen}`", hint=f"one of {', '.join(places().values())}")
    if sum((replay is not None, file is not None, demo)) > 1:
        raise BadRequest("--replay, --from and --demo exclude each other")
    if web:
        _serve(_words(locals()), host, port, demo=demo)
        return
    _check_terminal()
    span = None if replay is None else parse_span(replay)
    if not demo:
        _run(_options(theme, plain=ascii_, write=write, screen=screen), window, span, file)
        return
    from llmgw.service.demo.private import private_gateway

    with private_gateway() as (home, _):
        given.home, given.config, given.url = str(home), None, None
        os.environ.pop("LLMGW_URL", None)
        _run(_options(theme, plain=ascii_, write=write, screen=screen), window, None, None, demo=True)


def _run(chosen: Options, window: str, span: int | None, file: Path | None, *, demo: bool = False) -> None:
    from llmgw.cli import opening, reaching
    from llmgw.desk.status import ShowStatus
    from llmgw.tui.app import Dash

    if options.url():
        with suppress(NotRunning), reaching.gateway() as there:
            there.ask(ShowStatus())  # a key that opens nothing is told before anything is drawn
    feed: Feed
    past: Callable[[], Replay] | None = None
    if file is not None:
        feed = opening.recorded(file)
    elif span is not None:
        feed = opening.replay(span, window)
    else:
        feed = opening.live(window, opening.past)

        def past() -> Replay:
            found = opening.replay(24 * HOUR, feed.window)
            found.seek(time.time_ns() - HOUR // 60)
            return found

    Dash(feed, _running if demo else reaching.gateway, chosen, past).run()


@contextmanager
def _running() -> Iterator[Gateway]:
    """The running gateway itself, as what a demo offers stands in no file."""
    from llmgw.client.remote import Remote
    from llmgw.service import background

    running = background.find(options.paths())
    if running is None:
        raise NotRunning("the simulated gateway has ended")
    with Remote(running.url, running.token) as there:
        yield there


def _options(theme: str | None, *, plain: bool, write: bool, screen: str) -> Options:
    """What was typed, else what the configuration says."""
    from llmgw.config.load import effective_config
    from llmgw.tui.app import Options

    paths = options.paths()
    declared = effective_config(paths, secrets=False).dash
    place = ("--home", given.home) if given.home else ()
    config = ("--config", given.config) if given.config else ()
    return Options(
        theme=theme or os.environ.get("TEXTUAL_THEME") or (FEW_COLOURS if _few_colours() else declared.theme),
        plain=plain or declared.ascii,
        interval=float(declared.interval),
        write=write,
        screen=screen,
        keymap=declared.keymap,
        shots=paths.state / "screenshots",
        serve=()
        if options.url()
        else (sys.executable, "-m", "llmgw", "serve", "--no-input", *place, *config),
    )


def _words(given_: dict[str, Any]) -> list[str]:
    """The options of a dashboard that is shown elsewhere, as they were typed."""
    flags = {"write": "--write", "ascii_": "--ascii"}
    named = {
        "replay": "--replay",
        "file": "--from",
        "theme": "--theme",
        "window": "--window",
        "screen": "--screen",
    }
    words = [flag for name, flag in flags.items() if given_[name]]
    return words + [
        str(word) for name, flag in named.items() if given_[name] is not None for word in (flag, given_[name])
    ]


def _serve(words: list[str], host: str, port: int, *, demo: bool) -> None:
    from llmgw.cli.browsing import Place, browse

    if not demo:
        browse(words, Place(host, port))
        return
    from llmgw.service.demo.private import private_gateway

    with private_gateway() as (home, _):
        given.home, given.config, given.url = str(home), None, None
        os.environ.pop("LLMGW_URL", None)
        browse(words, Place(host, port), demo=True)


def _few_colours() -> bool:
    """Whether this terminal has only its own sixteen colours, or is to have none."""
    from rich.console import Console

    return bool(os.environ.get("NO_COLOR")) or Console().color_system == "standard"


def _tell_textual() -> None:
    """What Textual looks for when it is imported: nothing moves by itself, a slow line is not flooded."""
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    if "SSH_CONNECTION" in os.environ:
        os.environ.setdefault("TEXTUAL_FPS", OVER_SSH_FPS)
    if given.color is When.NEVER:
        os.environ["NO_COLOR"] = "1"


def _check_terminal() -> None:
    """BadRequest where nothing can be drawn."""
    if os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver"):
        return
    hint = "`llmgw watch` prints the same figures line by line"
    if os.environ.get("TERM", "dumb") in {"", "dumb", "unknown"}:
        raise BadRequest("this terminal (TERM=dumb) cannot show the dashboard", hint=hint)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadRequest("the dashboard needs a terminal", hint=hint)
