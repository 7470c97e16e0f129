"""The pulse of a running gateway, of this machine or elsewhere: reconnects by itself, and says what is wrong meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import httpx
import msgspec

from llmgw.client.feed import Feed, State
from llmgw.client.remote import check_address, error_of, unreachable
from llmgw.domain.pulse import Beat
from llmgw.errors import GatewayError, NotRunning, not_running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from llmgw.domain.pulse import History

CONNECT_SECONDS = 3.0
SILENT_SECONDS = 10.0
"""After so long without a byte the connection is given up."""
PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds between two tries to connect; the last one for good."""
DATA = "data: "
DECODER = msgspec.json.Decoder(Beat)


class Address(NamedTuple):
    """Where a gateway is, and a key with admin rights for it."""

    url: str
    key: str


class Live(Feed):
    """Beats of a gateway as they happen. While it is away the ledger of this machine, if any, tells what was."""

    def __init__(
        self,
        name: str,
        find: Callable[[], Address | None],
        window: str = "1h",
        *,
        past: Callable[[str], History] | None = None,
        insecure: bool = False,
    ) -> None:
        """``find`` looks for the gateway, None where it does not run; ``past`` reads what its ledger tells of a window.

        Both may block, and raise GatewayError.
        """
        super().__init__(name, window)
        self._find = find
        self._past = past
        self._insecure = insecure
        self._again = asyncio.Event()
        self._told_past = ""

    def _changed(self) -> None:
        self._told_past = ""
        self._again.set()

    async def _run(self) -> None:
        tries = 0
        while True:
            self._again.clear()
            error = await self._listen_until_changed()
            if self._again.is_set():
                continue
            if self._state is State.LIVE:
                tries = 0
            await self._say_down(error)
            await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1

    async def _listen_until_changed(self) -> GatewayError | None:
        """Why the gateway is heard no longer; None where it ended, or the window is another one now."""
        listening = asyncio.create_task(self._listen())
        changed = asyncio.create_task(self._again.wait())
        try:
            await asyncio.wait({listening, changed}, return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                await listening
        except GatewayError as error:
            return error
        finally:
            listening.cancel()
            changed.cancel()
            await asyncio.gather(listening, changed, return_exceptions=True)
        return None

    async def overhear(self, name: str) -> AsyncIterator[str]:
        """The text of a call under way, piece by piece as it is written; ends with it, or where it cannot be heard."""
        with suppress(GatewayError):
            async with self._events(f"/admin/requests/{name}/live") as events:
                async for data in events:
                    yield msgspec.json.decode(data).get("text", "")

    async def _listen(self) -> None:
        """Give what the gateway tells; returns where it ended, GatewayError where it cannot be heard."""
        async with self._events("/admin/pulse", window=self.window) as events:
            async for data in events:
                await self._hear(data)

    @asynccontextmanager
    async def _events(self, path: str, **params: str) -> AsyncIterator[AsyncIterator[str]]:
        """The data of server-sent events; GatewayError where there are none."""
        address = await asyncio.to_thread(self._find)
        if address is None:
            raise not_running()
        near = check_address(address.url, insecure=self._insecure)
        timeout = httpx.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS)
        proxies = {"http://": None, "https://": None} if near else None
        headers = {"authorization": f"Bearer {address.key}", "accept": "text/event-stream"}
        url = f"{address.url.rstrip('/')}{path}"
        try:
            async with (
                httpx.AsyncClient(headers=headers, timeout=timeout, mounts=proxies) as client,
                client.stream("GET", url, params=params) as reply,
            ):
                if not reply.is_success:
                    await reply.aread()
                    raise error_of(address.url, reply)
                lines = reply.aiter_lines()
                yield (line.removeprefix(DATA) async for line in lines if line.startswith(DATA))
        except httpx.HTTPError as error:
            raise unreachable(address.url, error) from None

    async def _hear(self, data: str) -> None:
        try:
            beat = DECODER.decode(data)
        except msgspec.DecodeError as error:
            raise NotRunning(
                f"what {self.name} tells cannot be read: {error}",
                hint="is it of another version? compare `llmgw version` with `llmgw status`",
            ) from None
        self._state, self.words, self._told_past = State.LIVE, "", ""
        await self._give(beat)

    async def _say_down(self, error: GatewayError | None) -> None:
        self._state, self.words = State.DOWN, "the gateway has stopped"
        if error is not None:
            self.words = f"{error.message}; {error.hint}" if error.hint else error.message
        if self._past is None or self._told_past == self.window:
            return
        self._told_past = self.window
        with suppress(GatewayError):  # there is no ledger yet
            await self._beats.put(await asyncio.to_thread(self._past, self.window))
