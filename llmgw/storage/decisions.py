"""Why requests went where they did, and what callers said of the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from llmgw.domain.clock import Nanoseconds
from llmgw.domain.ledger import first_id
from llmgw.domain.money import NanoUSD
from llmgw.domain.route import Decision, Verdict
from llmgw.rules.tiering.hints import ESCALATION, FEEDBACK, REGENERATION
from llmgw.storage.database import troubles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from sqlite3 import Connection

    from llmgw.storage.database import Database

_COLUMNS = (
    "tier, target, reason, rule, sticky, explored, classifier, gain, premium, quality, terms, features, trimmed, "
    "conversation, verdicts, vector"
)
INSERT_DECISION = f"INSERT INTO decisions (request_id, {_COLUMNS}) VALUES ({', '.join('?' * 17)})"  # noqa: S608

_OUTCOME = "request_id, at, score, comment, tier, features, vector, source, weight"

Terms = tuple[tuple[str, float], ...]
Features = tuple[float, float, float, float]


class Outcome(Struct, frozen=True, kw_only=True):
    """How good an answer was, 0 to 1, as ``source`` has it, who is believed as far as ``weight``.

    ``tier`` and ``features`` are None where nothing can be learnt from it; ``vector`` is the prompt's likeness.
    """

    request_id: int
    at: Nanoseconds
    score: float
    comment: str = ""
    tier: str | None = None
    features: Features | None = None
    vector: bytes | None = None
    source: str = FEEDBACK
    weight: float = 1.0


Scored = tuple[int, Nanoseconds, int, str, str, float, float, int, int, int, int, NanoUSD | None]
"""A request to be replayed: id, when it came, id of its key, name asked for, tier, gain, premium's chance of a good answer,
whether a rule or a classifier decided, conversation, input and output tokens, cost (None where no price was known)."""


class Asker(Struct, frozen=True):
    """Whose key made a request, and the tier that answered it; empty where none did."""

    key_id: int
    tier: str


def decision_values(number: int, decision: Decision) -> tuple[Any, ...]:
    """The row of a request's decision."""
    return (
        number,
        decision.tier,
        decision.target,
        decision.reason,
        decision.rule,
        decision.sticky,
        decision.explored,
        decision.classifier,
        decision.gain,
        decision.premium,
        decision.quality,
        msgspec.json.encode(decision.terms).decode(),
        msgspec.json.encode(decision.features).decode(),
        decision.trimmed,
        decision.conversation,
        msgspec.json.encode(decision.verdicts).decode(),
        decision.vector,
    )


class Decisions:
    """Decisions and outcomes of one database; usable from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, number: int) -> Decision | None:
        """The decision on a request; None where its caller had named a model."""
        with troubles(self._database.path):
            sql = f"SELECT {_COLUMNS} FROM decisions WHERE request_id = ?"  # noqa: S608 (own columns)
            row = self._database.reader().execute(sql, (number,)).fetchone()
        if row is None:
            return None
        values = dict(zip(_COLUMNS.split(", "), row, strict=True))
        values["sticky"], values["explored"] = bool(values["sticky"]), bool(values["explored"])
        values["terms"] = msgspec.json.decode(values["terms"], type=Terms)
        values["features"] = msgspec.json.decode(values["features"], type=Features | None)
        values["verdicts"] = msgspec.json.decode(values["verdicts"], type=tuple[Verdict, ...])
        return Decision(**values)

    def asker(self, number: int) -> Asker | None:
        """Who made a request; None where there is no such one, or it has not ended."""
        with troubles(self._database.path):
            sql = (
                "SELECT key_id, CASE error WHEN '' THEN tier ELSE '' END FROM requests"
                " JOIN dimensions d ON d.id = dimension WHERE requests.id = ?"
            )
            row = self._database.reader().execute(sql, (number,)).fetchone()
        return None if row is None else Asker(*row)

    def gains(self, most: int, before: Nanoseconds | None = None) -> list[float]:
        """The gains of the newest requests that had one, the oldest of them first; of those ``before`` a moment."""
        last = 2**63 - 1 if before is None else first_id(before)
        with troubles(self._database.path):
            sql = "SELECT gain FROM decisions WHERE gain IS NOT NULL AND request_id < ? ORDER BY request_id DESC LIMIT ?"
            return [gain for (gain,) in self._database.reader().execute(sql, (last, most))][::-1]

    def replayed(self, since: Nanoseconds) -> Iterator[Scored]:
        """Every request from a moment on whose tier the score had a say in, in the order of arrival."""
        with troubles(self._database.path):
            sql = (
                "SELECT d.request_id, r.started_at, m.key_id, r.model_asked, d.tier, d.gain, d.premium,"
                " d.rule <> '' OR d.classifier <> '', d.conversation, r.input_tokens, r.output_tokens, r.cost"
                " FROM decisions d JOIN requests r ON r.id = d.request_id JOIN dimensions m ON m.id = r.dimension"
                " WHERE d.gain IS NOT NULL AND d.request_id >= ? ORDER BY d.request_id"
            )
            yield from self._database.reader().execute(sql, (first_id(since),))

    def outcome(self, number: int) -> Outcome | None:
        """What was said of a request's answer."""
        with troubles(self._database.path):
            sql = f"SELECT {_OUTCOME} FROM outcomes WHERE request_id = ?"  # noqa: S608 (own columns)
            row = self._database.reader().execute(sql, (number,)).fetchone()
        return None if row is None else _outcome(row)

    def outcomes(self, most: int) -> list[Outcome]:
        """The newest outcomes that something can be learnt from, the oldest of them first."""
        with troubles(self._database.path):
            sql = f"SELECT {_OUTCOME} FROM outcomes WHERE features IS NOT NULL ORDER BY at DESC LIMIT ?"  # noqa: S608
            return [_outcome(row) for row in self._database.reader().execute(sql, (most,))][::-1]


def write_outcomes(connection: Connection, outcomes: Iterable[Outcome]) -> None:
    """Write outcomes down, each in place of an earlier one of the same request that is believed no more."""
    connection.executemany(
        f"INSERT INTO outcomes ({_OUTCOME}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request_id) DO UPDATE SET"  # noqa: S608
        " (at, score, comment, tier, features, vector, source, weight) = (excluded.at, excluded.score, excluded.comment,"
        " excluded.tier, excluded.features, excluded.vector, excluded.source, excluded.weight)"
        " WHERE excluded.weight >= weight",
        [
            (
                each.request_id,
                each.at,
                each.score,
                each.comment,
                each.tier,
                None if each.features is None else msgspec.json.encode(each.features).decode(),
                each.vector,
                each.source,
                each.weight,
            )
            for each in outcomes
        ],
    )


def remove_hints(connection: Connection, numbers: Iterable[int]) -> None:
    """Remove what was concluded of requests from what their callers did, and nothing that somebody has said."""
    connection.executemany(
        "DELETE FROM outcomes WHERE request_id = ? AND source IN (?, ?)",
        [(number, REGENERATION, ESCALATION) for number in numbers],
    )


def _outcome(row: tuple[Any, ...]) -> Outcome:
    values = dict(zip(_OUTCOME.split(", "), row, strict=True))
    if values["features"] is not None:
        values["features"] = msgspec.json.decode(values["features"], type=Features)
    return Outcome(**values)
