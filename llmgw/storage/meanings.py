"""What the semantic cache keeps in the caches' file: vectors of prompts, what was judged lately, what judges have learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llmgw.storage.answers_schema import troubles
from llmgw.storage.sealing import seal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmgw.domain.cache import Sighting
    from llmgw.domain.clock import Nanoseconds
    from llmgw.storage.answers import AnswerStore

KEPT_SIGHTINGS = 1000

_OF_ENTRY = "id, fingerprint, context, prompt, created_at"
_OF_VECTORS = 'screener, screen, embedder, vector, "group"'
_OF_ONE = f"SELECT {_OF_ENTRY} FROM entries WHERE id = ?"  # noqa: S608 (own columns)
_READ = f"SELECT {_OF_ENTRY}, {_OF_VECTORS}, checksum FROM entries JOIN vectors ON entry_id = id"  # noqa: S608
"""All that an entry is judged by, which the checksum at its end covers."""
_EMBEDDER, _VECTOR, _GROUP = 7, 8, 9
"""Places in such a row."""


class Row(NamedTuple):
    """An entry's vectors, one byte a dimension; ``vector`` is None where ``embedder`` has not read its prompt yet."""

    entry: int
    context: bytes
    screener: str
    screen: bytes
    embedder: str
    vector: bytes | None


class Remembered(NamedTuple):
    """What a candidate is judged by, and found by when it serves."""

    entry: int
    fingerprint: bytes
    prompt: str
    group: int
    created_at: Nanoseconds


class Miss(NamedTuple):
    """A remembered prompt that another wording came near to: the nearest one, why it was not served, how often.

    ``compared`` counts how often the answers were compared afterwards, ``right`` how often they agreed.
    """

    entry: int
    other: str
    prompt: str
    reason: str
    cosine: float
    score: float
    times: int
    right: int | None
    compared: int


class Meanings:
    """Reads and writes through a store of the thread that uses it."""

    def __init__(self, store: AnswerStore) -> None:
        self.store = store
        self.dropped = 0
        """How many entries' vectors turned out damaged."""

    def before(self, newest: int) -> int:
        """The id above which lie so many of the newest entries, or all there are."""
        with troubles(self.store.path):
            row = self.store.connection.execute(
                "SELECT id FROM entries ORDER BY id DESC LIMIT 1 OFFSET ?", (newest,)
            ).fetchone()
        return 0 if row is None else int(row[0])

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Every entry above an id that has vectors, the entries of one context together; what is damaged is dropped."""
        damaged = []
        with troubles(self.store.path):
            for row in self.store.connection.execute(f"{_READ} WHERE id > ? ORDER BY context", (after,)):
                if _is_whole(row):
                    yield Row(row[0], row[2], *row[5:9])
                else:
                    damaged.append(row[0])
        self._drop(damaged)

    def prompt(self, entry: int) -> str:
        """The wording of an entry's prompt; empty where it has gone, or is damaged."""
        with troubles(self.store.path):
            row = self.store.connection.execute(f"{_READ} WHERE id = ?", (entry,)).fetchone()
        return str(row[3]) if row is not None and _is_whole(row) else ""

    def entries(self) -> Iterator[int]:
        """The ids of all that have vectors."""
        with troubles(self.store.path):
            for (entry,) in self.store.connection.execute("SELECT entry_id FROM vectors"):
                yield entry

    def unread(self, after: int, screener: str, limit: int) -> list[tuple[int, bytes]]:
        """Ids and fingerprints of entries above an id that have no vectors by that table."""
        with troubles(self.store.path):
            return self.store.connection.execute(
                "SELECT id, fingerprint FROM entries LEFT JOIN vectors ON entry_id = id "
                "WHERE id > ? AND (entry_id IS NULL OR screener != ?) ORDER BY id LIMIT ?",
                (after, screener, limit),
            ).fetchall()

    def remembered(self, context: bytes, entries: Sequence[int], now: Nanoseconds) -> dict[int, Remembered]:
        """Of these entries those that are still there, good and whole, and indeed of that context."""
        marks = ", ".join("?" * len(entries))
        with troubles(self.store.path):
            found = self.store.connection.execute(
                f"{_READ} WHERE id IN ({marks}) AND context = ? AND (expires_at > ? OR pinned)",
                (*entries, context, now),
            ).fetchall()
        self._drop([row[0] for row in found if not _is_whole(row)])
        return {
            row[0]: Remembered(row[0], row[1], row[3], row[_GROUP], row[4]) for row in found if _is_whole(row)
        }

    def keep(self, entry: int, screener: str, screen: bytes, embedder: str, vector: bytes | None) -> None:
        """Keep an entry's vectors; nothing where the entry has gone meanwhile."""
        with self.store.change() as connection:
            sealed = connection.execute(_OF_ONE, (entry,)).fetchone()
            if sealed is not None:
                values = (screener, screen, embedder, vector, 0)
                connection.execute(
                    f"INSERT OR REPLACE INTO vectors (entry_id, {_OF_VECTORS}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                    (entry, *values, seal(*sealed, *values)),
                )

    def attach(self, entry: int, embedder: str, vector: bytes) -> None:
        """Keep what an embedder made of an entry's prompt."""
        self._change([entry], {_EMBEDDER: embedder, _VECTOR: vector})

    def group(self, entries: Sequence[int], group: int) -> None:
        """Put entries whose answers mean the same into one group."""
        self._change(entries, {_GROUP: group})

    def judge(self, name: str) -> bytes | None:
        """What the judge of that name had learnt when it was kept last."""
        return self._judges("WHERE name = ?", (name,)).get(name)

    def keep_judges(self, states: dict[str, bytes]) -> None:
        with self.store.change() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO judges (name, state, checksum) VALUES (?, ?, ?)",
                [(name, state, seal(name, state)) for name, state in states.items()],
            )

    def count(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Add to the numbers of this hour, by name and tenant."""
        for (name, tenant), more in counts.items():
            self.store.count(name, more, tenant)

    def saw(self, sighting: Sighting) -> int:
        """Note what was judged, in place of the oldest note; its number, by which `told` adds what turned out."""
        with self.store.change() as connection:
            cursor = connection.execute(
                "INSERT INTO sightings (at, tenant, prompt, entry_id, other, cosine, score, outcome) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    sighting.at,
                    sighting.tenant,
                    sighting.prompt,
                    sighting.entry,
                    sighting.other,
                    sighting.cosine,
                    sighting.score,
                    sighting.outcome,
                ),
            )
            number = int(cursor.lastrowid or 0)
            connection.execute("DELETE FROM sightings WHERE id <= ?", (number - KEPT_SIGHTINGS,))
        return number

    def told(self, number: int, *, right: bool) -> None:
        """What comparing the two answers said."""
        with self.store.change() as connection:
            connection.execute('UPDATE sightings SET "right" = ? WHERE id = ?', (right, number))

    def near_misses(self, since: Nanoseconds, tenant: str | None, limit: int) -> list[Miss]:
        """The remembered prompts that other wordings came nearest to without being served, the likeliest first."""
        with troubles(self.store.path):
            rows = self.store.connection.execute(
                'SELECT entry_id, other, prompt, outcome, cosine, max(score), count(*), sum("right"), count("right") '
                "FROM sightings WHERE outcome NOT IN ('hit', 'would_hit') AND at >= ? AND tenant = coalesce(?, tenant) "
                "GROUP BY entry_id ORDER BY max(score) DESC LIMIT ?",
                (since, tenant, limit),
            )
            return [Miss._make(row) for row in rows]

    def cosines(self) -> list[float]:
        """How near the latest candidates lay."""
        with troubles(self.store.path):
            return [cosine for (cosine,) in self.store.connection.execute("SELECT cosine FROM sightings")]

    def scores(self, tenant: str) -> list[float]:
        """What the latest candidates of a tenant scored: log odds of being right, minus infinity where a guard forbade."""
        with troubles(self.store.path):
            rows = self.store.connection.execute("SELECT score FROM sightings WHERE tenant = ?", (tenant,))
            return [score for (score,) in rows]

    def judges(self) -> dict[str, bytes]:
        """What every judge had learnt when it was kept last, by its name."""
        return self._judges("ORDER BY name", ())

    def _judges(self, which: str, given: tuple[str, ...]) -> dict[str, bytes]:
        with troubles(self.store.path):
            rows = self.store.connection.execute(f"SELECT name, state, checksum FROM judges {which}", given)  # noqa: S608
            return {name: state for name, state, checksum in rows if seal(name, state) == checksum}

    def _change(self, entries: Sequence[int], changes: dict[int, Any]) -> None:
        """Change what is kept of entries, by place in a row; of what is damaged nothing is kept."""
        damaged = []
        with self.store.change() as connection:
            for entry in entries:
                row = connection.execute(f"{_READ} WHERE id = ?", (entry,)).fetchone()
                if row is not None and _is_whole(row):
                    sealed = [changes.get(at, value) for at, value in enumerate(row[:-1])]
                    connection.execute(
                        'UPDATE vectors SET embedder = ?, vector = ?, "group" = ?, checksum = ? WHERE entry_id = ?',
                        (*sealed[_EMBEDDER:], seal(*sealed), entry),
                    )
                elif row is not None:
                    damaged.append(entry)
        self._drop(damaged)

    def _drop(self, damaged: Sequence[int]) -> None:
        """Forget vectors, which can be made again."""
        if damaged:
            with self.store.change() as connection:
                connection.executemany(
                    "DELETE FROM vectors WHERE entry_id = ?", [(each,) for each in damaged]
                )
            self.store.count("damaged", len(damaged))
            self.dropped += len(damaged)


def _is_whole(row: tuple[Any, ...]) -> bool:
    return bool(seal(*row[:-1]) == row[-1])
