"""The thread that writes what the caches remember: nobody waits for it, and what it cannot write is forgotten.

Trouble with the file (full, locked, gone, damaged) costs hits and nothing else: it is said once, and once more when it
lifts. A file that was taken away or is damaged is begun anew.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from llmgw.errors import GatewayError, Unavailable
from llmgw.storage.answers_schema import is_damage, set_aside
from llmgw.storage.selecting import SWEPT_AT_ONCE

if TYPE_CHECKING:
    from llmgw.domain.clock import Clock
    from llmgw.domain.money import NanoUSD
    from llmgw.storage.answers import AnswerStore

log = logging.getLogger("llmgw.cache")

Job = Callable[["AnswerStore"], object]
"""Writes with the keeper's own store; runs on the keeper's thread."""
After = Callable[[Exception | None], None]
"""Told on the keeper's thread that a job was done, or why it was not."""

MOST_WAITING = 1000
MOST_BYTES = 64 << 20
"""How many jobs wait at most, and how much of memory their answers take."""
TICK_SECONDS = 1.0
"""How often hits are counted into the file."""
SWEEP_SECONDS = 60.0
"""How often expired entries are swept out."""
SWEEP_PAUSE = 0.05
"""Between two goes where there are many of them: others write then."""
GIVEN_UP = Unavailable("the cache is closed", code="storage_unavailable")


def _whatever(_: Exception | None) -> None:
    """What follows from most jobs."""


class Keeper:
    """Owns a store for writing. ``trouble`` says in words why the last write failed, empty when it did not."""

    def __init__(self, open_store: Callable[[], AnswerStore], clock: Clock) -> None:
        """``open_store`` is called on the keeper's thread, again whenever the file is not in its place any more."""
        self._open = open_store
        self._store: AnswerStore | None = None
        self._clock = clock
        self._queue: SimpleQueue[tuple[Job, int, After] | None] = SimpleQueue()
        self._waiting = 0
        self._hits: dict[int, tuple[int, NanoUSD]] = {}
        self._lock = threading.Lock()
        self.trouble = ""
        self._damaged = False
        self._closing = False
        self._sweep_at = 0.0
        self._thread = threading.Thread(target=self._run, name="llmgw-cache", daemon=True)
        self._thread.start()

    def submit(self, job: Job, size: int = 0, after: After = _whatever) -> bool:
        """Have ``size`` bytes written some time soon; False where too much waits already, so they never will be."""
        with self._lock:
            if self._queue.qsize() >= MOST_WAITING or self._waiting + size > MOST_BYTES:
                return False
            self._waiting += size
        self._queue.put((job, size, after))
        return True

    def hit(self, number: int, saved: NanoUSD) -> None:
        """Count a hit of an entry."""
        with self._lock:
            count, sum_ = self._hits.get(number, (0, 0))
            self._hits[number] = count + 1, sum_ + saved

    def suspect(self, error: GatewayError) -> None:
        """Somebody could not use the file that is in place now: one that is damaged is begun anew."""
        self._damaged = self._damaged or is_damage(error.__cause__)

    def close(self) -> None:
        """Write what waits, unless the file is in trouble, and let go of it. Idempotent."""
        self._closing = True
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while self._round():
            pass
        self._let_go()

    def _round(self) -> bool:
        """Do what is asked meanwhile, and what is due; whether another round follows."""
        jobs: list[tuple[Job, int, After]] = []
        closing = False
        try:
            job = self._queue.get(timeout=TICK_SECONDS if self._sweep_at else SWEEP_PAUSE)
            while job is not None:
                jobs.append(job)
                job = self._queue.get_nowait()
            closing = True
        except Empty:
            pass
        self._follow()
        for write, size, after in jobs:
            # once it closes each of them would wait as long as the last
            after(GIVEN_UP if self._closing and self.trouble else self._try(write))
            with self._lock:
                self._waiting -= size
        if hits := self._taken():
            self._try(lambda store: store.touch(hits, self._clock.now()))
        if jobs and not self.trouble:  # shrinking only reads where nothing is to go
            self._try(lambda store: store.shrink())
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP_SECONDS
            self._try(self._sweep)
        return not closing

    def _sweep(self, store: AnswerStore) -> None:
        """Where there is more of it, the next round goes on: no answer waits for long to be written."""
        if store.sweep(self._clock.now()) == SWEPT_AT_ONCE:
            self._sweep_at = 0.0

    def _follow(self) -> None:
        """Open the file where that is still to be done, or it is another one now, or a damaged one."""
        store = self._store
        away = None if store is None else store.misplaced
        if store is not None and (self._damaged or away is not None):
            if away == store.path:
                log.warning("%s was moved, deleted or replaced: it is begun anew", store.path)
            else:  # without its log it is no more worth than a damaged one
                set_aside(store.path)
            self._let_go()
        self._damaged = False
        if self._store is None:
            try:
                self._store = self._open()
            except GatewayError as error:
                self._fail(error)
            except Exception:
                log.exception("the cache cannot be opened")
                self.trouble = "it cannot be opened, see the log"

    def _let_go(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _taken(self) -> dict[int, tuple[int, NanoUSD]]:
        with self._lock:
            hits, self._hits = self._hits, {}
        return hits

    def _try(self, job: Job) -> Exception | None:
        """Why a job could not be done."""
        if self._store is None:
            return Unavailable(self.trouble, code="storage_unavailable")
        try:
            job(self._store)
        except GatewayError as error:
            self._fail(error)
            return error
        except Exception as error:
            log.exception("an answer could not be remembered")
            return error
        if self.trouble:
            log.warning("the cache can be written again")
            self.trouble = ""
        return None

    def _fail(self, error: GatewayError) -> None:
        if not self.trouble:
            log.warning("the cache cannot be written, answers are not remembered: %s", error.message)
        self.trouble = error.message
        self.suspect(error)
