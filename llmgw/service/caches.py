"""From the options of the caches to the caches at work; a gateway whose cache cannot be opened serves without one."""

from __future__ import annotations

import asyncio
import logging
import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from llmgw.domain.spans import parse_span
from llmgw.gates.caches import Caches
from llmgw.rules.caching import Rules
from llmgw.storage.answers import AnswerStore
from llmgw.storage.answers_schema import FILE_NAME
from llmgw.storage.keeper import Keeper
from llmgw.storage.stamp import Stamp

if TYPE_CHECKING:
    from pathlib import Path

    from llmgw.config.caching import Cache, ExactCache, SemanticCache
    from llmgw.domain.clock import Clock

log = logging.getLogger("llmgw.cache")

SWITCH_SECONDS = 0.001
"""How long a thread keeps the interpreter when the event loop wants it; Python's own default is five times that."""

PATIENCE = 1.0
"""Seconds that writing waits for another process; reading, which happens on the event loop, does not wait."""


async def open_caches(options: Cache, database: Path, clock: Clock) -> tuple[Caches | None, str]:
    """The caches beside a ledger's database; None where none is asked for, or with words why there can be none.

    A file that cannot be used just now, because somebody has locked it, is used as soon as it can be.
    """
    exact, kept = options.exact, options.idempotency.ttl
    ttl = parse_span(kept) if kept else 0
    remembers = exact.enabled or options.semantic.mode != "off"
    if not (remembers or ttl):
        return None, ""
    path, cap = database.with_name(FILE_NAME), int(options.size_mb * 1_048_576)
    try:
        stamp = Stamp(path)
    except OSError as error:
        words = f"cannot write beside {path}: {(error.strerror or str(error)).lower()}"
        log.warning("serving without a cache: %s", words)
        return None, words
    opened = partial(AnswerStore.open, path, clock=clock, cap_bytes=cap)
    caches = Caches(
        partial(opened, patience=0),
        Keeper(partial(opened, patience=PATIENCE), clock),
        stamp,
        rules=rules_of(exact),
        exact=exact.enabled,
        join=exact.enabled and exact.join,
        remembers=remembers,
        idempotency_ttl=ttl,
        memory_bytes=int(options.memory_mb * 1_048_576),
    )
    await caches.follow()
    sys.setswitchinterval(SWITCH_SECONDS)
    return caches, ""


async def open_semantics(caches: Caches | None, options: SemanticCache, database: Path, clock: Clock) -> None:
    """Put the semantic cache to work behind a gateway that answers already: numpy takes its time to load."""
    if caches is not None and options.mode != "off":
        semantics = await asyncio.to_thread(import_module, "llmgw.service.semantics")
        path = database.with_name(FILE_NAME)
        caches.semantic = semantics.open_semantics(options, path, clock, caches.keeper.suspect)


async def close_caches(caches: Caches | None) -> None:
    """Write down what waits and let go of the file."""
    if caches is not None:
        await asyncio.to_thread(
            caches.keeper.close
        )  # the semantic cache hears of each answer that is written
        if caches.semantic is not None:
            await caches.semantic.close()
        caches.close()


def rules_of(exact: ExactCache) -> Rules:
    """What the options allow."""
    return Rules(
        ttl=parse_span(exact.ttl),
        ttl_deterministic=parse_span(exact.ttl_deterministic),
        ttl_dated=parse_span(exact.ttl_dated),
        max_temperature=exact.max_temperature,
        tools=exact.tools,
        images=exact.images,
    )
