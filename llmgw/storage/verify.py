"""Does the ledger add up? Attempts against requests, requests against roll-ups, nothing stuck, double or changed."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from llmgw.domain.ledger import show_id
from llmgw.storage.chain import Break, breaks
from llmgw.storage.rows import BUCKET, DAY, SUMS, USAGE

if TYPE_CHECKING:
    import sqlite3

MOST = 100
"""Findings of one kind are cut off here."""


class Finding(Struct, frozen=True):
    """Something that does not add up: a stable ``code``, the request it is about (0: none), and words."""

    code: str
    request_id: int
    message: str


_CHECKS = (
    (
        "stuck",
        "SELECT request_id, attempt FROM attempts WHERE open = 1 AND boot <> :live LIMIT :most",
        "{0}: attempt {1} of a process that is gone was never closed",
    ),
    (
        "undecided",
        "SELECT request_id, attempt FROM attempts WHERE open = 0 AND state <= 1 LIMIT :most",
        "{0}: attempt {1} is closed without an outcome",
    ),
    (
        "missing_request",
        """SELECT DISTINCT request_id FROM attempts LEFT JOIN requests ON requests.id = request_id
        WHERE open = 0 AND requests.id IS NULL LIMIT :most""",
        "{0}: has attempts but no row of its own",
    ),
    (
        "unclosed",
        (
            "SELECT request_id, attempt FROM attempts JOIN requests ON requests.id = request_id"
            " WHERE open = 1 LIMIT :most"
        ),
        "{0}: attempt {1} is open although the request has ended",
    ),
    (
        "cost_differs",
        """SELECT id, requests.cost, sum(attempts.cost) FROM requests JOIN attempts ON request_id = id GROUP BY id
        HAVING requests.cost IS NOT CASE WHEN count(*) = count(attempts.cost) THEN sum(attempts.cost) END
        LIMIT :most""",
        "{0}: costs {1} nano-dollars, its attempts {2}",
    ),
    (
        "attempts_differ",
        """SELECT id, requests.attempts, count(*) FROM requests JOIN attempts ON request_id = id GROUP BY id
        HAVING count(*) > requests.attempts LIMIT :most""",
        "{0}: says {1} attempts, {2} are there",
    ),
    (
        "double",
        """SELECT request_id, count(*) FROM attempts WHERE state = 2 AND error = '' GROUP BY request_id
        HAVING count(*) > 1 LIMIT :most""",
        "{0}: {1} attempts answered, one can have",
    ),
    (
        "caller_differs",
        """SELECT request_id, attempt FROM attempts JOIN requests ON requests.id = request_id
        JOIN dimensions a ON a.id = attempts.dimension JOIN dimensions r ON r.id = requests.dimension
        WHERE (a.tenant, a.user, a.key_id, a.tags) <> (r.tenant, r.user, r.key_id, r.tags) LIMIT :most""",
        "{0}: attempt {1} is another caller's",
    ),
)

_COUNTED = (
    "1",
    "(error <> '')",
    *USAGE.split(", "),
    "coalesce(cost, 0)",
    "coalesce(premium_cost, 0)",
    "coalesce(premium_cost - cost, 0)",
    "(cost IS NULL)",
    "latency_us",
    "coalesce(ttft_us, 0)",
    "(ttft_us IS NOT NULL)",
    "saved",
)
"""What one request adds to each of ``SUMS``."""

_ROLLUPS = f"""SELECT bucket, dimension FROM (
    SELECT bucket, dimension, {SUMS} FROM rollups UNION ALL
    SELECT started_at - started_at % {BUCKET}, dimension, {", ".join(f"-{term}" for term in _COUNTED)}
    FROM requests)
    GROUP BY bucket, dimension HAVING {" OR ".join(f"sum({name}) <> 0" for name in SUMS.split(", "))}
    LIMIT :most"""  # noqa: S608 (own columns)

_DAYS = f"""SELECT day FROM (
    SELECT dimension, day, cost, tokens FROM days UNION ALL
    SELECT dimension, bucket - bucket % {DAY}, -cost, -input_tokens - output_tokens FROM rollups)
    GROUP BY dimension, day HAVING sum(cost) <> 0 OR sum(tokens) <> 0 LIMIT :most"""  # noqa: S608 (own columns)
_OVERALL = f"""SELECT bucket FROM (
    SELECT bucket, dimension, {SUMS} FROM overall UNION ALL
    SELECT bucket, dimension, {", ".join(f"-{name}" for name in SUMS.split(", "))} FROM rollups)
    LEFT JOIN dimensions ON dimensions.id = dimension
    GROUP BY bucket, provider, model, tier, cache, surface HAVING {" OR ".join(f"sum({name}) <> 0" for name in SUMS.split(", "))}
    LIMIT :most"""  # noqa: S608 (own columns)


def verify(connection: sqlite3.Connection, live: int) -> list[Finding]:
    """Everything that does not add up, at most 100 of a kind. ``live`` is the boot whose open attempts are in flight."""
    values = {"live": live, "most": MOST}
    connection.execute("BEGIN")  # all checks see one moment, whatever is written meanwhile
    try:
        findings = [
            Finding(code, number, words.format(show_id(number), *rest))
            for code, sql, words in _CHECKS
            for number, *rest in map(_numbered, connection.execute(sql, values))
        ]
        for bucket, dimension in map(_numbered, connection.execute(_ROLLUPS, values)):
            words = f"the roll-up of {bucket // 10**9} for dimension {dimension} differs from its requests"
            findings.append(Finding("rollup_differs", 0, words))
        for sql, name in ((_DAYS, "of the day"), (_OVERALL, "without callers")):
            for (at,) in map(_numbered, connection.execute(sql, values)):
                words = f"the sum {name} at {at // 10**9} differs from its roll-ups"
                findings.append(Finding("sum_differs", 0, words))
        findings += map(_changed, islice(breaks(connection), MOST))
    finally:
        connection.execute("COMMIT")
    return findings


def _numbered(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row that begins with a number, 0 where somebody put something else there."""
    return (row[0] if isinstance(row[0], int) else 0, *row[1:])


def _changed(found: Break) -> Finding:
    if not found.first:
        return Finding("changed", 0, "requests were deleted after they had been written")
    which = show_id(found.first)
    if found.first != found.last:
        which += f" to {show_id(found.last)}"
    words = "a row was edited, deleted or inserted after it had been written"
    if not found.linked:
        words = "nothing proves that these rows are what was written"
    return Finding("changed" if found.linked else "unlinked", found.first, f"{which}: {words}")
