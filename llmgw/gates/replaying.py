"""What requests of the past would have cost under another policy: their stored scores, one pass, nobody is asked.

What a rule or a classifier decided stays as it was. A request that would have changed its tier is priced anew with its own
tokens at the first target of that tier, none of them from a cache there; all others keep what they cost. Outcomes
learnt since then have moved no stored score, and nothing is explored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.domain.money import NanoUSD
from llmgw.domain.price import Price
from llmgw.gates.tiering import leaves, permitted
from llmgw.rules.pricing import text_cost
from llmgw.rules.tiering.dial import REFRESH, Dial, Ladder
from llmgw.rules.tiering.dial import Tier as Rung

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.identity import Key
    from llmgw.domain.route import Target
    from llmgw.gates.route import Router
    from llmgw.gates.tiering import Tiering
    from llmgw.rules.tiering.options import Options
    from llmgw.storage.decisions import Scored


NOWHERE: tuple[str, Nanoseconds] = ("", 0)


class Side(Struct):
    """One policy's share: requests by tier, what they cost, and the sum of the chances of a good answer."""

    tiers: dict[str, int]
    cost: NanoUSD
    quality: float


class Replayed(Struct):
    """``fixed`` requests no policy of the dial moves; ``unpriced`` ones are in neither sum of costs."""

    requests: int
    fixed: int
    changed: int
    unpriced: int
    before: Side
    after: Side


class _Fork(Struct):
    """Where requests may go: a price for each tier, the tiers as the dial sees them, how the dial is set for them."""

    prices: dict[str, Price | None]
    rungs: tuple[Rung, ...]
    kappa: dict[str, float]
    ladder: Ladder | None = None


class _Forks:
    """The fork of each key and name; those who may go to the same targets share one."""

    def __init__(
        self,
        tiering: Tiering,
        router: Router,
        keys: Mapping[int, Key],
        price: Callable[[Target], Price | None],
    ) -> None:
        self._price = price
        self._tiering = tiering
        self._router = router
        self._keys = keys
        self._named: dict[tuple[int, str], _Fork] = {}
        self._forks: dict[tuple[Target, ...], _Fork] = {}

    def find(self, key_id: int, asked: str) -> _Fork:
        fork = self._named.get((key_id, asked))
        if fork is None:
            fork = self._named[key_id, asked] = self._fork(self._keys.get(key_id), asked)
        return fork

    def _fork(self, key: Key | None, asked: str) -> _Fork:
        """What is open to a key now; one that is not there any more may go where everybody may."""
        auto = self._tiering.auto(self._router, asked)
        found = self._router.route(asked, None).targets if auto else ()
        kept = found if key is None else permitted(key, asked, found)
        if kept not in self._forks:
            prices: dict[str, Price | None] = {target.tier: self._price(target) for target in reversed(kept)}
            rungs = self._tiering.rungs(kept)
            self._forks[kept] = _Fork(prices, rungs, {rung.name: rung.kappa for rung in rungs})
        return self._forks[kept]

    def turn(self) -> None:
        """The dial is set anew."""
        for fork in self._forks.values():
            fork.ladder = None


def replay(
    rows: Iterable[Scored],
    options: Options,
    tiering: Tiering,
    router: Router,
    keys: Mapping[int, Key],
    price: Callable[[Target], Price | None],
    gains: Iterable[float] = (),
) -> Replayed:
    """Replay requests as ``tiering`` would decide with other ``options``; ``gains`` are those of requests before."""
    regret = options.max_regret if options.max_regret < 1 else None
    dial = Dial(options.quality, regret, prior=(*tiering.model.weights.usual, *gains))
    kappa, sticky = tiering.learning.kappa, options.sticky
    forks = _Forks(tiering, router, keys, price)
    held: dict[int, tuple[str, Nanoseconds]] = {}
    moves: dict[tuple[str, str], int] = {}
    requests = fixed = unpriced = 0
    cost_before = cost_after = 0
    good_before = good_after = 0.0
    for requests, row in enumerate(rows, 1):
        _, at, key_id, asked, was, gain, premium, declared, conversation, taken, given, spent = row
        dial.note(gain)
        if requests % REFRESH == 0:
            forks.turn()
        fork = forks.find(key_id, asked)
        tier = was
        if declared or not fork.rungs:
            fixed += 1
        else:
            if (ladder := fork.ladder) is None:
                ladder = fork.ladder = dial.ladder(fork.rungs)
            tier = ladder.rungs[ladder.step(gain, regret)].name
            stays, until = held.get(conversation, NOWHERE)
            if stays != tier and at <= until and stays in fork.kappa:
                rise = _quality(premium, gain, fork.kappa[tier]) - _quality(premium, gain, fork.kappa[stays])
                tier = tier if leaves(stays, tier, rise) else stays
        if sticky:
            held[conversation] = tier, at + sticky
        moves[was, tier] = moves.get((was, tier), 0) + 1
        good = _quality(premium, gain, kappa.get(was, 0.0))
        good_before += good
        now = spent
        if tier != was:
            good = _quality(premium, gain, kappa[tier])
            rates = fork.prices[tier]
            now = None if rates is None else text_cost(rates, taken, given)
        good_after += good
        if spent is None or now is None:
            unpriced += 1
        else:
            cost_before += spent
            cost_after += now
    return Replayed(
        requests=requests,
        fixed=fixed,
        changed=sum(count for (was, tier), count in moves.items() if was != tier),
        unpriced=unpriced,
        before=Side(_counts(moves, 0), cost_before, good_before),
        after=Side(_counts(moves, 1), cost_after, good_after),
    )


def _counts(moves: dict[tuple[str, str], int], side: int) -> dict[str, int]:
    """Requests by tier on one side of the moves."""
    counts: dict[str, int] = {}
    for move, count in moves.items():
        counts[move[side]] = counts.get(move[side], 0) + count
    return counts


def _quality(premium: float, gain: float, kappa: float) -> float:
    value = premium - kappa * gain
    return 0.0 if value < 0.0 else min(1.0, value)
