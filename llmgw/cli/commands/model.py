"""Models that can be asked for, and what they cost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from llmgw.cli import completing, notices, options, output
from llmgw.cli.output import Column
from llmgw.domain.money import decimal_usd
from llmgw.domain.route import Target, Tier
from llmgw.errors import BadRequest, GatewayError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmgw.config.pricebook import PriceBook
    from llmgw.domain.price import Price, Rates
    from llmgw.providers.base import Upstream
    from llmgw.rules.planning import Plan

PLACE = "PROVIDERS", 2

app = typer.Typer()

PACKAGE = "genai-prices"

Name = Annotated[
    str,
    typer.Argument(
        help="A model, best as provider/model.", autocompletion=completing.models, show_default=False
    ),
]
DryRun = Annotated[bool, typer.Option("-n", "--dry-run", help="Only show what would change.")]


class InUse(NamedTuple):
    """What a gateway started now would offer, and what that costs."""

    upstreams: dict[str, Upstream]
    plan: Plan
    book: PriceBook


@app.command("list")
def list_models(
    provider: Annotated[str | None, typer.Option(help="Only models of this provider.")] = None,
    tier: Annotated[Tier | None, typer.Option(help="Only models of this tier.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every model with a known price, listed by a provider or not.")
    ] = False,
) -> None:
    """List the models of the providers in use, in dollars per million tokens.

    Examples:
      llmgw model list
      llmgw model list --tier local
      llmgw model list --all --provider openrouter -o csv
    """
    now = time.time_ns()
    use = _in_use()
    if provider is not None and provider not in use.upstreams:
        raise NotFound(f"no provider `{provider}` is in use", hint=f"there are {', '.join(use.upstreams)}")
    records = [
        _describe(target, _price(use, target, now))
        for upstream in use.upstreams.values()
        if provider in {None, upstream.name}
        for target in _targets(upstream, use, everything=everything)
        if tier in {None, target.tier}
    ]
    columns = [
        Column("name", "MODEL"),
        Column("tier"),
        Column("price"),
        Column("input_usd", "INPUT"),
        Column("output_usd", "OUTPUT"),
        Column("cache_read_usd", "CACHE READ", wide=True),
        Column("cache_write_usd", "CACHE WRITE", wide=True),
        Column("context_window", "CONTEXT", wide=True),
    ]
    output.rows(records, columns, noun="models")


@app.command()
def show(name: Name) -> None:
    """Show where a name leads, what the model costs, and how sure that is.

    Examples:
      llmgw model show gpt-5-nano
      llmgw model show anthropic/claude-sonnet-4-5 --json
    """
    use = _in_use()
    target = _target(use, name)
    found = _price(use, target, time.time_ns())
    output.record(_describe(target, found, whole=True), text=_facts(target, found))


@app.command()
def price(
    name: Name,
    assign: Annotated[
        str | None,
        typer.Option(
            "--set", help="Your own price, in dollars per million tokens.", metavar="KIND=DOLLARS,..."
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Forget your own price.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Print the price of a model, or set your own in the config file.

    Examples:
      llmgw model price gpt-5-nano
      llmgw model price openai/gpt-5-nano --set input=0.05,output=0.40
      llmgw model price openai/gpt-5-nano --remove
    """
    if assign is not None or remove:
        if assign is not None and remove:
            raise BadRequest("a price is set or removed, not both")
        _change(_target(_in_use(), name).name, assign, dry_run=dry_run)
    use = _in_use()
    target = _target(use, name)
    found = _price(use, target, time.time_ns())
    if found is None and not (dry_run or remove):
        raise NotFound(
            f"no price is known for `{target.name}`",
            hint=f"llmgw model price {target.name} --set input=DOLLARS,output=DOLLARS",
        )
    output.record(_describe(target, found, whole=True), text=_words(found, target))


@app.command()
def sync(
    source: Annotated[
        str,
        typer.Option(
            "--from", help="The installed package genai-prices, or its data.json.", metavar="SOURCE"
        ),
    ] = PACKAGE,
    dry_run: DryRun = False,
) -> None:
    """Refresh the price list from a source on this machine; nothing is fetched from a network.

    Examples:
      llmgw model sync --dry-run
      llmgw model sync --from data.json
    """
    from datetime import UTC, datetime

    from llmgw.config.price_sync import changes, generate, installed_data, read_data
    from llmgw.config.prices import load_prices, read_book
    from llmgw.config.private import write_private

    paths = options.paths()
    if source == PACKAGE:
        data, version = installed_data()
        origin = f"{PACKAGE} {version}"
    else:
        data, origin = read_data(Path(source)), Path(source).name
    text = generate(data, origin, datetime.now(UTC).date())
    before, after = load_prices(synced=paths.prices), read_book(text)
    found = [
        {
            "name": f"{change.price_id}/{change.model}",
            "change": "new" if change.before is None else "gone" if change.after is None else "price",
            "before": _terms(change.before),
            "after": _terms(change.after),
        }
        for change in changes(before, after)
    ]
    output.rows(
        found, [Column("name", "MODEL"), Column("change"), Column("before"), Column("after")], noun="changes"
    )
    if not dry_run:
        paths.create()
        write_private(paths.prices, text)
        notices.say(f"prices are now those of {origin}, {len(found):,} changes")
        _mention_running()


def _in_use() -> InUse:
    from llmgw.config.load import effective_config
    from llmgw.config.prices import load_prices
    from llmgw.service.assemble import survey

    paths = options.paths()
    settings = effective_config(paths)
    found = survey(settings, paths)
    book = load_prices(settings.prices, paths.prices)
    return InUse({upstream.name: upstream for upstream in found.upstreams}, found.plan, book)


def _targets(upstream: Upstream, use: InUse, *, everything: bool) -> Iterator[Target]:
    """The models an upstream says it has, or all that its price list knows."""
    names = list(upstream.models or upstream.provider.default_models)
    if everything:
        names += [offer.model for offer in use.book.lists.get(upstream.provider.price_id, ())]
    tiers = {name: tier for tier, listed in use.plan.tiers.items() for name in listed}
    for name in dict.fromkeys(names):
        yield Target(upstream.name, name, tiers.get(f"{upstream.name}/{name}", upstream.tier))


def _target(use: InUse, name: str) -> Target:
    """Where a name leads: as a call would go, else a known provider's model though the provider is not in use."""
    from llmgw.providers.registry import providers
    from llmgw.rules.planning import resolve

    owner, slash, model = name.partition("/")
    known = providers().get(owner)
    if slash and owner not in use.upstreams and known is not None:
        return Target(owner, model, known.tier)
    try:
        return resolve(use.plan, name).targets[0]
    except GatewayError as error:
        raise NotFound(error.message, hint=error.hint) from None


def _price(use: InUse, target: Target, now: int) -> Price | None:
    from llmgw.providers.registry import providers

    upstream = use.upstreams.get(target.provider)
    provider = upstream.provider if upstream else providers()[target.provider]
    return use.book.find(target.provider, provider.price_id, target, now)


def _change(name: str, assign: str | None, *, dry_run: bool) -> None:
    """Write an operator's price into the config file, or take it out when ``assign`` is None."""
    from msgspec import structs

    from llmgw.config.edit import remove_option, set_options
    from llmgw.config.prices import own_rates, parse_price

    paths = options.paths()
    if assign is None:
        change = remove_option(paths, ("prices", name))
    else:
        own = parse_price(assign)
        own_rates(name, own)
        amounts = {kind: dollars for kind, dollars in structs.asdict(own).items() if dollars is not None}
        change = set_options(paths, {("prices", name, kind): dollars for kind, dollars in amounts.items()})
    if dry_run:
        notices.say(change.diff or "nothing changes")
        return
    change.save()
    _mention_running()


def _mention_running() -> None:
    from llmgw.service import background

    if background.find(options.paths()):
        notices.note("the running gateway keeps its prices until `llmgw restart`")


def _describe(target: Target, price: Price | None, *, whole: bool = False) -> dict[str, Any]:
    """What commands show of a model; money is per million tokens (searches: per thousand)."""
    kinds = ["input", "output", "cache_read", "cache_write"]
    if whole:
        kinds += ["cache_write_1h", "input_audio", "output_audio", "reasoning", "searches", "request"]
    fields = {
        "name": target.name,
        "provider": target.provider,
        "model": target.model,
        "tier": target.tier.value,
        "price": _certainty(price),
        **_money(price, kinds),
        "context_window": price.context_window if price else None,
    }
    if whole:
        fields["long_context"] = (
            [{"above": each.above, **_money(each, kinds)} for each in price.long] if price else []
        )
        fields["priced_as"] = price.name or None if price else None
        fields["source"] = price.source or None if price else None
        fields["checked"] = price.checked.isoformat() if price and price.checked else None
    return fields


def _certainty(price: Price | None) -> str:
    if price is None:
        return "unknown"
    return {"operator": "own", "local": "free"}.get(price.source, "listed")


def _money(rates: Rates | None, kinds: Iterable[str]) -> dict[str, Any]:
    money: dict[str, Any] = {}
    for kind in kinds:
        rate = None if rates is None else getattr(rates, kind)
        money[f"{kind}_nanousd"] = rate
        money[f"{kind}_usd"] = None if rate is None else decimal_usd(rate)
    return money


def _words(price: Price | None, target: Target) -> str:
    """One line for people: ``openai/gpt-5-nano  input=0.05,output=0.4  (genai-prices 1a2b3c 2026-08-21)``."""
    return f"{target.name}  {_terms((price,))}  ({_origin(price)})" if price else f"{target.name}  unknown"


def _facts(target: Target, price: Price | None) -> str:
    """What is known of a model, a fact a line."""
    facts = {"model": target.name, "tier": target.tier, "price": _terms((price,)) if price else "unknown"}
    if price:
        facts |= {"priced as": price.name, "source": _origin(price)}
        facts["context"] = f"{price.context_window:,} tokens" if price.context_window else ""
    return "\n".join(f"{name.ljust(9)}  {fact}" for name, fact in facts.items() if fact)


def _origin(price: Price) -> str:
    return f"{price.source}, checked {price.checked}" if price.checked else price.source


def _terms(prices: tuple[Price, ...] | None) -> str | None:
    """Prices in one line, with the days, hours and lengths for which they hold."""
    from llmgw.config.prices import format_price

    if prices is None:
        return None
    parts = []
    for price in prices:
        when = f"since {price.since} " if price.since else ""
        if price.hours:
            when += "{:%H:%M} to {:%H:%M} UTC ".format(*price.hours)
        long = "".join(f", above {each.above:,} tokens {format_price(each)}" for each in price.long)
        parts.append(f"{when}{format_price(price)}{long}")
    return "; ".join(parts)
