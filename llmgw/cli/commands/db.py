"""The database: its size, a copy of it, whether it adds up."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import notices, options, output
from llmgw.cli.zones import read_zone
from llmgw.errors import BadRequest

if TYPE_CHECKING:
    from llmgw.storage.database import Database

PLACE = "SETUP", 6

app = typer.Typer()


@app.command()
def stats() -> None:
    """Tell where the database is, how big, and how much is in it.

    Examples:
      llmgw db stats
      llmgw db stats --json
    """
    from llmgw.client import local
    from llmgw.storage import upkeep

    with local.database(options.paths()) as database:
        output.record(upkeep.stats(database), ident="path")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where the copy goes; a new file.", show_default=False)],
) -> None:
    """Copy the database to a new file, also while the gateway writes.

    The copy is of one moment and checked. It holds hashes of keys, no key and no credential.

    Examples:
      llmgw db backup ~/llmgw-$(date +%F).db
    """
    from llmgw.client import local
    from llmgw.storage import upkeep

    copy = file.expanduser().absolute()
    with local.database(options.paths()) as database:
        size = upkeep.back_up(database, copy)
    output.record({"path": str(copy), "bytes": size}, ident="path", text=f"{copy}  ({size:,} bytes)")


@app.command()
def verify(
    tz: Annotated[
        str | None,
        typer.Option("--tz", help="Whose days, as Europe/Berlin; the gateway's by default.", metavar="ZONE"),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="A head that was kept elsewhere: prove that all from before it is still there.",
            show_default=False,
            metavar="HASH",
        ),
    ] = None,
) -> None:
    """Prove that the ledger adds up and that nobody changed it; exit 1 with what does not.

    Every request against its attempts and the roll-ups against the requests; the money of each scope of callers in
    each hour, day, week and month counted three ways; no attempt stuck, none double; no row edited, deleted or
    inserted since it was written; the pages of the file. The head printed stands for all rows up to now.

    Examples:
      llmgw db verify
      llmgw db verify --json
      llmgw db verify --head "$(cat /mnt/elsewhere/llmgw.head)"
    """
    from llmgw.client import local

    zone, kept = read_zone(tz), _read_head(head)
    with local.database(options.paths()) as database:
        found, proved = _findings(database, zone, kept)
    result = {"ok": not found, "findings": found, **proved}
    lines = [f"{each['code']}  {each['message']}" for each in found]
    whole = (
        f"the ledger adds up: {proved['requests']:,} requests, the money of {proved['scopes']:,} scopes"
        f" equal by attempts, requests and roll-ups in {proved['sums']:,} windows"
    )
    if proved["head"]:
        which = "all" if proved["chained"] == proved["requests"] else "the newest"
        whole += f"\nnothing was changed in {which} {proved['chained']:,} of them, head {proved['head']}"
    output.record(result, ident="ok", text="\n".join(lines) or whole)
    if found:
        notices.error(f"{len(found):,} findings", "keep the file as it is; `llmgw db backup` makes a copy")
        raise typer.Exit(1)


@app.command()
def migrate() -> None:
    """Bring the tables of an older release up to date, after a copy; other commands do so too.

    Examples:
      llmgw db migrate
    """
    from llmgw.client import local
    from llmgw.storage.upkeep import schema_version

    paths = options.paths()
    before = schema_version(paths.database)
    with local.database(paths) as database:
        after, copy = schema_version(paths.database), database.before_upgrade
    done = {"path": str(paths.database), "from": before, "to": after, "backup": str(copy) if copy else None}
    words = f"schema {after}, nothing to do" if before == after else f"schema {before or 'none'} to {after}"
    output.record(done, ident="path", text=words + (f"; the old one is {copy}" if copy else ""))


def _read_head(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError:
        raise BadRequest(
            f"not a head: {text!r}", hint="`llmgw db verify --json` prints one, of 64 hexadecimal digits"
        ) from None


def _findings(
    database: Database, zone: Any, head: bytes | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from llmgw.domain.ledger import show_id
    from llmgw.domain.money import format_usd
    from llmgw.storage import chain
    from llmgw.storage.balance import balances
    from llmgw.storage.database import troubles
    from llmgw.storage.upkeep import damages, stats
    from llmgw.storage.verify import verify as findings

    with troubles(database.path):
        reader = database.reader()
        found = [{"code": "damaged", "request": None, "message": each} for each in damages(reader)] + [
            {
                "code": each.code,
                "request": show_id(each.request_id) if each.request_id else None,
                "message": each.message,
            }
            for each in findings(reader, _live(database))
        ]
        sums = balances(reader, zone)
        span = chain.span(reader)
        if head is not None and not chain.holds(reader, head):
            words = f"no link of the chain is {head.hex()}: requests from before it are gone or were changed"
            found.append({"code": "head_missing", "request": None, "message": words})
    found += [
        {
            "code": "sums_differ",
            "request": None,
            "message": f"{each.scope} in {each.period}: {format_usd(each.attempts)} by attempts,"
            f" {format_usd(each.requests)} by requests, {format_usd(each.rollups)} by roll-ups",
        }
        for each in sums
        if not each.even
    ]
    counted = stats(database)
    return found, {
        "requests": counted["requests"],
        "in_flight": counted["open_attempts"],
        "scopes": len({each.scope for each in sums}),
        "sums": len(sums),
        "chained": span.requests,
        "chained_since_at": span.since,
        "head": span.head,
    }


def _live(database: Database) -> int:
    """The running gateway's boot, whose open attempts are no leftovers."""
    from llmgw.service import background
    from llmgw.storage.upkeep import boot_number

    running = background.find(options.paths())
    return boot_number(database, running.boot if running else "")
