"""``GET /admin/pulse``: what dashboards are fed with, as server-sent events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

from msgspec import Meta, Struct
from starlette.responses import StreamingResponse

from llmgw.api.operations import Access, Operation, admit, answer, asked
from llmgw.domain.pulse import History, Pulse, Seconds
from llmgw.errors import BadRequest, GatewayError
from llmgw.rules.picture import WINDOWS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from llmgw.domain.identity import Key
    from llmgw.gates.metering import Watcher
    from llmgw.gates.state import Gateway


W = TypeVar("W", bound="Watch")

EVENTS = "text/event-stream"
UNITS = "Money is whole nano-dollars, spans are microseconds, moments UTC nanoseconds."
KEEP_ALIVE_SECONDS = 15.0
KEEP_ALIVE = b": keep-alive\n\n"
STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""A proxy must not hold back what is to be seen live."""


Moment = Annotated[int, Meta(ge=0, le=4 * 10**18, description="UTC nanoseconds")]


class Watch(Struct, frozen=True, forbid_unknown_fields=True):
    window: Annotated[str, Meta(description=f"how far back to look: {', '.join(WINDOWS)}")] = "1h"


class At(Watch, frozen=True, forbid_unknown_fields=True):
    at: Annotated[Moment | None, Meta(description="now without it")] = None


class Between(Struct, frozen=True, forbid_unknown_fields=True):
    after: Annotated[int, Meta(ge=0, description="the last row that is known: `seq` of a history or of this")]
    since: Moment
    until: Moment


class Histories(Protocol):
    """Reads what was."""

    async def history(self, window: str) -> History:
        """What was before the pulses to come."""

    async def past(self, window: str, at: int | None) -> History:
        """How all stood at a moment."""

    async def seconds(self, after: int, since: int, until: int) -> Seconds:
        """What ended between two moments, as pulses."""


def operations(gateway: Gateway, histories: Histories) -> list[Operation]:
    """The operations of this surface."""

    async def pulse(request: Request, _key: Key | None) -> Response:
        window = (await _looking(request, Watch)).window
        watcher = gateway.meter.watch()
        try:
            await begin(watcher, window)
        except BaseException:
            gateway.meter.leave(watcher)
            raise
        beats = _events(gateway, request, watcher, lambda: begin(watcher, window))
        return StreamingResponse(beats, headers=STREAM_HEADERS, media_type=EVENTS)

    async def begin(watcher: Watcher, window: str) -> None:
        watcher.begin()
        watcher.began(await histories.history(window), gateway.meter)

    async def history(request: Request, _key: Key | None) -> Response:
        wanted = await _looking(request, At)
        return answer(await histories.past(wanted.window, wanted.at))

    async def seconds(request: Request, _key: Key | None) -> Response:
        wanted = await asked(request, Between)
        return answer(await histories.seconds(wanted.after, wanted.since, wanted.until))

    return [
        Operation(
            "GET",
            "/admin/pulse",
            "Tell live what is written and how things stand",
            Access.ADMIN,
            pulse,
            takes=Watch,
            answers=(History, Pulse),
            in_query=True,
            name="WatchPulse",
            media=EVENTS,
            inside=True,
            text="Server-sent events: a `history` first, then a `pulse` each second; a history anew replaces all that "
            "was told before. Each request is told once. A `pulse` holds those parts of `standing` that changed. "
            + UNITS,
        ),
        Operation(
            "GET",
            "/admin/pulse/history",
            "Tell how all stood at a moment",
            Access.ADMIN,
            history,
            takes=At,
            answers=(History,),
            in_query=True,
            name="ShowHistory",
            inside=True,
            text="What a replay begins with: the sums as they were then, without what only a running gateway knows. "
            + UNITS,
        ),
        Operation(
            "GET",
            "/admin/pulse/seconds",
            "Tell what ended between two moments",
            Access.ADMIN,
            seconds,
            takes=Between,
            answers=(Seconds,),
            in_query=True,
            name="ListSeconds",
            inside=True,
            text="A pulse for each second in which requests ended; where there were many it ends before `until`, and "
            "the rest is asked for with its `seq` and its `until`. " + UNITS,
        ),
    ]


async def _looking(request: Request, kind: type[W]) -> W:
    """What the query holds, with a window that there is."""
    wanted = await asked(request, kind)
    if wanted.window not in WINDOWS:
        words = f"there is no window `{wanted.window}`"
        raise BadRequest(words, hint=f"one of {', '.join(WINDOWS)}", param="window")
    return wanted


async def _events(
    gateway: Gateway, request: Request, watcher: Watcher, begin: Callable[[], Awaitable[None]]
) -> AsyncIterator[bytes]:
    try:
        while not watcher.over:
            admit(gateway, Access.ADMIN, request)  # a key that was revoked sees no more
            if watcher.lost:
                await begin()
            beat = await watcher.next(KEEP_ALIVE_SECONDS)
            if beat is not None:
                yield b"event: %b\ndata: %b\n\n" % (_name(beat), beat)
            elif not (watcher.lost or watcher.over):
                yield KEEP_ALIVE
    except GatewayError:
        return  # who asks again is told why
    finally:
        gateway.meter.leave(watcher)


def _name(beat: bytes) -> bytes:
    return b"history" if beat.startswith(b'{"type":"history"') else b"pulse"
