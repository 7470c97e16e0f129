"""Where requests go and why: of one that was made, and of one that might be."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct, structs

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.desk.budget_shapes import BudgetView
from llmgw.desk.budgets import ListBudgets
from llmgw.desk.limits import LimitView, ListLimits
from llmgw.desk.models import price_of
from llmgw.desk.requests import Done, InFlight, Moment, ShowRequest
from llmgw.desk.wire import nanoseconds
from llmgw.domain.identity import Key
from llmgw.domain.ledger import read_id
from llmgw.domain.route import Decision, Route, Tier, Verdict
from llmgw.errors import NotAllowed, NotFound
from llmgw.gates.replaying import Side, replay
from llmgw.gates.route import Router
from llmgw.gates.tiering import Asked, permitted
from llmgw.providers.registry import target_dialect
from llmgw.rules.estimating import estimate_tokens
from llmgw.rules.planning import AUTO
from llmgw.rules.tiering.dial import RECENT
from llmgw.rules.tiering.vague import too_vague
from llmgw.storage.decisions import Decisions
from llmgw.storage.shadows import Shadows

Share = Annotated[float, Meta(ge=0, le=1)]
WEEK = 7 * 86_400 * 10**9
ANYBODY = Key(id=0, name="", hash=b"")


class Term(Struct, frozen=True):
    """A part of the gain: what it stands for and how much it adds."""

    name: str
    value: float


class DecisionView(Struct, frozen=True, kw_only=True):
    """Why a tier was chosen. ``terms`` sum to ``gain``, by which a premium model was expected to answer better."""

    tier: str
    target: str
    reason: str
    rule: str | None
    sticky: bool
    explored: bool
    classifier: str | None
    gain: float | None
    premium_quality: Annotated[float | None, Meta(description="chance of a good answer by a premium model")]
    quality: Annotated[float | None, Meta(description="where the dial stood")]
    terms: tuple[Term, ...]
    trimmed: Annotated[int, Meta(description="tokens of the conversation that were left behind")]
    verdicts: Annotated[
        tuple[Verdict, ...], Meta(description="what was made of answers before they were passed on")
    ]


class OutcomeView(Struct, frozen=True, kw_only=True):
    """What was said of an answer, or concluded from what its caller did then."""

    score: Annotated[float, Meta(description="0 to 1")]
    source: Annotated[
        str, Meta(description="`feedback`, or what it was concluded from, such as `regeneration`")
    ]
    weight: Annotated[float, Meta(description="how far it is believed; feedback is 1")]
    comment: str
    said_at: int
    learnt: bool


class ShadowView(Struct, frozen=True, kw_only=True):
    """What a local model made of the same request later, for nobody."""

    target: str
    score: Annotated[float | None, Meta(description="1 served as well, 0 did not; null where that is open")]
    how: Annotated[str, Meta(description="what settled it")]
    asked_at: int


class Why(Struct, frozen=True, kw_only=True):
    """A request and everything known of why it ended as it did; limits and budgets are those of its key now."""

    request: Done | InFlight
    decision: DecisionView | None
    outcome: OutcomeView | None
    shadow: ShadowView | None
    limits: tuple[LimitView, ...]
    budgets: tuple[BudgetView, ...]


class Forgotten(Struct, frozen=True):
    """How many outcomes were forgotten."""

    forgotten: int


class Tested(Struct, frozen=True, kw_only=True):
    """Where a request would go. ``decision`` is null for a name that leaves nothing to choose."""

    model: str
    targets: tuple[str, ...]
    reason: str
    asked_back: Annotated[bool, Meta(description="whether it would be asked back, as too vague")]
    decision: DecisionView | None


class ExplainRequest(Ask[Why], frozen=True, kw_only=True):
    """Tell why a request went where it did, with its attempts and what each cost."""

    at: ClassVar = Place("GET", "/admin/requests/{id}/why")
    answer: ClassVar = Why
    id: str

    def do(self, desk: Desk) -> Why:
        request = ShowRequest(id=self.id).do(desk)
        stored = Decisions(desk.database)
        number = read_id(self.id)
        decision, outcome = stored.find(number), stored.outcome(number)
        shadow = Shadows(desk.database).find(number)
        scope = f"key:{request.key}" if isinstance(request, Done) else None
        return Why(
            request=request,
            decision=None if decision is None else view(decision),
            outcome=None
            if outcome is None
            else OutcomeView(
                score=outcome.score,
                source=outcome.source,
                weight=outcome.weight,
                comment=outcome.comment,
                said_at=outcome.at,
                learnt=outcome.features is not None,
            ),
            shadow=None
            if shadow is None
            else ShadowView(target=shadow.shadow, score=shadow.score, how=shadow.how, asked_at=shadow.at),
            limits=() if scope is None else ListLimits(scope=scope).do(desk).limits,
            budgets=() if scope is None else ListBudgets(holding=scope).do(desk).budgets,
        )


class TestRoute(Ask[Tested], frozen=True, kw_only=True):
    """Tell where a request would go and why, without making it."""

    __test__ = False  # no test, whatever it is called
    at: ClassVar = Place("POST", "/admin/routes/test")
    answer: ClassVar = Tested
    prompt: str
    model: str = AUTO
    key: Annotated[str | None, Meta(description="as if this key asked")] = None
    tags: tuple[str, ...] = ()
    tools: Annotated[bool, Meta(description="as if it offered tools")] = False

    def do(self, desk: Desk) -> Tested:
        key = ANYBODY if self.key is None else desk.control.show(self.key)
        offer = desk.offer()
        router = Router(offer.plan, offer.upstreams.values(), target_dialect)
        whole = router.route(self.model, None)
        kept = permitted(key, self.model, whole.targets)
        if not kept:
            raise NotAllowed(f"key `{key.name}` may not use the model `{self.model}`", param="model")
        route, decision = Route(self.model, kept, whole.reason), None
        tiering, asked_back = offer.tiering, False
        if tiering is not None and tiering.concerns(router, self.model):
            asked = Asked(
                self.model,
                key,
                (*key.tags, *self.tags),
                estimate_tokens(self.prompt),
                self.tools,
                self.prompt,
            )
            route, decision = tiering.preview(router, asked, route, desk.clock.now())
            asked_back = (
                tiering.options.clarify
                and decision is not None
                and too_vague(self.prompt, history=self.tools)
            )
        return Tested(
            model=self.model,
            targets=tuple(target.name for target in route.targets),
            reason=route.reason,
            asked_back=asked_back,
            decision=None if decision is None else view(decision),
        )


class PolicyView(Struct, frozen=True, kw_only=True):
    """What requests come to under a policy; ``good`` is the share of answers that were expected to be good."""

    local: int
    cheap: int
    premium: int
    cost_nanousd: int
    good: float


class Simulated(Struct, frozen=True, kw_only=True):
    """Requests whose tier the score had a say in. ``fixed`` were decided by a rule or a classifier and stay."""

    quality: float
    max_regret: float
    requests: int
    fixed: int
    changed: Annotated[int, Meta(description="how many would go to another tier")]
    unpriced: Annotated[int, Meta(description="how many have no known price and are in neither cost")]
    before: PolicyView
    after: PolicyView
    saved_nanousd: Annotated[int, Meta(description="negative where it would have cost more")]


class SimulateRoutes(Ask[Simulated], frozen=True, kw_only=True):
    """Tell what requests would have cost with the dial elsewhere; nothing is sent to anybody."""

    at: ClassVar = Place("GET", "/admin/routes/simulation")
    answer: ClassVar = Simulated
    quality: Annotated[Share | None, Meta(description="where the dial would stand")] = None
    max_regret: Annotated[Share | None, Meta(description="the most that an answer may lose")] = None
    since: Annotated[Moment | None, Meta(description="from this time on; a week without it")] = None

    def do(self, desk: Desk) -> Simulated:
        offer = desk.offer()
        tiering = offer.tiering
        if tiering is None:
            raise NotFound(
                "there is one tier only, so nothing is decided", hint="`llmgw model list` shows tiers"
            )
        options = structs.replace(
            tiering.options,
            quality=tiering.options.quality if self.quality is None else self.quality,
            max_regret=tiering.options.max_regret if self.max_regret is None else self.max_regret,
        )
        now = desk.clock.now()
        since = now - WEEK if self.since is None else nanoseconds(self.since)
        stored = Decisions(desk.database)
        done = replay(
            stored.replayed(since),
            options,
            tiering,
            Router(offer.plan, offer.upstreams.values(), target_dialect),
            {key.id: key for key in desk.control.load_keys()},
            lambda target: price_of(offer.upstreams[target.provider], target, offer, now),
            stored.gains(RECENT, since),
        )
        return Simulated(
            quality=options.quality,
            max_regret=options.max_regret,
            requests=done.requests,
            fixed=done.fixed,
            changed=done.changed,
            unpriced=done.unpriced,
            before=_policy(done.before, done.requests),
            after=_policy(done.after, done.requests),
            saved_nanousd=done.before.cost - done.after.cost,
        )


def _policy(side: Side, requests: int) -> PolicyView:
    return PolicyView(
        **{tier.value: side.tiers.get(tier, 0) for tier in Tier},
        cost_nanousd=side.cost,
        good=round(side.quality / max(1, requests), 4),
    )


class ForgetOutcomes(Ask[Forgotten], frozen=True, kw_only=True):
    """Forget every outcome: the router starts again from what it was shipped with."""

    at: ClassVar = Place("DELETE", "/admin/outcomes")
    answer: ClassVar = Forgotten

    def do(self, desk: Desk) -> Forgotten:
        with desk.control.change() as connection:
            count = connection.execute("DELETE FROM outcomes").rowcount
            connection.execute("UPDATE control SET version = version + 1")
        return Forgotten(count)


def view(decision: Decision) -> DecisionView:
    """A decision as operators see it."""
    fields = structs.asdict(decision)
    del fields["features"], fields["conversation"], fields["vector"]
    fields["premium_quality"] = fields.pop("premium")
    fields["terms"] = tuple(Term(name, value) for name, value in decision.terms)
    fields["rule"], fields["classifier"] = decision.rule or None, decision.classifier or None
    return DecisionView(**fields)
