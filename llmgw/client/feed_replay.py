"""Replays of what was: out of a ledger, here or elsewhere, or out of a file of recorded beats."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from llmgw.client.feed import Replay, State
from llmgw.client.remote import check_address, error_of, unreachable
from llmgw.domain.pulse import Beat, History, Pulse, Seconds
from llmgw.errors import BadRequest, GatewayError, NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from llmgw.client.feed_live import Address
    from llmgw.client.past import Past
    from llmgw.domain.clock import Nanoseconds

SECOND = 10**9
TICK_SECONDS = 0.5
AHEAD_SECONDS = 30
"""How far a replay reads ahead of what it shows, at its speed."""
ANSWER_SECONDS = 60.0


class Replaying(Replay):
    """Plays a past from a moment to another; at its end it waits to be wound."""

    def __init__(
        self,
        name: str,
        past: Past,
        began: Nanoseconds,
        ends: Nanoseconds,
        window: str = "1h",
        speed: float = 1.0,
    ) -> None:
        super().__init__(name, window)
        self.began, self.ends, self.speed = began, ends, speed
        self._past = past
        self._at = began
        self._read_to = self._shown = 0
        self._known = began
        self._ahead: deque[Pulse] = deque()
        self._anew = True
        self._moved = asyncio.Event()

    @property
    def at(self) -> Nanoseconds:
        return self._at

    def seek(self, at: Nanoseconds) -> None:
        self._at = min(max(at, self.began), self.ends)
        self._changed()

    def set_speed(self, speed: float) -> None:
        self.speed = max(0.0, speed)
        self._moved.set()

    def _changed(self) -> None:
        self._anew = True
        self._moved.set()

    async def close(self) -> None:
        await super().close()
        self._past.close()

    async def _run(self) -> None:
        while True:
            try:
                await self._play()
            except GatewayError as error:
                self._state = State.DOWN
                self.words = f"{error.message}; {error.hint}" if error.hint else error.message
                await self._rest(TICK_SECONDS * 4)
                self._anew = True

    async def _play(self) -> None:
        before = monotonic()
        while True:
            if self._anew:
                await self._begin()
                before = monotonic()
            passed, before = monotonic() - before, monotonic()
            if await self._go_on(min(self.ends, self._at + int(passed * self.speed * SECOND))):
                await self._rest(TICK_SECONDS)
            else:
                await self._rest(None)
                before = monotonic()

    async def _rest(self, seconds: float | None) -> None:
        """Wait, but no longer than until somebody winds it or changes its speed."""
        self._moved.clear()
        if not self._anew:
            try:
                await asyncio.wait_for(self._moved.wait(), seconds)
            except TimeoutError:
                return

    async def _begin(self) -> None:
        self._anew, at = False, self._at
        history = await asyncio.to_thread(self._past.history, self.window, at)
        self._read_to = self._shown = history.seq
        self._known = self._at = history.at
        self._ahead.clear()
        self._state, self.words = State.REPLAY, ""
        await self._give(history)
        await self._go_on(at)

    async def _go_on(self, until: Nanoseconds) -> bool:
        """Show what happened until a moment; False where nothing more comes by itself."""
        while self._known < until:
            await self._read(until + int(AHEAD_SECONDS * max(1.0, self.speed)) * SECOND)
        self._state = State.ENDED if until >= self.ends else State.REPLAY
        while self._ahead and self._ahead[0].at <= until:
            pulse = self._ahead.popleft()
            self._at, self._shown = pulse.at, pulse.seq
            await self._give(pulse)
            if self._anew:
                return True
        if until > self._at:
            self._at = until
            await self._give(Pulse(at=until, seq=self._shown, span_us=0))  # nothing was written here
        return bool(self.speed) and self._state is State.REPLAY

    async def _read(self, until: Nanoseconds) -> None:
        found = await asyncio.to_thread(self._past.seconds, self._read_to, self._known, min(until, self.ends))
        self._ahead += found.pulses
        self._read_to, self._known = found.seq, found.until


class RemotePast:
    """The past of a gateway elsewhere; BadRequest as `check_address`."""

    def __init__(self, address: Address, *, insecure: bool = False) -> None:
        near = check_address(address.url, insecure=insecure)
        self._url = address.url.rstrip("/")
        self._client = httpx.Client(
            headers={"authorization": f"Bearer {address.key}", "accept": "application/json"},
            timeout=ANSWER_SECONDS,
            mounts={"http://": None, "https://": None} if near else None,
        )

    def history(self, window: str, at: Nanoseconds | None = None) -> History:
        given: dict[str, Any] = {"window": window} | ({} if at is None else {"at": at})
        return msgspec.json.decode(self._get("/admin/pulse/history", given), type=History)

    def seconds(self, after: int, since: Nanoseconds, until: Nanoseconds) -> Seconds:
        given = {"after": after, "since": since, "until": until}
        return msgspec.json.decode(self._get("/admin/pulse/seconds", given), type=Seconds)

    def close(self) -> None:
        self._client.close()

    def _get(self, path: str, given: dict[str, Any]) -> bytes:
        try:
            reply = self._client.get(self._url + path, params=given)
        except httpx.HTTPError as error:
            raise unreachable(self._url, error) from None
        if not reply.is_success:
            raise error_of(self._url, reply)
        return reply.content


class RecordedPast:
    """Beats that were recorded, one a line as JSON; what ``curl`` keeps of ``/admin/pulse`` will do too."""

    def __init__(self, path: Path) -> None:
        """NotFound and BadRequest where the file cannot be read, or holds no history."""
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            raise NotFound(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
        beats = [beat for line in lines if (beat := _beat(path, line)) is not None]
        self._histories = [beat for beat in beats if isinstance(beat, History)]
        self._pulses = [beat for beat in beats if isinstance(beat, Pulse)]
        if not self._histories:
            raise BadRequest(f"{path} holds no recorded beats", hint="`curl -N …/admin/pulse` records them")
        self.began, self.ends = self._histories[0].at, max(beat.at for beat in beats)
        self.window = self._histories[0].window

    def history(self, window: str, at: Nanoseconds | None = None) -> History:  # noqa: ARG002 (only one was recorded)
        moment = self.ends if at is None else at
        before = [each for each in self._histories if each.at <= moment]
        return before[-1] if before else self._histories[0]

    def seconds(self, after: int, since: Nanoseconds, until: Nanoseconds) -> Seconds:
        first = bisect_right(self._pulses, since, key=lambda pulse: pulse.at)
        pulses = tuple(each for each in self._pulses[first:] if each.at <= until)
        return Seconds(pulses=pulses, seq=pulses[-1].seq if pulses else after, until=until)

    def close(self) -> None:
        """The file has been read already."""


def _beat(path: Path, line: bytes) -> Beat | None:
    """The beat of a line; None for the other lines of server-sent events."""
    data = line.removeprefix(b"data: ")
    if not data.startswith(b"{"):
        return None
    try:
        beat: Beat = msgspec.json.decode(data, type=Beat)
    except msgspec.DecodeError as error:
        raise BadRequest(f"{path} holds something else than beats: {error}") from None
    return beat
