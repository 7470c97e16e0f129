"""Models that can be asked for and what they cost, and the providers that have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from llmgw.config.masking import mask, mask_url
from llmgw.desk.asking import Ask, Desk, Offer, Place
from llmgw.desk.failing import FailingView, failing
from llmgw.desk.headroom import HeadroomView, headrooms
from llmgw.domain.route import Target, Tier
from llmgw.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmgw.domain.price import Price
    from llmgw.providers.base import Upstream

PER = "per million tokens"
Rate = Annotated[int | None, Meta(description=PER)]


class ModelView(Struct, frozen=True, kw_only=True):
    """One model at one provider, and what a million of its tokens costs."""

    name: Annotated[str, Meta(description="as `provider/model`")]
    provider: str
    model: str
    tier: Tier
    price: Annotated[str, Meta(description="`own`, `free`, `listed` or `unknown`")]
    input_nanousd: Rate
    output_nanousd: Rate
    cache_read_nanousd: Rate
    cache_write_nanousd: Rate
    context_window: int | None


class Models(Struct, frozen=True):
    models: tuple[ModelView, ...]


class ProviderView(Struct, frozen=True, kw_only=True):
    """A provider in use; of its credential only where it came from and how it ends."""

    name: str
    title: str
    kind: str
    tier: Tier
    credential: Annotated[str | None, Meta(description="where it was found")]
    masked: str | None
    models: Annotated[int | None, Meta(description="how many it lists")]
    base_url: str
    variables: tuple[str, ...]
    headroom: Annotated[
        tuple[HeadroomView, ...], Meta(description="what its models were last said to have left")
    ] = ()
    failing: Annotated[tuple[FailingView, ...], Meta(description="its models that keep failing")] = ()


class Providers(Struct, frozen=True):
    providers: tuple[ProviderView, ...]


class ListModels(Ask[Models], frozen=True, kw_only=True):
    """List the models of the providers in use."""

    at: ClassVar = Place("GET", "/admin/models")
    answer: ClassVar = Models
    provider: Annotated[str | None, Meta(description="only models of this provider")] = None
    tier: Annotated[Tier | None, Meta(description="only models of this tier")] = None
    all: Annotated[bool, Meta(description="every model with a known price, listed or not")] = False

    def do(self, desk: Desk) -> Models:
        offer, now = desk.offer(), desk.clock.now()
        if self.provider is not None and self.provider not in offer.upstreams:
            raise NotFound(
                f"no provider `{self.provider}` is in use", hint=f"there are {', '.join(offer.upstreams)}"
            )
        return Models(
            tuple(
                view(target, price_of(upstream, target, offer, now))
                for upstream in offer.upstreams.values()
                if self.provider in {None, upstream.name}
                for target in _targets(upstream, offer, everything=self.all)
                if self.tier in {None, target.tier}
            )
        )


class ListProviders(Ask[Providers], frozen=True, kw_only=True):
    """List the providers in use."""

    at: ClassVar = Place("GET", "/admin/providers")
    answer: ClassVar = Providers

    def do(self, desk: Desk) -> Providers:
        offer = desk.offer()
        return Providers(
            tuple(
                replace(
                    provider_view(each, offer.sources),
                    headroom=headrooms(desk, each.name),
                    failing=failing(desk, each.name),
                )
                for each in offer.upstreams.values()
            )
        )


def price_of(upstream: Upstream, target: Target, offer: Offer, now: int) -> Price | None:
    """What a model of an upstream costs at a moment; None where that is not known."""
    return offer.book.find(target.provider, upstream.provider.price_id, target, now)


def certainty(price: Price | None) -> str:
    """Whose word a price is."""
    if price is None:
        return "unknown"
    return {"operator": "own", "local": "free"}.get(price.source, "listed")


def view(target: Target, price: Price | None) -> ModelView:
    """A model as operators see it."""
    return ModelView(
        name=target.name,
        provider=target.provider,
        model=target.model,
        tier=target.tier,
        price=certainty(price),
        input_nanousd=price.input if price else None,
        output_nanousd=price.output if price else None,
        cache_read_nanousd=price.cache_read if price else None,
        cache_write_nanousd=price.cache_write if price else None,
        context_window=price.context_window if price else None,
    )


def provider_view(upstream: Upstream, sources: dict[str, str]) -> ProviderView:
    """A provider in use as operators see it; nothing in it is a secret."""
    return ProviderView(
        name=upstream.name,
        title=upstream.provider.title,
        kind=upstream.provider.name,
        tier=upstream.tier,
        credential=sources.get(upstream.name) or None,
        masked=mask(upstream.credential) or None,
        models=len(upstream.models) or None,
        base_url=mask_url(upstream.base_url),
        variables=upstream.provider.credentials,
    )


def _targets(upstream: Upstream, offer: Offer, *, everything: bool) -> Iterator[Target]:
    """The models an upstream says it has, or all that its price list knows."""
    names = list(upstream.models or upstream.provider.default_models)
    if everything:
        names += [each.model for each in offer.book.lists.get(upstream.provider.price_id, ())]
    tiers = {name: tier for tier, listed in offer.plan.tiers.items() for name in listed}
    for name in dict.fromkeys(names):
        yield Target(upstream.name, name, tiers.get(f"{upstream.name}/{name}", upstream.tier))
