"""A chain of hashes over everything that is final, so that a row edited, deleted or inserted afterwards is found.

A link is written in the transaction of the rows that it covers: each request that ended, its attempts as they lie in
their table, and the words of dimensions that are new since the link before it. Its hash covers that link's, too.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from llmgw.storage.rows import DIMENSION, REQUEST, USAGE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

_ATTEMPT = (
    "attempt, dimension, state, started_at, model_asked, stream, held_cost, ended_at, status, error, "
    f"{USAGE}, complete, cost, premium_cost, price, ttft_us, latency_us, finish_reason, upstream_id"
)


def _text(columns: str) -> str:
    """SQL that writes columns as one text which only they can give; a third of the time that fetching them takes."""
    return f"printf('{'%Q,' * (columns.count(',') + 1)}', {columns})"


def _of(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{column}" for column in columns.split(", "))


_ROWS = (
    f"SELECT seq, {_text(_of('requests', f'seq, {REQUEST}') + ', ' + _of('attempts', _ATTEMPT))}, CAST(id AS INTEGER) "  # noqa: S608
    "FROM requests LEFT JOIN attempts ON request_id = id WHERE seq > {} ORDER BY seq, attempt"
)
_SINCE = _ROWS.format("?")
_LAST_FEW = "(SELECT max(seq) FROM requests) - ?"
_NEWEST = _ROWS.format(_LAST_FEW)
_NEWEST_ALONE = (
    f"SELECT seq, {_text(f'seq, {REQUEST}')} || '{'NULL,' * (_ATTEMPT.count(',') + 1)}' "  # noqa: S608
    f"FROM requests WHERE seq > {_LAST_FEW} ORDER BY seq"
)
"""The same of requests without an attempt, without looking for one."""
_WORDS = f"SELECT id, {_text(f'id, {DIMENSION}')} FROM dimensions WHERE id > ? ORDER BY id"  # noqa: S608
_LINKS = "SELECT seq, CAST(dimension AS INTEGER), CAST(hash AS BLOB) FROM links ORDER BY seq"
"""An editor may have put anything anywhere."""
_LAST = f"{_LINKS} DESC LIMIT 1"
_BEGIN = "INSERT INTO links SELECT coalesce(max(seq), 0), 0, zeroblob(32) FROM requests"
"""The first link takes what was there before it as it stands."""


class Link(NamedTuple):
    """Covers the requests and dimensions above those of the link before it, up to these numbers."""

    seq: int
    dimension: int
    hash: bytes


class Break(NamedTuple):
    """Rows that are not those a link was made of: the ids of the first and the last request there now, 0 for none."""

    first: int
    last: int
    linked: bool
    """Whether there is a link over them at all."""


class Span(NamedTuple):
    """How far the chain reaches: its newest hash, how many requests it covers, and when the first of them began."""

    head: str
    requests: int
    since: int | None


def extend(connection: sqlite3.Connection, count: int, *, tried: bool = True) -> None:
    """Add a link over the last ``count`` requests, just inserted; their attempts must have their final values.

    ``tried`` says whether any of them has an attempt.
    """
    newest = connection.execute(_LAST).fetchone()
    if newest is None:  # somebody took all of them away, which `breaks` tells
        connection.execute(_BEGIN)
        return
    last = Link(*newest)
    rows = connection.execute(_NEWEST if tried else _NEWEST_ALONE, (count,)).fetchall()
    words = connection.execute(_WORDS, (last.dimension,)).fetchall()
    dimension = words[-1][0] if words else last.dimension
    link = Link(rows[-1][0], dimension, _hash(last, words, rows))
    # where rows were taken away before, the number of a new one may have its link already, which it does not match
    connection.execute("INSERT OR IGNORE INTO links VALUES (?, ?, ?)", link)


def breaks(connection: sqlite3.Connection) -> Iterator[Break]:
    """Every link that does not match its rows, oldest first, and last the rows that have none."""
    links = map(Link._make, connection.execute(_LINKS))
    before = next(links, Link(0, 0, b""))
    rows = _Rows(connection.execute(_SINCE, (before.seq,)))
    words = _Rows(connection.execute(_WORDS, (before.dimension,)))
    for link in links:
        covered = rows.up_to(link.seq)
        if _hash(before, words.up_to(link.dimension), covered) != link.hash:
            yield _broken(covered, linked=True)
        before = link
    if rest := rows.up_to(2**63):
        yield _broken(rest, linked=False)


def span(connection: sqlite3.Connection) -> Span:
    """What ``breaks`` has looked at; the head is empty where no request is covered yet."""
    first, last = connection.execute("SELECT min(seq), max(seq) FROM links").fetchone()
    newest = "SELECT lower(hex(hash)) FROM links WHERE seq = ? AND seq > ?"
    head = connection.execute(newest, (last, first)).fetchone()
    covered = "SELECT count(*), min(started_at) FROM requests WHERE seq > ? AND seq <= ?"
    return Span(head[0] if head else "", *connection.execute(covered, (first, last)).fetchone())


def holds(connection: sqlite3.Connection, head: bytes) -> bool:
    """Whether a head that was noted once is still a link: if no link is broken, all before it is as it was then.

    The first link does not count: nothing proves its hash.
    """
    known = "SELECT 1 FROM links WHERE hash = ? AND seq > (SELECT min(seq) FROM links)"
    return connection.execute(known, (head,)).fetchone() is not None


class _Rows:
    """Rows with rising numbers in front, taken in turn."""

    def __init__(self, rows: Iterator[Any]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def up_to(self, number: int) -> list[Any]:
        taken = []
        row = self._next
        while row is not None and row[0] <= number:
            taken.append(row)
            row = next(self._rows, None)
        self._next = row
        return taken


def _broken(rows: Sequence[Any], *, linked: bool) -> Break:
    return Break(rows[0][2], rows[-1][2], linked) if rows else Break(0, 0, linked)


def _hash(before: Link, words: Sequence[Any], rows: Sequence[Any]) -> bytes:
    texts = [before.hash.hex(), *[row[1] for row in words], *[row[1] for row in rows]]
    return blake2b("\n".join(texts).encode(), digest_size=32).digest()
