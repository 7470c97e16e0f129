"""From the name a caller asks for to the ordered targets that may answer it."""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase

from msgspec import Struct

from llmgw.domain.route import Route, Target, Tier
from llmgw.errors import BadRequest, ModelNotFound, Unavailable

AUTO = "gateway-auto"
VIRTUAL: dict[str, tuple[Tier, ...]] = {
    AUTO: (Tier.LOCAL, Tier.CHEAP, Tier.PREMIUM),
    "gateway-local": (Tier.LOCAL,),
    "gateway-cheap": (Tier.CHEAP,),
    "gateway-premium": (Tier.PREMIUM,),
}
"""Models that exist only here: each is the ordered targets of its tiers (D-04)."""


class Offer(Struct, frozen=True, kw_only=True):
    """What one upstream offers: ``models`` by name, ``patterns`` of names it is known for.

    ``open`` upstreams take any name that nobody else claims: an address whose models are not listed.
    """

    upstream: str
    tier: Tier
    models: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    open: bool = False

    def claims(self, model: str) -> bool:
        return model in self.models or f"{model}:latest" in self.models


class Plan(Struct, frozen=True, kw_only=True):
    """Everything routing knows: offers in order of preference, aliases (exact names or globs), tier lists."""

    offers: tuple[Offer, ...]
    aliases: dict[str, tuple[str, ...]] = {}
    tiers: dict[Tier, tuple[str, ...]] = {}
    declared: tuple[Tier, ...] = ()
    """Tiers whose list somebody has written; the others are of what was found."""

    def target(self, offer: Offer, model: str) -> Target:
        """One model of an offer; a tier list that names it decides its tier."""
        name = f"{offer.upstream}/{model}"
        tier = next((tier for tier, names in self.tiers.items() if name in names), offer.tier)
        return Target(offer.upstream, model, tier)

    def names(self) -> tuple[str, ...]:
        """Every name a caller may ask for by listing: virtual models with targets, aliases, then offered models."""
        virtual = (name for name, tiers in VIRTUAL.items() if any(self.tiers.get(tier) for tier in tiers))
        aliases = (name for name in self.aliases if not set("*?[") & set(name))
        offered = (model for offer in self.offers for model in offer.models)
        return tuple(dict.fromkeys((*virtual, *aliases, *offered)))


def resolve(plan: Plan, asked: str, force_tier: str | None = None) -> Route:
    """The route of a name: virtual model, alias, ``provider/model``, a listed model, a known family, an open upstream.

    ``force_tier`` keeps the targets of that tier, or takes the tier's own list when the name has none there.
    ModelNotFound with near names when nothing fits, Unavailable when a tier has no target.
    """
    route = _virtual(plan, asked, force_tier) if asked in VIRTUAL else _named(plan, asked)
    if force_tier is None or asked in VIRTUAL:
        return route
    tier = Tier(force_tier)
    kept = tuple(target for target in route.targets if target.tier is tier)
    if kept:
        return Route(asked, kept, f"{route.reason}, tier {tier} forced")
    return Route(asked, _of_tiers(plan, (tier,), asked), f"tier {tier} forced")


def _virtual(plan: Plan, asked: str, force_tier: str | None) -> Route:
    if force_tier is not None:
        return Route(asked, _of_tiers(plan, (Tier(force_tier),), asked), f"tier {force_tier} forced")
    targets = _of_tiers(plan, VIRTUAL[asked], asked)
    return Route(asked, targets, f"virtual model, cheapest first: {targets[0].tier}")


def _of_tiers(plan: Plan, tiers: tuple[Tier, ...], asked: str) -> tuple[Target, ...]:
    names = [name for tier in tiers for name in plan.tiers.get(tier, ())]
    if not names:
        wanted = " or ".join(tiers)
        raise Unavailable(
            f"no target in tier {wanted} for `{asked}`",
            code="no_target",
            hint=f'name one under [tiers] in llmgw.toml: {tiers[0]} = ["provider/model"]',
        )
    return _targets(plan, tuple(names))


def _targets(plan: Plan, names: tuple[str, ...]) -> tuple[Target, ...]:
    """The targets of configured names, in order, each once: ``provider/model``, a bare model or a virtual one."""
    found: list[Target] = []
    for name in names:
        tiers = VIRTUAL.get(name)
        inner = (
            (name,) if tiers is None else tuple(each for tier in tiers for each in plan.tiers.get(tier, ()))
        )
        for each in inner:
            found += _plain(plan, each)[0]
    if not found:
        raise Unavailable(
            f"nobody is behind {', '.join(f'`{name}`' for name in names)}",
            code="no_target",
            hint="name targets under [tiers] in llmgw.toml",
        )
    return tuple(dict.fromkeys(found))


def is_auto(plan: Plan, asked: str) -> bool:
    """Whether a name leaves the choice of the tier to the gateway."""
    if asked == AUTO:
        return True
    names = plan.aliases.get(asked)
    if names is None:
        names = next((names for pattern, names in plan.aliases.items() if fnmatchcase(asked, pattern)), ())
    return AUTO in names


def _named(plan: Plan, asked: str) -> Route:
    if asked in plan.aliases:
        return Route(asked, _targets(plan, plan.aliases[asked]), f"alias `{asked}`")
    for pattern, names in plan.aliases.items():
        if fnmatchcase(asked, pattern):
            return Route(asked, _targets(plan, names), f"alias `{pattern}`")
    targets, reason = _plain(plan, asked)
    return Route(asked, targets, reason)


def _plain(plan: Plan, name: str) -> tuple[tuple[Target, ...], str]:
    upstream, _, model = name.partition("/")
    if model:
        for offer in plan.offers:
            if offer.upstream == upstream:
                return (plan.target(offer, model),), f"provider `{upstream}` named"
    for reason, fits in (
        ("listed by {}", lambda offer: offer.claims(name)),
        ("a model family of {}", lambda offer: any(fnmatchcase(name, each) for each in offer.patterns)),
        ("{} takes any model", lambda offer: offer.open),
    ):
        found = [offer for offer in plan.offers if fits(offer)]
        if found:
            return tuple(plan.target(offer, name) for offer in found), reason.format(found[0].upstream)
    near = get_close_matches(name, plan.names(), n=3, cutoff=0.6)
    raise ModelNotFound(
        f"no provider offers the model `{name}`",
        param="model",
        hint=f"did you mean {', '.join(f'`{each}`' for each in near)}?"
        if near
        else "GET /v1/models lists what there is",
    )


def check_tier(name: str) -> str:
    """``name`` if it is a tier; BadRequest otherwise (D-05)."""
    if name not in Tier.__members__.values():
        raise BadRequest(f"`force_tier` must be local, cheap or premium, not {name!r}", param="force_tier")
    return name
