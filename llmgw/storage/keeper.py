"""The thread that writes what the caches remember: nobody waits for it, and what it cannot write is forgotten.

Trouble with the file (full, locked, gone) costs hits and nothing else: it is said once, and once more when it lifts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from llmgw.errors import GatewayError

if TYPE_CHECKING:
    from llmgw.domain.clock import Clock
    from llmgw.domain.money import NanoUSD
    from llmgw.storage.answers import AnswerStore

log = logging.getLogger("llmgw.cache")

Job = Callable[["AnswerStore"], None]
"""Writes with the keeper's own store; runs on the keeper's thread."""

MOST_WAITING = 1000
MOST_BYTES = 64 << 20
"""How many jobs wait at most, and how much of memory their answers take."""
TICK_SECONDS = 1.0
"""How often hits are counted into the file."""
SWEEP_SECONDS = 60.0
"""How often expired entries are swept out."""


class Keeper:
    """Owns a store for writing. ``trouble`` says in words why the last write failed, empty when it did not."""

    def __init__(self, store: AnswerStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._queue: SimpleQueue[tuple[Job, int] | None] = SimpleQueue()
        self._waiting = 0
        self._hits: dict[int, tuple[int, NanoUSD]] = {}
        self._lock = threading.Lock()
        self.trouble = ""
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="llmgw-cache", daemon=True)
        self._thread.start()

    def submit(self, job: Job, size: int = 0) -> bool:
        """Have ``size`` bytes written some time soon; False where too much waits already, so they never will be."""
        with self._lock:
            if self._queue.qsize() >= MOST_WAITING or self._waiting + size > MOST_BYTES:
                return False
            self._waiting += size
        self._queue.put((job, size))
        return True

    def hit(self, number: int, saved: NanoUSD) -> None:
        """Count a hit of an entry."""
        with self._lock:
            count, sum_ = self._hits.get(number, (0, 0))
            self._hits[number] = count + 1, sum_ + saved

    def close(self) -> None:
        """Write what waits, unless the file is in trouble, and let go of it. Idempotent."""
        self._closing = True
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        sweep_at = 0.0
        closing = False
        while not closing:
            jobs: list[tuple[Job, int]] = []
            try:
                job = self._queue.get(timeout=TICK_SECONDS)
                while job is not None:
                    jobs.append(job)
                    job = self._queue.get_nowait()
                closing = True
            except Empty:
                pass
            for write, size in jobs:
                if self._closing and self.trouble:  # each of them would wait as long as the last
                    break
                self._try(write)
                with self._lock:
                    self._waiting -= size
            if hits := self._taken():
                self._try(lambda store, hits=hits: store.touch(hits, self._clock.now()))  # type: ignore[misc]
            if jobs and not self.trouble:  # shrinking only reads where nothing is to go
                self._try(lambda store: store.shrink())
            if time.monotonic() >= sweep_at:
                sweep_at = time.monotonic() + SWEEP_SECONDS
                self._try(lambda store: store.sweep(self._clock.now()))
        self._store.close()

    def _taken(self) -> dict[int, tuple[int, NanoUSD]]:
        with self._lock:
            hits, self._hits = self._hits, {}
        return hits

    def _try(self, job: Callable[[AnswerStore], object]) -> None:
        try:
            job(self._store)
        except GatewayError as error:
            if not self.trouble:
                log.warning("the cache cannot be written, answers are not remembered: %s", error.message)
            self.trouble = error.message
        except Exception:
            log.exception("an answer could not be remembered")
        else:
            if self.trouble:
                log.warning("the cache can be written again")
                self.trouble = ""
