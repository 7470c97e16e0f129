"""Whether a call only says again what the one before it said, and whether that has gone on long enough to be a loop.

An agent's conversation grows by something new with each call. In a loop it stands still, or grows by the same piece
each time: the same tool called in the same way with the same result.
"""

from __future__ import annotations

import re

from msgspec import Raw, Struct

from llmgw.domain.clock import Nanoseconds

SLACK = 64
"""Bytes by which two lengths may differ and still be about the same."""

LOOKED_AT = 4096
"""Bytes that are compared, of what was said last, and of the beginning where nothing was added to it."""

MINUTE = 60_000_000_000

NOISE = re.compile(
    rb'"(?:id|tool_use_id|tool_call_id|call_id)"\s*:\s*"[^"]*"'
    rb"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    rb"|\d{4}-\d\d-\d\d|\d?\d:\d\d(?::\d\d(?:[.,]\d+)?)?|\d{9,}"
)
"""What differs between two sayings of the same: ids, dates, times. A short number may be progress, so it counts."""

WORDS = b"".join(bytes([code]) for code in range(128) if chr(code).isalnum())


class Loops(Struct, frozen=True, kw_only=True):
    """What counts as a loop: ``repeats`` of one call in a row ``within_minutes``. ``watch``: agents, all or off."""

    watch: str = "agents"
    repeats: int = 10
    within_minutes: float = 5
    pause_minutes: float = 5
    exempt: tuple[str, ...] = ()


class Seen(Struct, frozen=True, gc=False):
    """The last call of a row: its bytes, by how many it was longer than the one before, and what it added.

    ``said`` is None until a second call has grown by about as much. ``repeats`` are the moments of the calls in a
    row that said the same, the first of them taken on trust.
    """

    length: int
    step: int
    said: bytes | None = None
    repeats: tuple[Nanoseconds, ...] = ()


def follow(seen: Seen | None, messages: Raw | list[Raw], now: Nanoseconds, within: Nanoseconds) -> Seen:
    """The row with one more call in it; ``repeats`` older than ``within`` are forgotten.

    ``messages`` are those of the call, as one list in JSON or one by one. They are looked at only where the lengths
    already say that this may be a repeat.
    """
    length = sum(map(len, messages)) if isinstance(messages, list) else len(messages)
    if seen is None:
        return Seen(length, length)
    growth = length - seen.length
    step = 0 if -SLACK <= growth <= SLACK else growth
    if step < 0 or not -SLACK <= step - seen.step <= SLACK:
        return Seen(length, step, None, (now,))
    said = _end(messages, min(step or length, LOOKED_AT))
    if not step:
        said += _start(messages, LOOKED_AT)
    if seen.said is not None and not _alike(said, seen.said):
        return Seen(length, step, said, (now,))
    recent = [at for at in seen.repeats if at > now - within]
    return Seen(length, step, said, (*recent, now))


class Trail(Struct, frozen=True, gc=False):
    """The calls of one key to one model, each beside the one before it and the one before that.

    The latter finds an agent that goes to and fro between two things, if its conversation grows: short ones of two calls
    each, one after another, are a batch.
    """

    last: Seen | None = None
    before: Seen | None = None
    pair: Seen | None = None

    @property
    def repeats(self) -> int:
        """How many repeats in a row the last call makes."""
        single = 0 if self.last is None else len(self.last.repeats)
        return max(single, len(self.pair.repeats)) if self.pair is not None and self.pair.step else single


def trace(trail: Trail, messages: Raw | list[Raw], now: Nanoseconds, within: Nanoseconds) -> Trail:
    """The trail with one more call on it, as `follow` says."""
    return Trail(
        follow(trail.last, messages, now, within), trail.pair, follow(trail.before, messages, now, within)
    )


def _alike(one: bytes, other: bytes) -> bool:
    """Whether two pieces are the same but for what is noise; the costly look comes last."""
    return one == other or (
        one.translate(None, WORDS) == other.translate(None, WORDS)
        and NOISE.sub(b"", one) == NOISE.sub(b"", other)
    )


def _start(messages: Raw | list[Raw], size: int) -> bytes:
    """The first ``size`` bytes, of the first message where they come one by one."""
    return bytes(memoryview(messages[0] if isinstance(messages, list) else messages)[:size])


def _end(messages: Raw | list[Raw], size: int) -> bytes:
    """The last ``size`` bytes."""
    if not isinstance(messages, list):
        return bytes(memoryview(messages)[-size:])
    parts: list[bytes] = []
    for message in reversed(messages):
        parts.append(bytes(memoryview(message)[-size:]))
        size -= len(parts[-1])
        if size <= 0:
            break
    return b"".join(reversed(parts))
