"""The tables, as numbered steps that only ever go forward.

``PRAGMA user_version`` holds the number of the last step, so a current database is recognised without importing
sqlite_utils (145 ms); the import happens only where a step has to be applied.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from llmgw.errors import ConfigInvalid

if TYPE_CHECKING:
    from pathlib import Path

    from llmgw.domain.clock import Nanoseconds

APPLICATION_ID = 0x6C6C6D67
"""``llmg`` in the file's header: tells our files from other programs' databases."""

_USAGE = """
    input_tokens INTEGER NOT NULL DEFAULT 0, output_tokens INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens INTEGER NOT NULL DEFAULT 0, cache_write_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0, reasoning_tokens INTEGER NOT NULL DEFAULT 0,
    input_audio_tokens INTEGER NOT NULL DEFAULT 0, output_audio_tokens INTEGER NOT NULL DEFAULT 0,
    searches INTEGER NOT NULL DEFAULT 0, estimated INTEGER NOT NULL DEFAULT 0"""

_BUMP = "BEGIN UPDATE control SET version = version + 1; END"

_FIRST = (
    # A process that served. Attempts name theirs, which is how those of a dead one are found.
    """CREATE TABLE boots (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, pid INTEGER NOT NULL, started_at INTEGER NOT NULL, stopped_at INTEGER)""",
    # The words that repeat from row to row, kept once: a ledger row is half the size, a roll-up key two integers.
    """CREATE TABLE dimensions (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, user TEXT NOT NULL, key_id INTEGER NOT NULL,
    key_name TEXT NOT NULL, tags TEXT NOT NULL, surface TEXT NOT NULL, provider TEXT NOT NULL,
    model TEXT NOT NULL, tier TEXT NOT NULL, cache TEXT NOT NULL,
    UNIQUE (key_id, model, provider, tier, cache, surface, tags, user, tenant, key_name))""",
    # state: 0 held, 1 dispatched, 2 settled, 3 released, 4 orphaned. open: 1 until the request's row is written.
    f"""CREATE TABLE attempts (
    request_id INTEGER NOT NULL, attempt INTEGER NOT NULL, boot INTEGER NOT NULL, dimension INTEGER NOT NULL,
    state INTEGER NOT NULL, open INTEGER NOT NULL DEFAULT 1, started_at INTEGER NOT NULL,
    model_asked TEXT NOT NULL, stream INTEGER NOT NULL, held_cost INTEGER,
    ended_at INTEGER, status INTEGER, error TEXT NOT NULL DEFAULT '',{_USAGE},
    complete INTEGER NOT NULL DEFAULT 1, cost INTEGER, premium_cost INTEGER, price TEXT NOT NULL DEFAULT '',
    ttft_us INTEGER, latency_us INTEGER, finish_reason TEXT NOT NULL DEFAULT '',
    upstream_id TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (request_id, attempt)) WITHOUT ROWID""",
    "CREATE INDEX attempts_open ON attempts (boot) WHERE open = 1",
    # seq is the order of completion, which a tail follows; ids are in order of arrival.
    f"""CREATE TABLE requests (
    seq INTEGER PRIMARY KEY, id INTEGER NOT NULL UNIQUE, dimension INTEGER NOT NULL,
    started_at INTEGER NOT NULL, model_asked TEXT NOT NULL, stream INTEGER NOT NULL, status INTEGER NOT NULL,
    error TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0,{_USAGE},
    complete INTEGER NOT NULL DEFAULT 1, cost INTEGER, premium_cost INTEGER, ttft_us INTEGER,
    latency_us INTEGER NOT NULL DEFAULT 0, finish_reason TEXT NOT NULL DEFAULT '')""",
    # Covers the filters on words and cost: a list or a count walks it newest first without touching the rows.
    "CREATE INDEX requests_started ON requests (started_at, dimension, cost)",
    "CREATE INDEX requests_failed ON requests (started_at, dimension) WHERE error <> ''",
    # bucket: UTC nanoseconds of a quarter of an hour, of which every time zone is a multiple.
    f"""CREATE TABLE rollups (
    bucket INTEGER NOT NULL, dimension INTEGER NOT NULL, requests INTEGER NOT NULL, errors INTEGER NOT NULL,
    {_USAGE}, cost INTEGER NOT NULL, premium_cost INTEGER NOT NULL, saving INTEGER NOT NULL,
    unknown_cost INTEGER NOT NULL, latency_us INTEGER NOT NULL, ttft_us INTEGER NOT NULL,
    ttft_count INTEGER NOT NULL,
    PRIMARY KEY (bucket, dimension)) WITHOUT ROWID""",
    """CREATE TABLE keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, shown TEXT NOT NULL,
    tenant TEXT NOT NULL, user TEXT NOT NULL, plan TEXT NOT NULL, models TEXT NOT NULL, tags TEXT NOT NULL,
    created_at INTEGER NOT NULL, expires_at INTEGER, revoked_at INTEGER, last_used_at INTEGER,
    previous_hash BLOB, grace_until INTEGER, admin INTEGER NOT NULL)""",
    "CREATE UNIQUE INDEX keys_name ON keys (name) WHERE revoked_at IS NULL",
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # One row, polled by the gateway: whatever changes who may do what moves it. A key's last use does not.
    "CREATE TABLE control (version INTEGER NOT NULL)",
    "INSERT INTO control VALUES (1)",
    f"CREATE TRIGGER keys_added AFTER INSERT ON keys {_BUMP}",
    f"CREATE TRIGGER keys_removed AFTER DELETE ON keys {_BUMP}",
    f"""CREATE TRIGGER keys_changed AFTER UPDATE OF name, hash, tenant, user, plan, models, tags, expires_at,
    revoked_at, previous_hash, grace_until, admin ON keys {_BUMP}""",
    f"CREATE TRIGGER settings_added AFTER INSERT ON settings {_BUMP}",
    f"CREATE TRIGGER settings_changed AFTER UPDATE ON settings {_BUMP}",
    f"CREATE TRIGGER settings_removed AFTER DELETE ON settings {_BUMP}",
)

_CONTROL = (
    # Amounts are nano-dollars or tokens by unit; NULL: no such mark. warn: percentages, comma separated.
    """CREATE TABLE budgets (
    scope TEXT NOT NULL, window TEXT NOT NULL, unit TEXT NOT NULL, hard INTEGER, medium INTEGER, soft INTEGER,
    warn TEXT NOT NULL DEFAULT '', on_exceed TEXT NOT NULL DEFAULT 'stop', since INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, window, unit)) WITHOUT ROWID""",
    """CREATE TABLE limits (
    scope TEXT NOT NULL, measure TEXT NOT NULL, amount INTEGER NOT NULL,
    PRIMARY KEY (scope, measure)) WITHOUT ROWID""",
    """CREATE TABLE kills (
    scope TEXT PRIMARY KEY, mode TEXT NOT NULL, reason TEXT NOT NULL, "by" TEXT NOT NULL, at INTEGER NOT NULL)
    WITHOUT ROWID""",
    # What the gateway noticed and people should know, once each: name is unique within what it is about.
    """CREATE TABLE notices (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL UNIQUE,
    message TEXT NOT NULL)""",
    # Requests that may have spent at several targets, which roll-ups keep under the last one.
    "CREATE INDEX requests_several ON requests (started_at) WHERE attempts > 1",
    *(
        f"CREATE TRIGGER {table}_{done} AFTER {event} ON {table} {_BUMP}"
        for table in ("budgets", "limits", "kills")
        for done, event in (("added", "INSERT"), ("changed", "UPDATE"), ("removed", "DELETE"))
    ),
)

_CACHES = (
    # saved: what the calls that a cache answered would have cost.
    "ALTER TABLE requests ADD COLUMN saved INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE rollups ADD COLUMN saved INTEGER NOT NULL DEFAULT 0",
    # cache: 0 where no cache may answer the key's calls or remember their answers.
    "ALTER TABLE keys ADD COLUMN cache INTEGER NOT NULL DEFAULT 1",
    f"CREATE TRIGGER keys_cached AFTER UPDATE OF cache ON keys {_BUMP}",
)

_CHAIN = (
    # Each covers the rows above those of the one before it; the first takes what was there before it as it stands.
    "CREATE TABLE links (seq INTEGER PRIMARY KEY, dimension INTEGER NOT NULL, hash BLOB NOT NULL)",
    "INSERT INTO links SELECT coalesce(max(seq), 0), 0, zeroblob(32) FROM requests",
)

_MEASURES = (
    "requests, errors, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, "
    "reasoning_tokens, input_audio_tokens, output_audio_tokens, searches, estimated, cost, premium_cost, saving, "
    "unknown_cost, latency_us, ttft_us, ttft_count, saved"
)
FROM_ROLLUPS = (
    """INSERT INTO dimensions (tenant, user, key_id, key_name, tags, surface, provider, model, tier, cache)
    SELECT DISTINCT '', '', 0, '', '', surface, provider, model, tier, cache FROM dimensions WHERE TRUE
    ON CONFLICT DO NOTHING""",
    f"""INSERT INTO overall (bucket, dimension, {_MEASURES})
    SELECT bucket, target.id, {", ".join(f"sum({name})" for name in _MEASURES.split(", "))}
    FROM rollups JOIN dimensions caller ON caller.id = rollups.dimension
    JOIN dimensions target ON (target.key_id, target.model, target.provider, target.tier, target.cache, target.surface,
    target.tags, target.user, target.tenant, target.key_name)
    = (0, caller.model, caller.provider, caller.tier, caller.cache, caller.surface, '', '', '', '')
    GROUP BY bucket, target.id""",  # noqa: S608 (own columns)
    """INSERT INTO days SELECT dimension, bucket - bucket % 86400000000000 AS day, sum(cost),
    sum(input_tokens + output_tokens) FROM rollups GROUP BY dimension, day""",
)
"""Both sums of what the roll-ups hold, into empty tables."""

_SUMS = (
    # Roll-ups without their caller, under a dimension that has none: a report of years reads as many rows as there
    # are targets, however many keys there are.
    f"""CREATE TABLE overall (
    bucket INTEGER NOT NULL, dimension INTEGER NOT NULL,
    {", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in _MEASURES.split(", "))},
    PRIMARY KEY (bucket, dimension)) WITHOUT ROWID""",
    # What budgets count, by days in UTC: the middle of any longer stretch.
    """CREATE TABLE days (
    dimension INTEGER NOT NULL, day INTEGER NOT NULL, cost INTEGER NOT NULL, tokens INTEGER NOT NULL,
    PRIMARY KEY (dimension, day)) WITHOUT ROWID""",
    *FROM_ROLLUPS,
)

_COUNT = "BEGIN UPDATE keys SET change = (SELECT version FROM control) WHERE id = NEW.id; END"
_CHANGES = (
    # Rises with each change of a key, so that a gateway reads again what has changed and no more.
    "ALTER TABLE keys ADD COLUMN change INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX keys_change ON keys (change)",
    f"CREATE TRIGGER keys_new AFTER INSERT ON keys {_COUNT}",
    f"""CREATE TRIGGER keys_other AFTER UPDATE OF name, hash, tenant, user, plan, models, tags, expires_at, revoked_at,
    previous_hash, grace_until, admin, cache ON keys {_COUNT}""",
)

_ROUTER = (
    # Why a request that named no model went where it did. terms: JSON pairs that sum to the gain; features: JSON, what
    # learning needs to know of the prompt.
    """CREATE TABLE decisions (
    request_id INTEGER PRIMARY KEY, tier TEXT NOT NULL, target TEXT NOT NULL, reason TEXT NOT NULL,
    rule TEXT NOT NULL, sticky INTEGER NOT NULL, explored INTEGER NOT NULL, classifier TEXT NOT NULL, gain REAL,
    premium REAL, quality REAL, terms TEXT NOT NULL, features TEXT NOT NULL, trimmed INTEGER NOT NULL,
    conversation INTEGER NOT NULL)""",
    # All that a replay under another policy reads of them, a sixth of the whole.
    """CREATE INDEX decisions_scored ON decisions (request_id, gain, premium, tier, rule, classifier, conversation)
    WHERE gain IS NOT NULL""",
    # What callers said of answers: score 0 to 1. tier and features: NULL where nothing can be learnt from it.
    """CREATE TABLE outcomes (
    request_id INTEGER PRIMARY KEY, at INTEGER NOT NULL, tier TEXT, score REAL NOT NULL, comment TEXT NOT NULL,
    features TEXT)""",
    "CREATE INDEX outcomes_at ON outcomes (at)",
)

_SHADOW = (
    # What was made of the answers of a cascade before they were passed on: JSON objects, in their order.
    "ALTER TABLE decisions ADD COLUMN verdicts TEXT NOT NULL DEFAULT '[]'",
    # Calls that a local model has answered as well, for nobody: who answered the caller and who again, at what cost;
    # score 0 to 1 where the answers could be compared, how by what. calls, spent: those that might have been chosen since
    # the row before, and what they cost.
    """CREATE TABLE shadows (
    request_id INTEGER PRIMARY KEY, at INTEGER NOT NULL, tier TEXT NOT NULL, target TEXT NOT NULL,
    shadow TEXT NOT NULL, score REAL, how TEXT NOT NULL, cost INTEGER, latency_us INTEGER NOT NULL,
    calls INTEGER NOT NULL, spent INTEGER NOT NULL)""",
    "CREATE INDEX shadows_at ON shadows (at)",
)

_LIKENESS = (
    # vector: what the prompt is about and looks like, for comparing with others. source: who said it, weight how far it
    # is believed.
    "ALTER TABLE decisions ADD COLUMN vector BLOB",
    "ALTER TABLE outcomes ADD COLUMN vector BLOB",
    "ALTER TABLE outcomes ADD COLUMN source TEXT NOT NULL DEFAULT 'feedback'",
    "ALTER TABLE outcomes ADD COLUMN weight REAL NOT NULL DEFAULT 1",
)

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("0001_first", _FIRST),
    ("0002_control", _CONTROL),
    ("0003_caches", _CACHES),
    ("0004_chain", _CHAIN),
    ("0005_sums", _SUMS),
    ("0006_changes", _CHANGES),
    ("0007_router", _ROUTER),
    ("0008_shadow", _SHADOW),
    ("0009_likeness", _LIKENESS),
)
"""Name and statements of each step, oldest first. A step that was ever released is never edited."""


def is_current(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the tables are those of this release; ConfigInvalid for a newer or a foreign database."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == len(STEPS):
        return True
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if version > len(STEPS) and application == APPLICATION_ID:
        raise ConfigInvalid(
            f"{path} was written by a newer llmgw (schema {version}, this one knows {len(STEPS)})",
            hint="upgrade llmgw, or restore the backup that the upgrade left beside it",
        )
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    if application != APPLICATION_ID and not empty:
        raise ConfigInvalid(
            f"{path} is the database of another program", hint="choose another home with LLMGW_HOME"
        )
    return False


def migrate(connection: sqlite3.Connection, path: Path, now: Nanoseconds) -> Path | None:
    """Bring the tables up to date in one transaction; the path of the backup made before, None for a new file.

    ``connection`` must be in autocommit. Several processes may do this at once: one does, the others wait.
    """
    from sqlite_utils import Database, Migrations  # noqa: PLC0415

    migrations = Migrations("llmgw")
    for number, (name, statements) in enumerate(STEPS, 1):

        def step(db: Database, number: int = number, statements: tuple[str, ...] = statements) -> None:
            for statement in statements:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")

        migrations(name=name)(step)

    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        backup = None
        if not is_current(connection, path):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version:
                backup = _back_up(path, path.with_name(f"{path.name}.v{version}-{now // 10**9}.bak"))
            migrations.apply(Database(connection, recursive_triggers=False, execute_plugins=False))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return backup


def _back_up(path: Path, copy: Path) -> Path:
    """Copy the committed state; a second connection sees just that while ours holds the write lock."""
    copy.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy
