"""How a feed fares, in the header's words, and the card that stands above a screen while there is nothing to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.client.feed import Replay, State
from llmgw.domain import spelling
from llmgw.tui.widgets.drawing import Paper, fold, line

if TYPE_CHECKING:
    from rich.text import Text

    from llmgw.client.feed import Feed
    from llmgw.rules.picture import Picture
    from llmgw.tui.widgets.pane import Draw

CURL = (
    "curl {url}/v1/chat/completions -H \"authorization: Bearer $LLMGW_KEY\" -H 'content-type: application/json'"
    ' -d \'{{"model": "gateway-auto", "messages": [{{"role": "user", "content": "hello"}}]}}\''
)
"""A request to be pasted into a shell."""


def words(feed: Feed, picture: Picture, *, plain: bool, short: bool) -> Text:
    """The state, where it is, and that it is not real where it is not."""
    process = picture.standing.process
    said = _state(feed, picture, plain=plain, short=short)
    if process is not None and process.simulated:
        return line(("SIMULATED", "mark"), "  ", said)
    return said


def _state(feed: Feed, picture: Picture, *, plain: bool, short: bool) -> Text:
    dot, stop, play = ("*", "x", ">") if plain else ("●", "■", "▶")
    process = picture.standing.process
    if isinstance(feed, Replay) and feed.state in {State.REPLAY, State.ENDED}:
        moment = spelling.clock(picture.now, picture.zone) if picture.now else "--:--:--"
        if feed.state is State.ENDED:
            return line((f"{stop} end of the replay  {moment}", "warn"))
        speed = "||" if not feed.speed else f"{play} {feed.speed:g}x"
        return line((f"{speed} {moment}", "warn"))
    match feed.state:
        case State.STALE:
            return line((f"! no pulse for {feed.since or 0:.0f} s", "warn"))
        case State.DOWN:
            return line((f"{stop} down", "bad"), "" if short else f"  {place(feed, picture)}")
        case State.CONNECTING:
            return line(("connecting", "warn"), "" if short else f"  {place(feed, picture)}")
    well = process is None or process.healthy
    state = line((dot, "good") if well else ("! failing", "bad"))
    if short or process is None:
        return state
    return line(state, f" up {spelling.uptime(process.started_at, picture.now)}  {place(feed, picture)}")


def place(feed: Feed, picture: Picture) -> str:
    """Where the gateway is: as it was asked for where it is elsewhere, else its own address."""
    process = picture.standing.process
    here = "://" not in feed.name and process is not None and process.url
    return (process.url if here and process else feed.name).partition("://")[2] or feed.name


def card(feed: Feed, picture: Picture, *, remote: bool, past: bool) -> Draw | None:
    """What to say above the screen; None where the figures speak for themselves."""
    if feed.state is State.DOWN:
        return lambda paper: _down(feed, picture, paper, remote=remote, past=past)
    if picture.history is None:
        return lambda _: [line((f"connecting to {feed.name}", "strong"), *_more(feed))]
    if empty(feed, picture):
        return lambda paper: _empty(picture, paper)
    return None


def empty(feed: Feed, picture: Picture) -> bool:
    """Whether nobody has asked anything yet."""
    return feed.state is State.LIVE and not (picture.seen or picture.month() or picture.under_way)


def curl(picture: Picture) -> str:
    """A first request."""
    process = picture.standing.process
    return CURL.format(url=process.url if process else "http://127.0.0.1:8000")


def _more(feed: Feed) -> tuple[tuple[str, str], ...]:
    return ((f"  {feed.words}", "dim"),) if feed.words else ()


def _down(feed: Feed, picture: Picture, paper: Paper, *, remote: bool, past: bool) -> list[Text]:
    head = f"no gateway answers at {feed.name}" if remote else "gateway is not running"
    lines = [line((head, "wrong"))]
    if feed.words and not feed.words.startswith("the gateway is not running"):
        lines += fold(feed.words, paper.width, "dim")
    start = (
        line(("s", "id"), "  run `llmgw serve`")
        if not remote
        else line(("it is tried again and again", "dim"))
    )
    back = line(("   [", "id"), "  go back through what the ledger remembers") if past else line()
    lines.append(line(start, back))
    if picture.history is not None:
        at = spelling.clock(picture.now, picture.zone)
        lines.append(line((f"what is below is of {at}", "dim")))
    return lines


def _empty(picture: Picture, paper: Paper) -> list[Text]:
    return [
        line(
            ("no traffic yet", "strong"),
            ("; paste this, it shows here as it lands ", "dim"),
            ("(y copies it)", "dim"),
        ),
        *fold(f"$ {curl(picture)}", paper.width, "id"),
    ]
