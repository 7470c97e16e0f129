"""What prompt caching at providers does for each conversation: what is read back, where prefixes part, what it costs.

A provider reads a prompt's beginning from its cache as long as it is the same as before and has not been forgotten.
The ledger tells how many tokens were read and written, not the prompts: where two calls of a conversation part is
where reading ended, and what that cost is an estimate by the model's price.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from llmgw.rules.picture import HERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmgw.desk.models import ModelView
    from llmgw.domain.money import NanoUSD
    from llmgw.domain.pulse import Seen

LOCAL = "local"
"""The tier whose models cost nothing and tell nothing of caches."""
LEAST = 1024
"""Tokens that a prefix must have before a provider keeps it."""
FORGOTTEN = 300 * 10**9
"""Nanoseconds after which a provider has forgotten a prefix unless it was asked to keep it for an hour."""
SLACK = 256
"""Tokens by which blocks of a cache may fall short."""
MILLION = 1_000_000


class Conversation(NamedTuple):
    """Calls of one caller at one target, oldest first. ``diverged`` is the token where the prefix last parted.

    ``burnt`` is what tokens that had been cached cost again, None where no price is known; ``verdict`` and ``advice``
    say what to make of it.
    """

    key: str
    tags: str
    target: str
    calls: int
    last_at: int
    input_tokens: int
    read: int
    written: int
    diverged: int | None
    lost: int
    burnt: NanoUSD | None
    verdict: str
    advice: str
    newest: str

    @property
    def hit(self) -> float | None:
        return self.read / self.input_tokens if self.input_tokens else None

    @property
    def ratio(self) -> float | None:
        """Tokens read for each one written; None where none was written."""
        return self.read / self.written if self.written else None


def examine(seen: Iterable[Seen], models: Mapping[str, ModelView]) -> list[Conversation]:
    """Conversations of two calls and more, those that burn most first. ``models`` are prices by ``provider/model``."""
    calls: dict[tuple[object, ...], list[Seen]] = {}
    for each in seen:
        if (
            each.model
            and each.tier != LOCAL
            and each.cache not in HERE
            and not each.error
            and each.input_tokens
        ):
            told = each.conversation or each.tags
            calls.setdefault((each.tenant, each.key, told, each.provider, each.model), []).append(each)
    found = [
        _examine(
            sorted(group, key=lambda each: each.started_at),
            models.get(f"{group[0].provider}/{group[0].model}"),
        )
        for group in calls.values()
        if len(group) > 1
    ]
    return sorted(found, key=lambda each: (-(each.burnt or 0), -each.lost, -each.input_tokens))


def _examine(calls: list[Seen], model: ModelView | None) -> Conversation:
    first, last = calls[0], calls[-1]
    read = sum(each.cache_read_tokens for each in calls)
    written = sum(each.cache_write_tokens for each in calls)
    lost = rewritten = parted = forgotten = 0
    diverged = None
    for before, after in pairwise(calls):
        kept = min(_kept(before), after.input_tokens)
        missed = kept - after.cache_read_tokens
        if kept < LEAST or missed <= SLACK:
            continue
        lost += missed
        rewritten += min(missed, after.cache_write_tokens)
        if after.started_at - before.started_at > FORGOTTEN:
            forgotten += 1
        else:
            parted += 1
            diverged = after.cache_read_tokens
    verdict, advice = _verdict(
        read, written, lost, parted, forgotten, sum(each.input_tokens for each in calls)
    )
    return Conversation(
        key=first.key,
        tags=first.tags,
        target=f"{first.provider}/{first.model}",
        calls=len(calls),
        last_at=last.started_at,
        input_tokens=sum(each.input_tokens for each in calls),
        read=read,
        written=written,
        diverged=diverged,
        lost=lost,
        burnt=_burnt(lost, rewritten, model),
        verdict=verdict,
        advice=advice,
        newest=last.id,
    )


def _kept(call: Seen) -> int:
    """Tokens that could be read back after a call: what it read and wrote; all of its input where providers do not say."""
    told = call.cache_read_tokens + call.cache_write_tokens
    return told if call.cache_write_tokens else max(told, call.input_tokens)


def _burnt(lost: int, rewritten: int, model: ModelView | None) -> NanoUSD | None:
    if model is None or model.input_nanousd is None:
        return None
    fresh = model.input_nanousd
    read = fresh if model.cache_read_nanousd is None else model.cache_read_nanousd
    write = fresh if model.cache_write_nanousd is None else model.cache_write_nanousd
    return max(0, (lost - rewritten) * (fresh - read) + rewritten * (write - read)) // MILLION


def _verdict(read: int, written: int, lost: int, parted: int, forgotten: int, whole: int) -> tuple[str, str]:
    if not lost:
        if not read and whole < LEAST:
            return "too short", "prompts below 1,024 tokens are not cached"
        return (
            ("well", "what was cached is read back")
            if read
            else ("nothing repeats", "no call begins like the one before")
        )
    if not read and not written:
        return (
            "not cached",
            "mark the end of what stays the same with cache_control, or keep it first in the prompt",
        )
    if written and not read:
        return (
            "written, never read",
            "each write costs more than a plain token: the prefix changes before it is read",
        )
    if forgotten > parted:
        return "forgotten", "more than 5 minutes between calls: ask for the cache that lasts an hour"
    return (
        "prefix parts",
        "something before that token changes from call to call: a date, an id, the order of tools",
    )
