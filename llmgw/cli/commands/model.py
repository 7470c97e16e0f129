"""Models that can be asked for, and what they cost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import to_builtins

from llmgw.cli import completing, notices, options, output
from llmgw.cli.output import Column
from llmgw.desk.wire import expand
from llmgw.domain.route import Target, Tier
from llmgw.errors import BadRequest, GatewayError, NotFound

if TYPE_CHECKING:
    from llmgw.desk.asking import Offer
    from llmgw.domain.price import Price, Rates

PLACE = "PROVIDERS", 2
ELSEWHERE = ("list",)

app = typer.Typer()

PACKAGE = "genai-prices"
KINDS = (
    "input", "output", "cache_read", "cache_write", "cache_write_1h", "input_audio", "output_audio", "reasoning",
    "searches", "request",
)  # fmt: skip

Name = Annotated[
    str,
    typer.Argument(
        help="A model, best as provider/model.", autocompletion=completing.models, show_default=False
    ),
]
DryRun = Annotated[bool, typer.Option("-n", "--dry-run", help="Only show what would change.")]


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
    from llmgw.cli.reaching import gateway
    from llmgw.desk.models import ListModels

    with gateway() as there:
        found = there.ask(ListModels(provider=provider, tier=tier, all=everything)).models
    records = [expand(to_builtins(each)) for each in found]
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
    from llmgw.cli.reaching import offer

    use = offer()
    target = _target(use, name)
    found = _price(use, target, time.time_ns())
    output.record(_describe(target, found), text=_facts(target, found))


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
    from llmgw.cli.reaching import offer

    if assign is not None or remove:
        if assign is not None and remove:
            raise BadRequest("a price is set or removed, not both")
        _change(_target(offer(), name).name, assign, dry_run=dry_run)
    use = offer()
    target = _target(use, name)
    found = _price(use, target, time.time_ns())
    if found is None and not (dry_run or remove):
        raise NotFound(
            f"no price is known for `{target.name}`",
            hint=f"llmgw model price {target.name} --set input=DOLLARS,output=DOLLARS",
        )
    output.record(_describe(target, found), text=_words(found, target))


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


def _target(use: Offer, name: str) -> Target:
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


def _price(use: Offer, target: Target, now: int) -> Price | None:
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


def _describe(target: Target, price: Price | None) -> dict[str, Any]:
    """All that is shown of a model; money is per million tokens (searches: per thousand)."""
    from llmgw.desk.models import certainty

    return {
        "name": target.name,
        "provider": target.provider,
        "model": target.model,
        "tier": target.tier.value,
        "price": certainty(price),
        **_money(price),
        "context_window": price.context_window if price else None,
        "long_context": [{"above": each.above, **_money(each)} for each in price.long] if price else [],
        "priced_as": price.name or None if price else None,
        "source": price.source or None if price else None,
        "checked": price.checked.isoformat() if price and price.checked else None,
    }


def _money(rates: Rates | None) -> dict[str, Any]:
    return {f"{kind}_nanousd": None if rates is None else getattr(rates, kind) for kind in KINDS}


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
