"""What the semantic cache keeps in the caches' file: vectors of prompts, what was judged lately, what judges have learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmgw.storage.database import troubles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmgw.domain.cache import Sighting
    from llmgw.domain.clock import Nanoseconds
    from llmgw.storage.answers import AnswerStore

KEPT_SIGHTINGS = 1000
TOGETHER = 500
"""Ids in one statement at most."""


class Row(NamedTuple):
    """An entry's vectors, one byte a dimension; ``vector`` is None where ``embedder`` has not read its prompt yet."""

    entry: int
    context: bytes
    prompt: str
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

    def rows(self) -> Iterator[Row]:
        """Every entry that has vectors, the entries of one context together."""
        with troubles(self.store.path):
            yield from map(
                Row._make,
                self.store.connection.execute(
                    "SELECT e.id, context, CASE WHEN length(screen) = 0 THEN prompt ELSE '' END, screener, screen, "
                    "embedder, vector FROM vectors JOIN entries e ON e.id = entry_id ORDER BY context"
                ),
            )

    def prompt(self, entry: int) -> str:
        """The wording of an entry's prompt; empty where it has gone."""
        with troubles(self.store.path):
            row = self.store.connection.execute(
                "SELECT prompt FROM entries WHERE id = ?", (entry,)
            ).fetchone()
        return "" if row is None else str(row[0])

    def entries(self) -> list[int]:
        """The ids of all that have vectors."""
        with troubles(self.store.path):
            return [entry for (entry,) in self.store.connection.execute("SELECT entry_id FROM vectors")]

    def remembered(self, context: bytes, entries: Sequence[int], now: Nanoseconds) -> dict[int, Remembered]:
        """Of these entries those that are still there and good, and indeed of that context."""
        marks = ", ".join("?" * len(entries))
        with troubles(self.store.path):
            found = self.store.connection.execute(
                f'SELECT id, fingerprint, prompt, "group", created_at FROM entries WHERE id IN ({marks}) '  # noqa: S608
                "AND context = ? AND (expires_at > ? OR pinned)",
                (*entries, context, now),
            ).fetchall()
        return {row[0]: Remembered._make(row) for row in found}

    def keep(self, entry: int, screener: str, screen: bytes, embedder: str, vector: bytes | None) -> None:
        """Keep an entry's vectors; nothing where the entry has gone meanwhile."""
        with self.store.change() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO vectors (entry_id, screener, screen, embedder, vector) "
                "SELECT id, ?, ?, ?, ? FROM entries WHERE id = ?",
                (screener, screen, embedder, vector, entry),
            )

    def attach(self, entry: int, embedder: str, vector: bytes) -> None:
        """Keep what an embedder made of an entry's prompt."""
        with self.store.change() as connection:
            connection.execute(
                "UPDATE vectors SET embedder = ?, vector = ? WHERE entry_id = ?", (embedder, vector, entry)
            )

    def group(self, entries: Sequence[int], group: int) -> None:
        """Put entries whose answers mean the same into one group."""
        marks = ", ".join("?" * len(entries))
        with self.store.change() as connection:
            connection.execute(f'UPDATE entries SET "group" = ? WHERE id IN ({marks})', (group, *entries))  # noqa: S608

    def judge(self, name: str) -> bytes | None:
        """What the judge of that name had learnt when it was kept last."""
        with troubles(self.store.path):
            row = self.store.connection.execute("SELECT state FROM judges WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def keep_judges(self, states: dict[str, bytes]) -> None:
        with self.store.change() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO judges (name, state) VALUES (?, ?)", states.items()
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

    def scores(self, tenant: str) -> list[float]:
        """What the latest candidates of a tenant scored: log odds of being right, minus infinity where a guard forbade."""
        with troubles(self.store.path):
            rows = self.store.connection.execute("SELECT score FROM sightings WHERE tenant = ?", (tenant,))
            return [score for (score,) in rows]

    def judges(self) -> dict[str, bytes]:
        """What every judge had learnt when it was kept last, by its name."""
        with troubles(self.store.path):
            return dict(self.store.connection.execute("SELECT name, state FROM judges ORDER BY name"))
