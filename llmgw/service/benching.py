"""`llmgw bench cache`: a workload of the owner's through the exact cache, the semantic one, and plain thresholds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from llmgw.config.load import effective_config
from llmgw.config.prices import load_prices
from llmgw.domain.money import NanoUSD, parse_usd
from llmgw.domain.route import Target, Tier
from llmgw.domain.usage import Usage
from llmgw.errors import BadRequest, NotFound
from llmgw.providers.embedding import minilm
from llmgw.providers.embedding.static import StaticTable
from llmgw.providers.registry import providers
from llmgw.rules.estimating import estimate_tokens
from llmgw.rules.pricing import cost
from llmgw.service.caches import rules_of
from llmgw.service.recognising import Recogniser
from llmgw.service.replaying import (
    FIXED,
    ExactOnly,
    FixedThreshold,
    Policy,
    Result,
    replay,
    same_answer,
    same_label,
)
from llmgw.service.workloads import Question, load

if TYPE_CHECKING:
    from pathlib import Path

    from llmgw.config.model import Settings
    from llmgw.config.paths import Paths
    from llmgw.domain.price import Price


class Bench(Struct, frozen=True):
    """A workload replayed: how many questions, compared by what, and how each policy fared.

    ``judged`` tells whether anybody knows which answers are right.
    """

    questions: int
    embedder: str
    promise: float
    judged: bool
    results: tuple[Result, ...]


def run(
    paths: Paths,
    file: Path,
    *,
    max_error: float | None = None,
    embedder: str | None = None,
    limit: int | None = None,
    price: tuple[str, str] | None = None,
    output_tokens: int = 0,
) -> Bench:
    """Replay a file by the options in force where an argument is None; ``price`` is a provider and one of its models.

    NotFound, BadRequest where the file, the embedder or the price cannot be used.
    """
    settings = effective_config(paths)
    semantic = settings.cache.semantic
    promise = semantic.max_error if max_error is None else max_error
    questions = load(file, rules_of(settings.cache.exact), limit)
    table = StaticTable.load()
    model = _embedder(embedder or semantic.embedder, paths.data, table)
    vectors = np.zeros((len(questions), table.width if model is None else model.width), np.float32)
    for number, question in enumerate(questions):
        if question.asked.reworded:
            prompt = question.asked.prompt
            vectors[number] = table.embed(prompt) if model is None else model.embed([prompt])[0]
    same = same_label if any(each.label is not None for each in questions) else same_answer
    rates = None if price is None else _price(price, settings, paths)
    costs = [_cost(each, rates, output_tokens) for each in questions]
    recogniser = Recogniser(promise, table, model, audit=semantic.audit, candidates=semantic.candidates)
    policies: list[Policy] = [ExactOnly(), recogniser, *(FixedThreshold(vectors, each) for each in FIXED)]
    results = tuple(replay(questions, policy, same, costs) for policy in policies)
    judged = any(each.label is not None or each.answer is not None for each in questions)
    return Bench(len(questions), "static" if model is None else model.name, promise, judged, results)


def _embedder(name: str, data: Path, table: StaticTable) -> minilm.MiniLM | None:
    """What decides behind the static table; None: the table itself."""
    if name == "static" or (name == "auto" and not minilm.usable(data)):
        return None
    if name not in {"auto", minilm.MiniLM.name}:
        raise BadRequest(
            f"`{name}` would have to be called", hint="`--embedder static` or `--embedder minilm` runs here"
        )
    if not minilm.usable(data):
        raise NotFound("MiniLM is not installed", hint="`llmgw cache embedder install`")
    return minilm.MiniLM(data, table.pieces)


def _price(name: tuple[str, str], settings: Settings, paths: Paths) -> Price:
    provider, model = name
    known = providers().get(provider)
    book = load_prices(settings.prices, paths.prices)
    target = Target(provider, model, Tier.CHEAP if known is None else known.tier)
    price = book.find(provider, "" if known is None else known.price_id, target, time.time_ns())
    if price is None:
        raise NotFound(
            f"no price is known for `{target.name}`", hint="`llmgw model price NAME --set` sets one"
        )
    return price


def _cost(question: Question, price: Price | None, output_tokens: int) -> NanoUSD | None:
    """What a question would have cost: as its line says, else by its tokens; None where neither is known."""
    if question.cost_usd is not None:
        return parse_usd(question.cost_usd)
    if price is None:
        return None
    output = output_tokens if question.answer is None else estimate_tokens(question.answer)
    return cost(price, Usage(input_tokens=question.input_tokens, output_tokens=output))
