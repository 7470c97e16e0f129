"""Time as an argument: two callables that a test replaces with its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

Nanoseconds = int
"""Since the Unix epoch, UTC, when it names a moment."""


class Clock(NamedTuple):
    """``now`` tells the moment (UTC, may jump), ``tick`` measures spans (monotonic, never jumps)."""

    now: Callable[[], Nanoseconds] = time.time_ns
    tick: Callable[[], Nanoseconds] = time.perf_counter_ns


SYSTEM_CLOCK = Clock()
