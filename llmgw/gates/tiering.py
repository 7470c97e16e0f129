"""Gate 6, where a request leaves the choice of its tier to the gateway: declared routes, then habit, then the score.

A conversation stays with its tier and target while it goes on, because a provider's prompt cache is worth more than a
slightly better guess; it moves up where the score sees a clear gain. Nothing here asks a model unless a classifier is
configured, and calls that name a model do not come here unless a rule speaks of names.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from llmgw.domain.route import Decision, Route, Target, Tier
from llmgw.errors import NotAllowed
from llmgw.gates.classifying import classify
from llmgw.gates.habits import Habits, conversation_of
from llmgw.rules.planning import VIRTUAL, is_auto
from llmgw.rules.tiering.conditions import Facts, Rule, first, words_of
from llmgw.rules.tiering.dial import Dial
from llmgw.rules.tiering.dial import Tier as Rung
from llmgw.rules.tiering.hints import FEEDBACK, Hints
from llmgw.rules.tiering.learning import MOST, Learning
from llmgw.rules.tiering.score import shipped
from llmgw.rules.tiering.vague import too_vague

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from typing import Any
    from zoneinfo import ZoneInfo

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.identity import Key
    from llmgw.gates.route import Router
    from llmgw.gates.state import Call, Gateway
    from llmgw.providers.base import Glance
    from llmgw.rules.tiering.likeness import Likeness
    from llmgw.rules.tiering.options import Options
    from llmgw.rules.tiering.score import Features
    from llmgw.storage.decisions import Decisions, Outcome

MOST_NAMES = 4096

MARGIN = 0.1
"""By how much the chance of a good answer must rise for a conversation to leave its tier."""

USUAL_COST = {Tier.LOCAL: 0.0, Tier.CHEAP: 0.001, Tier.PREMIUM: 0.02}
"""Dollars of a usual request where no price is known (D-32)."""

ORDER = tuple(Tier)
RANK: dict[str, int] = {tier: rank for rank, tier in enumerate(ORDER)}

COUNTING = "count_tokens"
"""The surface of calls that are not made: they go where the call itself would, and leave no trace."""


class Asked(NamedTuple):
    """A request as far as its route depends on it. ``text`` is the user's last words; ``tokens`` an estimate."""

    model: str
    key: Key
    tags: tuple[str, ...]
    tokens: int
    tools: bool
    text: str


class Tiering:
    """What the gateway knows of tiers: the owner's rules and dial, what outcomes taught, where conversations are."""

    def __init__(
        self,
        options: Options,
        costs: Callable[[Target], float | None],
        zone: ZoneInfo,
        gains: Iterable[float] = (),
        random: Random | None = None,
        likeness: Callable[[], Likeness] | None = None,
    ) -> None:
        """``costs`` tells the dollars of a usual request; ``gains`` are those of earlier requests, oldest first.

        ``likeness`` makes what compares prompts; it is called with the first outcome, as it takes memory and a moment.
        """
        self.options = options
        self.model = shipped()
        self.learning = Learning(self.model.weights.bias[0])
        self.hints = Hints()
        self._load = likeness
        self._likeness: Likeness | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._costs = costs
        self._zone = zone
        self._gains = (*self.model.weights.usual, *gains)
        self._random = random or Random()  # noqa: S311 (exploring keeps no secret)
        self._dials: dict[float, Dial] = {}
        self.habits = Habits(options.sticky)
        self._autos: dict[str, bool] = {}
        self._prices: dict[Target, float] = {}
        self._names = any(rule.model for rule in options.rules)

    def concerns(self, router: Router, asked: str) -> bool:
        """Whether requests for a name are decided here."""
        return self._names or self.auto(router, asked)

    def auto(self, router: Router, asked: str) -> bool:
        """Whether a name leaves the tier to the gateway."""
        known = self._autos.get(asked)
        if known is None:
            if len(self._autos) >= MOST_NAMES:
                self._autos.clear()
            known = self._autos[asked] = is_auto(router.plan, asked)
        return known

    async def route(self, gateway: Gateway, call: Call, found: Route) -> Route:
        """The route of a request of which ``found`` holds every target open to its key; sets ``call.decision``."""
        peek = call.peek
        glance = call.glance
        tags = tuple(call.tags.split(",")) if call.tags else ()
        asked = Asked(peek.model, call.key, tags, peek.prompt_bytes // 4, peek.tools, glance.last)
        auto = self.auto(gateway.router, peek.model)
        rule = self.rule(asked, gateway.clock.now(), auto=auto)
        if rule is None and not auto:
            return found
        if rule is not None and rule[1].to:
            route, decision = self.declared(gateway.router, asked, *rule)
        elif auto and self.options.clarify and self._vague(call, glance):
            call.vague = True
            route, decision = found, Decision(reason="too vague for any model: asked back")
        else:
            route, decision = await self._weigh(gateway, call, found, asked, glance, rule)
        call.decision = decision
        return route

    def rule(self, asked: Asked, now: Nanoseconds, *, auto: bool) -> tuple[int, Rule] | None:
        """The declared route that a request falls under."""
        if not self.options.rules:
            return None
        at = datetime.fromtimestamp(now // 10**9, self._zone)
        facts = Facts(
            key=asked.key.name,
            tenant=asked.key.tenant,
            tags=asked.tags,
            model=asked.model,
            tokens=asked.tokens,
            tools=asked.tools,
            hour=at.hour,
            weekday=at.weekday(),
            text=asked.text,
        )
        return first(self.options.rules, facts, auto=auto)

    def declared(self, router: Router, asked: Asked, number: int, rule: Rule) -> tuple[Route, Decision]:
        """The targets that a rule names and no others; NotAllowed where the key may use none of them."""
        names = (f"gateway-{name}" if name in ORDER else name for name in rule.to)
        found = [target for name in names for target in router.route(name, None).targets]
        kept = permitted(asked.key, asked.model, found)
        words = f"rule {number} ({words_of(rule)})"
        if not kept:
            raise NotAllowed(
                f"{words} sends this request to {', '.join(rule.to)}, which key `{asked.key.name}` may not use",
                param="model",
            )
        decision = Decision(tier=kept[0].tier, target=kept[0].name, reason=words, rule=words)
        return Route(asked.model, kept, words), decision

    async def _weigh(
        self,
        gateway: Gateway,
        call: Call,
        found: Route,
        asked: Asked,
        glance: Glance,
        rule: tuple[int, Rule] | None,
    ) -> tuple[Route, Decision]:
        place = conversation_of(call.key, glance)
        now = gateway.clock.tick()
        held = self.habits.of(place, found.targets, now)
        name, counts = self.options.classifier, call.surface == COUNTING
        said = None
        if (
            name
            and held is None
            and not counts
            and rule is None
            and len({target.tier for target in found.targets}) > 1
        ):
            said = await classify(gateway, call, name, glance.last)
        route, decision = self.weigh(found, asked, rule, held=held, said=said, note=not counts)
        if not counts:
            self.habits.keep(place, route.targets[0], now)
        return route, replace(decision, conversation=place)

    def weigh(
        self,
        found: Route,
        asked: Asked,
        rule: tuple[int, Rule] | None = None,
        *,
        held: Target | None = None,
        said: Tier | None = None,
        note: bool = True,
    ) -> tuple[Route, Decision]:
        """The tier by a rule's wish, by what the conversation is used to, by a classifier's word or by the score.

        ``note`` counts the request among those that the dial is set by.
        """
        quality = self.options.quality if rule is None or rule[1].quality is None else rule[1].quality
        score = self.model.score(asked.text)
        features: Features = score.features
        vector = None if self._likeness is None else self._likeness.of(asked.text)
        score = self.learning.adjust(score, vector)
        dial = self._dial(quality)
        if note:
            for each in self._dials.values():
                each.note(score.gain)
        choice = dial.choose(score, self.rungs(found.targets))
        tier, reason, words = Tier(choice.tier), choice.why, ""
        if rule is not None:
            words = f"rule {rule[0]} ({words_of(rule[1])})"
            wanted = rule[1].tier
            tiers = {target.tier for target in found.targets}
            if wanted in tiers and wanted is not None:
                tier, reason = wanted, words
            else:
                reason = f"{words}: {reason}"
        elif said is not None and any(target.tier is said for target in found.targets):
            tier, reason = said, f"{self.options.classifier} calls it {said}"
        sticks = (
            held is not None
            and (rule is None or rule[1].tier is None)
            and not leaves(held.tier, tier, choice.quality[tier] - choice.quality[held.tier])
        )
        if sticks and held is not None:
            tier, reason = held.tier, f"the conversation stays with {held.name}"
        targets = order(found.targets, tier, held if sticks else None)
        decision = Decision(
            tier=targets[0].tier,
            target=targets[0].name,
            reason=reason,
            rule=words,
            sticky=sticks,
            explored=choice.explored and tier == choice.tier and not sticks,
            classifier=self.options.classifier if said is not None else "",
            gain=score.gain,
            premium=score.premium,
            quality=quality,
            terms=score.terms,
            features=features,
            vector=vector,
        )
        return Route(found.asked, targets, reason), decision

    def preview(
        self, router: Router, asked: Asked, found: Route, now: Nanoseconds
    ) -> tuple[Route, Decision | None]:
        """Where a request would go that begins a conversation; no decision where its name leaves nothing to decide."""
        auto = self.auto(router, asked.model)
        rule = self.rule(asked, now, auto=auto)
        if rule is not None and rule[1].to:
            return self.declared(router, asked, *rule)
        if rule is None and not auto:
            return found, None
        return self.weigh(found, asked, rule, note=False)

    def rungs(self, targets: Iterable[Target]) -> tuple[Rung, ...]:
        """The tiers of these targets as the dial sees them, by the cost of the first target of each."""
        kappa = self.learning.kappa
        firsts: dict[Tier, Target] = {}
        for target in targets:
            firsts.setdefault(target.tier, target)
        return tuple(Rung(tier, kappa[tier], self._cost(firsts[tier])) for tier in ORDER if tier in firsts)

    def _cost(self, target: Target) -> float:
        known = self._prices.get(target)
        if known is None:
            said = None if target.tier is Tier.LOCAL else self._costs(target)
            known = self._prices[target] = USUAL_COST[target.tier] if said is None else said
        return known

    def _dial(self, quality: float) -> Dial:
        dial = self._dials.get(quality)
        if dial is None:
            explore = self.options.explore
            dial = self._dials[quality] = Dial(
                quality,
                self.options.max_regret,
                explore=explore,
                prior=self._gains,
                random=self._random if explore else None,
            )
        return dial

    def _vague(self, call: Call, glance: Glance) -> bool:
        peek = call.peek
        return too_vague(
            glance.last,
            history=glance.history or bool(glance.instructions) or peek.tools,
            attachments=bool(peek.attachments) or peek.context is not None,
        )

    def compare(self) -> None:
        """Compare prompts from now on, if it can be had; takes a tenth of a second the first time."""
        if self._likeness is None and self._load is not None:
            self._likeness = self._load()

    async def awaken(self) -> None:
        """Compare prompts from now on, as there is something to be learnt."""
        if self._likeness is None:
            await asyncio.to_thread(self.compare)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def learn(self, outcomes: Iterable[Outcome]) -> None:
        """Take in how good answers were, those of which enough is known."""
        _teach(self.learning, filter(self.heeds, outcomes))

    def heeds(self, outcome: Outcome) -> bool:
        """Whether an outcome's source is one that the owner lets it learn from."""
        learn = self.options.learn
        return learn == "all" or (learn == "feedback" and outcome.source == FEEDBACK)

    def relearn(self, known: Decisions) -> None:
        """Learn anew from what is known now; takes a while where that is much, and may do so in a thread."""
        fresh = Learning(self.model.weights.bias[0])
        _teach(fresh, filter(self.heeds, known.outcomes(MOST)))
        self.learning = fresh

    def limits(self, router: Router, asked: str, force_tier: str | None) -> bool:
        """Whether the budgets of context hold for a request: it names a tier, or leaves that to the gateway."""
        return bool(self.options.context) and (
            force_tier is not None or asked in VIRTUAL or self.auto(router, asked)
        )


def _teach(learning: Learning, outcomes: Iterable[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.tier is not None and outcome.features is not None:
            learning.learn(outcome.features, {outcome.tier: outcome.score}, outcome.vector, outcome.weight)


def leaves(held: str, wanted: str, rise: float) -> bool:
    """Whether a conversation leaves its tier for another, whose chance of a good answer is higher by ``rise``."""
    return RANK[wanted] > RANK[held] and rise >= MARGIN


def order(targets: tuple[Target, ...], tier: Tier, before: Target | None = None) -> tuple[Target, ...]:
    """Those of a tier first, ``before`` at their head, then the dearer tiers and at last the cheaper ones."""
    at = RANK[tier]
    wanted = (*ORDER[at:], *reversed(ORDER[:at]))
    sorted_ = sorted(targets, key=lambda each: wanted.index(each.tier))
    if before is not None:
        sorted_.sort(key=lambda each: each != before)
    return tuple(sorted_)


def permitted(key: Key, asked: str, targets: Iterable[Target]) -> tuple[Target, ...]:
    """The targets that a key may use, each once."""
    return tuple(
        dict.fromkeys(
            target
            for target in targets
            if key.allows(asked, target.model, target.name, f"{target.tier}/{target.model}")
        )
    )
