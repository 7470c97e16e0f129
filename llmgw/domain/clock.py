"""Time as an argument: two callables that a test replaces with its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

Nanoseconds = int
"""Since the Unix epoch, UTC, when it names a moment."""


class Clock(NamedTuple):
    """``now`` tells the moment (UTC, may jump), ``tick`` measures spans (monotonic, never jumps)."""

    now: Callable[[], Nanoseconds] = time.time_ns
    tick: Callable[[], Nanoseconds] = time.perf_counter_ns


SYSTEM_CLOCK = Clock()
