"""The remembered answers: found by fingerprint, bounded in bytes, each under a checksum over all that is served of it.

A command and the running gateway use the file at once; a command's change moves the stamp, so that the gateway drops
what it holds in memory before its next answer.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import msgspec
from zstandard import ZstdCompressor, ZstdDecompressor

from llmgw.domain.cache import Check, Entry, Holding, Selector, Stored, Wire
from llmgw.domain.chat import ChatAnswer
from llmgw.domain.clock import SYSTEM_CLOCK, Clock, Nanoseconds
from llmgw.domain.usage import Usage
from llmgw.errors import ConfigInvalid, GatewayError, NotFound
from llmgw.storage.answers_schema import AnswerFile, is_damage, set_aside, troubles
from llmgw.storage.database import BUSY_SECONDS
from llmgw.storage.sealing import seal
from llmgw.storage.selecting import EXPIRED, FORGOTTEN, OLDEST, SWEPT_AT_ONCE, where
from llmgw.storage.stamp import Stamp

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from llmgw.domain.money import NanoUSD

SEALED = (
    "fingerprint, context, tenant, key_id, key_name, tags, model_asked, provider, model, tier, kind, prompt, "
    "created_at, expires_at, cost, latency_us, usage"
)
"""What an entry is stored with and never changes: the checksum covers it, and the answer."""
COLUMNS = f"id, {SEALED}, size, hits, last_hit_at, pinned, saved"

_FIELDS = tuple(COLUMNS.split(", "))
_SEALED = tuple(SEALED.split(", "))

ORDERS = {
    "newest": "created_at DESC, id DESC",
    "oldest": "created_at, id",
    "used": "used_at DESC, id DESC",
    "hits": "hits DESC, id DESC",
    "saved": "saved DESC, id DESC",
    "size": "size DESC, id DESC",
}
"""By what entries can be listed."""

_HOLDING = (
    "tenant, count(*) AS entries, sum(pinned) AS pinned, sum(expires_at <= :now AND NOT pinned) AS expired, "
    "sum(size) AS bytes, sum(hits) AS hits, sum(saved) AS saved, sum(hits * latency_us) AS saved_us"
)

EVICTED_AT_ONCE = 64
GIVEN_BACK = 8192
"""Pages of the file that are given back to the disk in one go."""
HOUR = 3_600_000_000_000
OVERHEAD = 512
"""Bytes that an entry takes in the file besides its prompt and its answer, about."""

_encode = msgspec.msgpack.Encoder().encode
_body = msgspec.msgpack.Decoder(tuple[ChatAnswer, Wire | None]).decode
_usage = msgspec.msgpack.Decoder(Usage).decode


class AnswerStore:
    """The caches' file at ``path``. Usable from one thread at a time; Unavailable when the file cannot be used.

    ``cap_bytes`` bounds the file: above it the least recently used answers go, never pinned ones.
    """

    def __init__(self, file: AnswerFile, clock: Clock, cap_bytes: int) -> None:
        self._file = file
        self._clock = clock
        self.cap_bytes = cap_bytes
        self.connection = file.connect()
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("SELECT 1 FROM entries LIMIT 1").fetchone()  # which opens the log beside it
        file.misplaced()
        self.pack = ZstdCompressor(level=3).compress
        self.unpack = ZstdDecompressor().decompress
        self.stamp = Stamp(file.path)
        self._swept = 0
        """Entries that went since notes of such were forgotten."""

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
        cap_bytes: int = 1 << 30,
        patience: float = BUSY_SECONDS,
    ) -> Self:
        """Open or make the file; ``patience`` is how many seconds a lock of another process is waited for.

        A file that is damaged is set aside and begun anew.
        """
        try:
            return cls._open(path, clock, cap_bytes, patience)
        except GatewayError as error:
            if not is_damage(error.__cause__):
                raise
        set_aside(path)
        return cls._open(path, clock, cap_bytes, patience)

    @classmethod
    def _open(cls, path: Path, clock: Clock, cap_bytes: int, patience: float) -> Self:
        try:
            with troubles(path):
                return cls(AnswerFile.open(path, clock=clock, patience=patience), clock, cap_bytes)
        except OSError as error:
            raise ConfigInvalid(
                f"cannot write beside {path}: {(error.strerror or str(error)).lower()}"
            ) from error

    @property
    def path(self) -> Path:
        return self._file.path

    @property
    def misplaced(self) -> Path | None:
        """The file, or the log beside it, that is not at its path any more: what is written to it is lost then."""
        return self._file.misplaced()

    def find(self, fingerprint: bytes, now: Nanoseconds) -> Stored | None:
        """The answer to exactly that, if it is still good; a damaged one counts as none and is dropped."""
        with troubles(self.path):
            row = self.connection.execute(
                f"SELECT {COLUMNS}, checksum, body FROM entries JOIN bodies USING (id) "  # noqa: S608 (own columns)
                "WHERE fingerprint = ? AND (expires_at > ? OR pinned)",
                (fingerprint, now),
            ).fetchone()
        return None if row is None else self._stored(row)

    def put(self, entry: Entry, answer: ChatAnswer, wire: Wire | None = None) -> int:
        """Remember an answer; the entry's id. One of the same fingerprint is replaced and keeps its id, hits and pin."""
        with self.change() as connection:
            number = self._put(connection, entry, answer, wire)
        self.shrink()
        return number

    def put_all(self, items: Iterable[Stored]) -> list[int]:
        """Several at once, in one transaction, without looking at the size of the file."""
        with self.change() as connection:
            return [self._put(connection, each.entry, each.answer, each.wire) for each in items]

    def touch(self, hits: Mapping[int, tuple[int, NanoUSD]], now: Nanoseconds) -> None:
        """Count hits: by entry id how many there were and what they saved."""
        with self.change() as connection:
            for number, (count, saved) in hits.items():
                found = connection.execute(
                    "UPDATE entries SET hits = hits + ?, saved = saved + ?, last_hit_at = ?, used_at = ? WHERE id = ? "
                    "RETURNING tenant, latency_us",
                    (count, saved, now, now, number),
                ).fetchall()
                for tenant, latency_us in found:
                    count_in(connection, now, "saved_us", count * latency_us, tenant)

    def list(self, selector: Selector | None = None, limit: int = 100, order: str = "newest") -> list[Entry]:
        """Entries without their answers, expired ones too until they are swept."""
        conditions, values = where(selector or Selector(), self._clock.now())
        sql = f"SELECT {COLUMNS} FROM entries WHERE {conditions} ORDER BY {ORDERS[order]} LIMIT :limit"  # noqa: S608
        with troubles(self.path):
            rows = self.connection.execute(sql, {**values, "limit": limit}).fetchall()
        return [entry for row in rows if (entry := _entry(row)) is not None]

    def measure(self, selector: Selector) -> tuple[int, int]:
        """How many entries are meant, and their stored bytes."""
        conditions, values = where(selector, self._clock.now())
        sql = f"SELECT count(*), coalesce(sum(size), 0) FROM entries WHERE {conditions}"  # noqa: S608
        with troubles(self.path):
            count, size = self.connection.execute(sql, values).fetchone()
            return int(count), int(size)

    def show(self, number: int) -> Stored:
        """One entry with its answer; NotFound when there is none, or it turned out damaged."""
        with troubles(self.path):
            row = self.connection.execute(
                f"SELECT {COLUMNS}, checksum, body FROM entries JOIN bodies USING (id) WHERE id = ?",  # noqa: S608
                (number,),
            ).fetchone()
        stored = None if row is None else self._stored(row)
        if stored is None:
            raise NotFound(
                f"the cache holds no entry {number}", hint="`llmgw cache list` shows what there is"
            )
        return stored

    def remove(self, selector: Selector) -> int:
        """Forget the selected entries, pinned ones too; how many there were."""
        conditions, values = where(selector, self._clock.now())
        with self.change() as connection:
            count = connection.execute(f"DELETE FROM entries WHERE {conditions}", values).rowcount  # noqa: S608
            if selector == Selector():
                connection.execute("DELETE FROM replays")
            connection.execute(FORGOTTEN)
        with troubles(self.path):
            self.connection.execute("PRAGMA incremental_vacuum").fetchall()
        self.stamp.bump()
        return count

    def pin(self, number: int, pinned: bool) -> Entry:
        """Keep an entry however old or unused it gets, or no longer."""
        with self.change() as connection:
            connection.execute("UPDATE entries SET pinned = ? WHERE id = ?", (pinned, number))
        self.stamp.bump()
        return self.show(number).entry

    def verify(self) -> Check:
        """Check every entry's checksum and drop the damaged ones."""
        checked, damaged, last = 0, [], -1
        sql = (
            f"SELECT {COLUMNS}, checksum, body FROM entries LEFT JOIN bodies USING (id) "  # noqa: S608
            "WHERE id > ? ORDER BY id LIMIT 500"
        )
        while True:
            with troubles(self.path):
                rows = self.connection.execute(sql, (last,)).fetchall()
            if not rows:
                break
            last = rows[-1][0]
            checked += len(rows)
            damaged += [row[0] for row in rows if row[-1] is None or self._read(row) is None]
        self._drop(damaged)
        return Check(checked, tuple(damaged))

    def stats(self, tenant: str | None = None) -> tuple[Holding, ...]:
        """What is held of each tenant, or of one; sums over them are the caller's."""
        conditions, values = where(Selector(tenant=tenant), self._clock.now())
        sql = f"SELECT {_HOLDING} FROM entries WHERE {conditions} GROUP BY tenant ORDER BY tenant"  # noqa: S608
        with troubles(self.path):
            cursor = self.connection.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return tuple(Holding(**dict(zip(names, row, strict=True))) for row in cursor)

    def counter(self, name: str) -> int:
        """A number kept in the file: ``damaged`` counts entries that were dropped for their checksum."""
        return self.counters().get(name, 0)

    def counters(self, since: Nanoseconds = 0, tenant: str | None = None) -> dict[str, int]:
        """Every number kept in the file, from the hour of ``since`` on, of one tenant or of all."""
        sql = "SELECT name, sum(value) FROM counters WHERE hour >= ? AND tenant = coalesce(?, tenant) GROUP BY name"
        with troubles(self.path):
            return dict(self.connection.execute(sql, (since // HOUR, tenant)))

    def count(self, name: str, more: int, tenant: str = "") -> None:
        with self.change() as connection:
            count_in(connection, self._clock.now(), name, more, tenant)

    def sweep(self, now: Nanoseconds) -> int:
        """Forget what has expired, ``SWEPT_AT_ONCE`` entries at most; how many entries."""
        with self.change() as connection:
            connection.execute("DELETE FROM replays WHERE expires_at <= ?", (now,))
            expired = connection.execute(f"DELETE FROM entries WHERE id IN ({EXPIRED})", (now,)).rowcount  # noqa: S608
            self._swept += expired
            if expired:
                count_in(connection, now, "expired", expired)
            if expired == SWEPT_AT_ONCE:
                return expired
            if self._swept:
                connection.execute(FORGOTTEN)
                self._swept = 0
        self._give_back()
        return expired

    def _give_back(self) -> None:
        """Give some of the disk back where much of the file is empty, as after its cap was lowered."""
        with troubles(self.path):
            pages, free = (
                self.connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count")
            )
            if free > pages // 8:
                self.connection.execute(f"PRAGMA incremental_vacuum({GIVEN_BACK})").fetchall()

    def shrink(self) -> int:
        """Forget what was used least recently, entries and answers under a key, while the file is larger than its cap.

        How many entries went.
        """
        evicted = 0
        while self.bytes() > self.cap_bytes:
            with self.change() as connection:
                (oldest,) = connection.execute(OLDEST, {"most": EVICTED_AT_ONCE}).fetchone()
                if oldest is None:
                    break
                connection.execute("DELETE FROM replays WHERE created_at <= ?", (oldest,))
                count = connection.execute(
                    "DELETE FROM entries WHERE id IN "
                    "(SELECT id FROM entries WHERE pinned = 0 AND used_at <= ? ORDER BY used_at LIMIT ?)",
                    (oldest, EVICTED_AT_ONCE),
                ).rowcount
                if count:
                    count_in(connection, self._clock.now(), "evicted", count)
            evicted += count
        return evicted

    def bytes(self) -> int:
        """How much of the file is in use."""
        with troubles(self.path):
            pages, free, size = (
                self.connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with troubles(self.path), self.connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def leave(self) -> None:
        """Before the file that is in its place now is opened: see to it that it is read as it is."""
        self._file.leave()

    def close(self) -> None:
        self.leave()
        self.connection.close()
        self._file.close()
        self.stamp.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _put(
        self, connection: sqlite3.Connection, entry: Entry, answer: ChatAnswer, wire: Wire | None
    ) -> int:
        body = self.pack(_encode((answer, wire)))
        sealed = [getattr(entry, name) for name in _SEALED[:-1]] + [_encode(entry.usage)]
        size = len(body) + len(entry.prompt.encode()) + OVERHEAD
        columns, marks = f"{SEALED}, size, used_at", ", ".join("?" * (len(_SEALED) + 2))
        again = ", ".join(f"{name} = excluded.{name}" for name in columns.split(", "))
        (number,) = connection.execute(
            f"INSERT INTO entries ({columns}) VALUES ({marks}) "  # noqa: S608 (own columns)
            f"ON CONFLICT (fingerprint) DO UPDATE SET {again} RETURNING id",
            (*sealed, size, entry.created_at),
        ).fetchone()
        connection.execute("DELETE FROM vectors WHERE entry_id = ?", (number,))
        connection.execute(
            "INSERT OR REPLACE INTO bodies (id, checksum, body) VALUES (?, ?, ?)",
            (number, seal(*sealed, body), body),
        )
        return int(number)

    def _read(self, row: tuple[Any, ...]) -> Stored | None:
        """The row's entry and answer; None when it is not as it was written."""
        checksum, body = row[-2:]
        try:
            if seal(*row[1 : len(_SEALED) + 1], body) != checksum:
                return None
            entry = _entry(row)
            answer, wire = _body(self.unpack(body))
            return None if entry is None else Stored(entry, answer, wire)
        except (msgspec.MsgspecError, TypeError, ValueError):  # a flipped bit may also change a column's type
            return None

    def _stored(self, row: tuple[Any, ...]) -> Stored | None:
        stored = self._read(row)
        if stored is None:
            self._drop([row[0]])
        return stored

    def _drop(self, damaged: Sequence[int]) -> None:
        if damaged:
            with self.change() as connection:
                connection.executemany("DELETE FROM entries WHERE id = ?", [(number,) for number in damaged])
                count_in(connection, self._clock.now(), "damaged", len(damaged))
            self.stamp.bump()


def count_in(
    connection: sqlite3.Connection, now: Nanoseconds, name: str, more: int, tenant: str = ""
) -> None:
    """Add to a number of this hour."""
    connection.execute(
        "INSERT INTO counters VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
        (now // HOUR, tenant, name, more),
    )


def _entry(row: tuple[Any, ...]) -> Entry | None:
    """The entry of a row; None where that is damaged so that it cannot be read."""
    values = dict(zip(_FIELDS, row, strict=False))
    try:
        return msgspec.convert({**values, "usage": _usage(values["usage"])}, Entry, strict=False)
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None
