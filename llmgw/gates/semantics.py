"""The semantic cache at work: the event loop glances, a thread of its own judges.

The loop does what takes microseconds: the static vector of a prompt and a look into the index. Everything else happens
in the thread, which alone uses the store, the judges and MiniLM; the index is changed on the loop alone.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from llmgw.errors import GatewayError, Unavailable
from llmgw.gates.judging import AT_ONCE, MOST, SCREEN, Judging, Options, Sight
from llmgw.rules.rewording import may_reword
from llmgw.storage.vectors import VectorIndex, code

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmgw.domain.chat import ChatAnswer
    from llmgw.domain.clock import Clock
    from llmgw.gates.caches import Known
    from llmgw.gates.embedding import Embedder
    from llmgw.gates.state import Call, Gateway
    from llmgw.providers.embedding.static import StaticTable
    from llmgw.storage.blocks import Near, Vector
    from llmgw.storage.meanings import Meanings, Remembered

log = logging.getLogger("llmgw.cache")

T = TypeVar("T")

SCREENED = 0.6
"""Cosine of static vectors below which two prompts have nothing to do with each other: of 5,000 prompts with a neighbour
of MiniLM cosine 0.8 or more none lost it by this, and two thirds of those without any near one are done with here."""
LATE_READ = 3
"""Entries that a lookup has embedded at most, which nobody has needed to embed before."""
MOST_WAITING = 8
"""Lookups that may wait for the thread; one more goes upstream instead."""
PATIENCE = 0.5
"""Seconds that a lookup waits for the thread, which another process may hold up that keeps the file locked."""
TEND_SECONDS = 5.0
FILL_SECONDS = 0.1
"""Between two batches of entries that get their vectors late."""


class Semantics:
    """Made on the event loop that uses it; nothing is found until what is in the file has been read (``ready``)."""

    judging: Judging

    def __init__(
        self,
        meanings: Callable[[], Meanings],
        options: Options,
        clock: Clock,
        suspect: Callable[[GatewayError], None],
    ) -> None:
        """``meanings`` opens the store in the thread that will use it, ``suspect`` is told of trouble with its file."""
        self._open = meanings
        self._clock = clock
        self._suspect = suspect
        self.options = options
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "llmgw-semantic")
        self._waiting = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._troubled = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self.index = VectorIndex()
        self.ready = False

    def start(
        self, table: Callable[[], StaticTable], embedder: Callable[[StaticTable], Embedder | None]
    ) -> None:
        """Read what there is, in the thread, and tend it from then on."""
        self.spawn(self._run(table, embedder))

    async def _run(
        self, table: Callable[[], StaticTable], embedder: Callable[[StaticTable], Embedder | None]
    ) -> None:
        try:
            self._table = await self.think(table)
            self._embedder = embedder(self._table)
        except Exception:
            log.exception("serving without a semantic cache")
            return
        await self._warm()
        while True:
            try:
                if await self.think(self._follow):
                    self.index, self.ready = self.judging.index, True
                    gc.freeze()  # what was read stays for long: the collector need not walk it again and again
                await self._tend()
                if await self._fill():
                    continue
            except GatewayError as error:
                self._fail(error)
            except Exception:
                log.exception("the semantic cache failed")
            await asyncio.sleep(TEND_SECONDS)

    async def _warm(self) -> None:
        """Have the embedder loaded now: the first lookup could not wait, and loading libraries holds up every other call."""
        read = None if self._embedder is None else self._embedder.read
        if read is not None:
            try:
                await self.think(read, [""])
            except GatewayError as error:
                self._fail(error)

    def _follow(self) -> bool:
        """Read the file where that is still to be done, or it is another one now; whether it was read."""
        before = self.judging.meanings.store if hasattr(self, "judging") else None
        if before is not None:
            if not before.misplaced:
                return False
            before.leave()
        embed = None if self._embedder is None else self._embedder.read
        self.judging = Judging(self._open(), self.options, self._table.mark, self._kind, embed)
        if before is not None:
            before.close()
        return True

    def _fail(self, error: GatewayError | TimeoutError) -> None:
        """Say once that nothing is found at present."""
        if not self._troubled:
            log.warning("the semantic cache is passed by: %s", str(error) or "it takes too long")
        self._troubled = True
        in_place = not (hasattr(self, "judging") and self.judging.meanings.store.misplaced)
        if isinstance(error, Unavailable) and in_place:
            self._suspect(error)

    def _end(self, counts: Counter[tuple[str, str]]) -> None:
        if hasattr(self, "judging"):  # it may be told to stop before it has begun
            self.judging.end(counts)

    @property
    def _kind(self) -> str:
        """Whose vectors decide."""
        return SCREEN if self._embedder is None else self._embedder.name

    def takes(self, call: Call, known: Known) -> bool:
        """Whether another wording's answer could serve this call at all."""
        return self.ready and not call.peek.tools and not call.peek.attachments and may_reword(known.asked)

    def glance(self, call: Call, known: Known) -> tuple[Sight, list[Near]]:
        """The prompt by the static table, and the entries that look like it: a fraction of a millisecond."""
        asked = known.asked
        vector = self._table.embed(asked.prompt)
        sight = Sight(call.key.tenant, asked.context, asked.prompt, call.started_at, code(vector))
        near = self.index.search(asked.context, SCREEN, vector, self.options.candidates, SCREENED)
        self._counts["semantic_asked", sight.tenant] += 1
        return sight, near

    async def look(self, gateway: Gateway, call: Call, sight: Sight, near: list[Near]) -> Remembered | None:
        """The entry whose answer serves, by the judge's verdict; what was seen stays in ``sight``.

        None also where the thread has too much to do or the embedder fails: then the call goes upstream.
        """
        if self._waiting >= MOST_WAITING:
            self._counts["semantic_skipped", sight.tenant] += 1
            return None
        self._waiting += 1
        try:
            query = await self._embed(gateway, call, sight, near)
            async with asyncio.timeout(PATIENCE):
                gone, found = await self.think(self.judging.judge, sight, query, near)
            self._later(self.judging.note, sight)
        except (GatewayError, TimeoutError) as error:
            self._fail(error)
            self._counts["semantic_skipped", sight.tenant] += 1
            return None
        except Exception:
            log.exception("the semantic cache failed")  # which is no reason for a call to fail
            self._counts["semantic_skipped", sight.tenant] += 1
            return None
        finally:
            self._waiting -= 1
        self._troubled = False
        for entry in gone:
            self.index.remove(entry)
        return found

    async def _embed(self, gateway: Gateway, call: Call, sight: Sight, near: list[Near]) -> Vector | None:
        """The prompt by the embedder, and with it the nearest entries that it has not read yet."""
        embedder = self._embedder
        if embedder is None:
            return None
        unread = [each.entry for each in near if not self.index.has(each.entry, embedder.name)][:LATE_READ]
        async with asyncio.timeout(embedder.patience):
            prompts = await self.think(self.judging.prompts, unread) if unread else []
            vectors = await embedder.embed(gateway, call, [sight.prompt, *prompts])
        sight.vector = code(vectors[0])
        for entry, vector in zip(unread, vectors[1:], strict=True):
            row = code(vector)
            self.index.attach(entry, embedder.name, row)
            self._later(self.judging.meanings.attach, entry, embedder.name, row.tobytes())
        return np.asarray(vectors[0], np.float32)

    def stored(self, sight: Sight, entry: int, answer: ChatAnswer) -> None:
        """A fresh answer to what ``sight`` saw has been stored under a number: remember it, and learn from it."""
        vectors = {SCREEN: sight.screen}
        if sight.vector is not None:
            vectors[self._kind] = sight.vector
        self.index.add(sight.context, entry, **vectors)
        self._later(self.judging.remember, sight, entry, answer)

    def spawn(self, work: Any) -> None:
        """Run something on the loop that nobody waits for."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def think(self, work: Callable[..., T], *given: Any) -> T:
        """Run something in the thread."""
        return await self._loop.run_in_executor(self._thread, work, *given)

    def _later(self, work: Callable[..., object], *given: Any) -> None:
        self._thread.submit(_logged, work, *given)

    async def _tend(self) -> None:
        """Write down counts and what judges have learnt, forget entries that are too many or no longer in the file."""
        counts, self._counts = self._counts, Counter()
        moved = await self.think(self.judging.settle, counts)
        surplus = max(0, len(self.index) - MOST)
        if not (moved or surplus):
            return
        # Told here and not there, where what was added last may not have been written yet.
        there = self.index.entries()
        gone = there[:surplus]
        if moved:
            gone += await self.think(self.judging.gone, there[surplus:])
        for at, entry in enumerate(gone, 1):
            self.index.remove(entry)
            if not at % AT_ONCE:
                await asyncio.sleep(0)

    async def _fill(self) -> bool:
        """Give vectors to entries that have none, a few at a time and only while nobody waits for the thread.

        Whether there may be more of them, once it is time to tend again.
        """
        end = self._loop.time() + TEND_SECONDS
        while self._loop.time() < end:
            if not self._waiting:
                made = await self.think(self.judging.unread, self._clock.now(), self._table.embed)
                if made is None:
                    return False
                for entry, context, row in made:
                    if entry not in self.index:
                        self.index.add(context, entry, **{SCREEN: row})
            await asyncio.sleep(FILL_SECONDS)
        return True

    async def close(self) -> None:
        """Write down what was learnt and let go of everything."""
        for task in tuple(self._tasks):
            task.cancel()
        self._later(self._end, self._counts)
        await asyncio.to_thread(self._thread.shutdown)


def _logged(work: Callable[..., object], *given: Any) -> None:
    try:
        work(*given)
    except GatewayError as error:
        log.debug("the semantic cache could not write: %s", error.message)
    except Exception:
        log.exception("the semantic cache failed")
