"""From the options of the semantic cache to the cache at work, with the best embedder there is; numpy comes in here."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from llmgw.domain.spans import parse_span
from llmgw.gates.embedding import Endpoint, Local
from llmgw.gates.judging import Options
from llmgw.gates.semantics import Semantics
from llmgw.providers.embedding.minilm import MiniLM, usable
from llmgw.providers.embedding.static import StaticTable
from llmgw.storage.answers import AnswerStore
from llmgw.storage.meanings import Meanings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmgw.config.caching import SemanticCache
    from llmgw.domain.clock import Clock
    from llmgw.errors import GatewayError
    from llmgw.gates.embedding import Embedder

log = logging.getLogger("llmgw.cache")

PATIENCE = 2.0
"""Seconds that the thread waits for another process to let go of the file."""


def _nobody(_: GatewayError) -> None:
    """Nobody mends the file."""


def open_semantics(
    options: SemanticCache, path: Path, clock: Clock, suspect: Callable[[GatewayError], None] = _nobody
) -> Semantics:
    """The semantic cache over the caches' file at ``path``; it reads what is there in the background.

    ``suspect`` is told of every trouble with the file.
    """
    semantic = Semantics(
        lambda: Meanings(AnswerStore.open(path, clock=clock, patience=PATIENCE)),
        Options(
            serves=options.mode == "on",
            promise=options.max_error,
            ttl=parse_span(options.ttl),
            audit=options.audit,
            candidates=options.candidates,
        ),
        clock,
        suspect,
    )

    def embedder(table: StaticTable) -> Embedder | None:
        chosen, data = options.embedder, path.parent
        if "/" in chosen:
            return Endpoint(chosen)
        if chosen in {"auto", "minilm"} and usable(data):
            return Local(MiniLM(data, table.pieces), semantic.think)
        if chosen == "minilm":
            log.warning(
                "MiniLM is not installed, the static table judges alone: `llmgw cache embedder install`"
            )
        return None

    semantic.start(StaticTable.load, embedder)
    return semantic
