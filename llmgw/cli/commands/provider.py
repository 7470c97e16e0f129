"""Providers: where requests go, and the credentials for them."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import to_builtins

from llmgw.cli import notices, options, output, prompts
from llmgw.cli.output import Column
from llmgw.domain.route import Tier  # noqa: TC001  typer reads the annotations
from llmgw.errors import BadRequest, ConfigInvalid, NotFound, Unavailable, UpstreamFailed

if TYPE_CHECKING:
    from llmgw.config.paths import Paths
    from llmgw.config.values import Option
    from llmgw.providers.base import Provider, Upstream
    from llmgw.service.proving import Proof

PLACE = "PROVIDERS", 1
ELSEWHERE = ("list",)

app = typer.Typer()


class Store(StrEnum):
    KEYRING = "keyring"
    FILE = "file"


def complete(incomplete: str) -> list[str]:
    """Names of known providers."""
    from llmgw.providers.registry import providers

    return [name for name in providers() if name.startswith(incomplete)]


Name = Annotated[
    str, typer.Argument(help="Name of the provider.", autocompletion=complete, show_default=False)
]


@app.command("list")
def list_providers(
    every: Annotated[bool, typer.Option("--all", help="Also those that are known but not in use.")] = False,
) -> None:
    """List providers in use and where each credential comes from.

    Examples:
      llmgw provider list
      llmgw provider list --all
      llmgw provider list --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.models import ListProviders

    with gateway() as there:
        used = there.ask(ListProviders()).providers
    rows = [to_builtins(each) for each in used]
    for row in rows:
        row["state"] = _state(row["failing"])
    if every:
        from llmgw.providers.registry import providers

        names = {each.name for each in used}
        rows += [_known(provider) for name, provider in providers().items() if name not in names]
    columns = [
        Column("name"),
        Column("kind", wide=True),
        Column("tier"),
        Column("credential"),
        Column("state"),
        Column("models", wide=True),
        Column("base_url", "ADDRESS"),
        *([Column("variables")] if every else []),
    ]
    output.rows(rows, columns, noun="providers")


def _state(failing: list[dict[str, Any]]) -> str:
    """How many models of a provider keep failing, and whether one of them is about to be tried."""
    if not failing:
        return "ok"
    half = any(each["breaker"] == "half-open" for each in failing)
    return f"{len(failing)} failing, {'half-open' if half else 'open'}"


@app.command()
def show(name: Name) -> None:
    """Show what is known of one provider.

    Examples:
      llmgw provider show openai
    """
    from llmgw.providers.registry import providers

    used, sources = _in_use(options.paths())
    if name in used:
        output.record(_row(used[name], sources) | {"in_use": True, "docs": used[name].provider.docs_url})
    elif name in providers():
        output.record(_known(providers()[name]) | {"in_use": False, "docs": providers()[name].docs_url})
    else:
        raise _unknown(name)


@app.command()
def add(
    name: Name,
    base_url: Annotated[str | None, typer.Option(help="Address of its API.", show_default=False)] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="Which known provider it is, where the name does not say.", show_default=False),
    ] = None,
    tier: Annotated[Tier | None, typer.Option(help="Its price class.", show_default=False)] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Model it offers; repeatable.", show_default=False)
    ] = None,
    from_stdin: Annotated[bool, typer.Option("--from-stdin", help="Take the credential from stdin.")] = False,
    from_file: Annotated[
        Path | None,
        typer.Option(
            help="Take the credential from a file.", exists=True, dir_okay=False, show_default=False
        ),
    ] = None,
    store: Annotated[
        Store | None,
        typer.Option(
            help="keyring (the default), or file: credentials.toml, which is not encrypted.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Add a provider: store its credential, and write its settings where they differ from what is known.

    The credential is asked for without echo, or comes from stdin or a file; never from the command line.

    Examples:
      llmgw provider add openai
      llmgw provider add groq --from-file groq.key --store file
      llmgw provider add my-server --base-url http://192.168.1.20:8080/v1 --tier local
    """
    from llmgw.config.edit import set_options
    from llmgw.config.load import effective_config
    from llmgw.providers.registry import providers

    paths = options.paths()
    known = providers().get(kind or name)
    if known is None and (kind or base_url is None):
        raise _unknown(kind or name)
    given: dict[str, Any] = {"kind": kind, "base_url": base_url, "tier": tier, "models": model}
    values: dict[Option, Any] = {
        ("providers", name, option): str(value) if option == "tier" else value
        for option, value in given.items()
        if value
    }
    declared = effective_config(paths).providers.get(name)
    if declared is not None and not declared.enabled:
        values["providers", name, "enabled"] = True
    needs = bool(known and known.credentials and (base_url or known.base_url) == known.base_url)
    stored = ""
    if needs or from_stdin or from_file:
        stored = put_away(name, credential_of(name, from_stdin, from_file), paths, store)
    if values or not needs:
        change = set_options(paths, {("providers", name): {}} | values)
        change.save()
    where = f", credential in {stored}" if stored else ""
    output.record({"name": name, "stored": stored or None}, text=f"{name} is added{where}")
    _tell_running(paths)


@app.command("test")
def call(
    name: Annotated[
        str | None, typer.Argument(help="Only this one.", autocompletion=complete, show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model to call; else the first that it offers.", show_default=False)
    ] = None,
) -> None:
    """Call providers for real: credential, plain reply, stream, and whether both are billed alike. Costs a few tokens.

    Examples:
      llmgw provider test
      llmgw provider test openai --model gpt-5-nano
      llmgw provider test --json
    """
    used, _ = _in_use(options.paths())
    if name and name not in used:
        raise _unknown(name)
    proofs = _prove([used[name]] if name else list(used.values()), model)
    rows = [_proof_row(proof) for proof in proofs]
    columns = [
        Column("name"),
        Column("model"),
        Column("result"),
        Column("latency_us", "PLAIN"),
        Column("ttft_us", "FIRST TOKEN"),
        Column("costs_agree", "SAME COST", wide=True),
        Column("cost_nanousd", wide=True),
    ]
    output.rows(rows, columns, noun="proofs")
    failed = [proof for proof in proofs if proof.error]
    for proof in failed[:-1]:
        notices.warn(f"{proof.upstream}: {proof.error}" + (f" ({proof.hint})" if proof.hint else ""))
    if failed:
        raise UpstreamFailed(f"{failed[-1].upstream}: {failed[-1].error}", hint=failed[-1].hint)


@app.command()
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a provider: its stored credential and its table in llmgw.toml.

    Examples:
      llmgw provider remove groq
      llmgw provider remove my-server --yes
    """
    from llmgw.config.edit import remove_option
    from llmgw.config.load import effective_config
    from llmgw.storage.secrets import forget

    paths = options.paths()
    declared = name in effective_config(paths).providers
    prompts.confirm(f"Remove provider `{name}`?", yes=yes)
    stored = forget(name, paths)
    if declared:
        try:
            remove_option(paths, ("providers", name)).save()
        except NotFound:
            declared = False  # it came from a variable
    if not stored and not declared and name not in _in_use(paths)[0]:
        raise _unknown(name)
    output.record({"name": name, "removed_from": stored or None}, text=f"{name} is removed")
    used, sources = _in_use(paths)
    if name in used:
        notices.warn(f"{name} is still in use, from {sources.get(name, 'this machine')}")
    _tell_running(paths)


def prove_all() -> list[Proof]:
    """What a call to each provider in use shows."""
    return _prove(list(_in_use(options.paths())[0].values()), None)


def credential_of(name: str, from_stdin: bool, from_file: Path | None) -> str:
    """The credential as it is given, or typed unseen."""
    if from_stdin and from_file:
        raise BadRequest("a credential comes from stdin or from a file, not both")
    if from_stdin:
        return sys.stdin.read()
    if from_file:
        return from_file.read_text(encoding="utf-8")
    return prompts.hidden(f"API key of {name}", option="--from-stdin")


def put_away(name: str, credential: str, paths: Paths, store: Store | None) -> str:
    """Store a credential and say where; a plain file only for those who asked for it or say yes to the warning."""
    from llmgw.storage.secrets import store_in_file, store_in_keyring

    if store is not Store.FILE:
        try:
            store_in_keyring(name, credential, paths)
        except Unavailable as error:
            if store is Store.KEYRING or not prompts.interactive():
                raise Unavailable(error.message, hint=error.hint, code="no_keyring") from None
            notices.warn(f"{error.message}; {paths.credentials} is readable by every program you run")
            prompts.confirm("Keep the credential there, unencrypted?", yes=False, option="--store file")
        else:
            return "keyring"
    try:
        store_in_file(name, credential, paths)
    except OSError as error:
        raise ConfigInvalid(f"cannot write {paths.credentials}: {error.strerror}") from None
    return str(paths.credentials)


def _in_use(paths: Paths) -> tuple[dict[str, Upstream], dict[str, str]]:
    """Upstreams by name and the sources of their credentials; what is in the way of others is said."""
    from llmgw.config.load import effective_config
    from llmgw.service.assemble import survey

    found = survey(effective_config(paths), paths)
    for problem in (*found.problems, *found.lost):
        notices.warn(problem)
    return {upstream.name: upstream for upstream in found.upstreams}, found.sources


def _row(upstream: Upstream, sources: dict[str, str]) -> dict[str, Any]:
    from llmgw.desk.models import provider_view

    return to_builtins(provider_view(upstream, sources))  # type: ignore[no-any-return]


def _known(provider: Provider) -> dict[str, Any]:
    return {
        "name": provider.name,
        "title": provider.title,
        "kind": provider.name,
        "tier": str(provider.tier),
        "credential": None,
        "masked": None,
        "models": None,
        "base_url": provider.base_url,
        "variables": list(provider.credentials),
    }


def _unknown(name: str) -> NotFound:
    from difflib import get_close_matches

    from llmgw.providers.registry import providers

    near = get_close_matches(name, providers(), n=1)
    hint = (
        f"did you mean `{near[0]}`?"
        if near
        else "`llmgw provider list --all` shows them; or give a --base-url"
    )
    return NotFound(f"there is no provider `{name}`", hint=hint)


def _prove(upstreams: list[Upstream], model: str | None) -> list[Proof]:
    import asyncio

    from llmgw.config.load import effective_config
    from llmgw.config.prices import load_prices
    from llmgw.domain.clock import SYSTEM_CLOCK
    from llmgw.providers.transport import Transport
    from llmgw.service.proving import Proof, prove

    paths = options.paths()
    prices = load_prices(effective_config(paths).prices, paths.prices)

    async def run() -> list[Proof]:
        transport = Transport()
        try:
            return [await one(upstream, transport) for upstream in upstreams]
        finally:
            await transport.close()

    async def one(upstream: Upstream, transport: Transport) -> Proof:
        chosen = model or next(iter((*upstream.models, *upstream.provider.default_models[-1:])), "")
        if not chosen:
            return Proof(
                upstream=upstream.name,
                model="",
                step="model",
                error="it lists no model",
                hint="name one with --model",
            )
        return await prove(upstream, chosen, prices, transport, SYSTEM_CLOCK)

    return asyncio.run(run())


def _proof_row(proof: Proof) -> dict[str, Any]:
    return {
        "name": proof.upstream,
        "model": proof.model,
        "result": "failed" if proof.error else "ok",
        "step": proof.step,
        "error": proof.error or None,
        "latency_us": proof.latency_us,
        "ttft_us": proof.ttft_us,
        "costs_agree": proof.costs_agree,
        "cost_nanousd": proof.cost,
    }


def _tell_running(paths: Paths) -> None:
    from llmgw.service import background

    if background.find(paths):
        notices.note("the running gateway takes it up with `llmgw restart`")
