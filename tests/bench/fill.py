"""A database as large as one wants: keys, budgets and a ledger that adds up, written by SQL alone.

python tests/bench/fill.py HOME --requests 10_000_000 --keys 10_000 --budgets 1_000

``HOME/llmgw.db`` must not exist yet. The key of the first caller is printed. Requests lie evenly over ``--days`` until
now; at any time ``SESSIONS`` callers are at work, each for some forty requests.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from llmgw.domain.budget import Budget, Window
from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.domain.money import NANO
from llmgw.domain.scope import parse_scope
from llmgw.storage.budgets import Budgets
from llmgw.storage.control import Control, generate_token, hash_token
from llmgw.storage.database import Database
from llmgw.storage.rows import BUCKET, REQUEST, SUMS
from llmgw.storage.schema import FROM_ROLLUPS

if TYPE_CHECKING:
    import sqlite3

TARGETS = (
    ("openai", "gpt-4o-mini", "cheap"),
    ("anthropic", "claude-sonnet-4-5", "premium"),
    ("ollama", "llama3", "local"),
)
PRICE = (
    '{"currency":"USD","source":"genai-prices","input":150000000,"output":600000000,"cache_read":75000000}'
)
SESSIONS = 200
SESSION_REQUESTS = 40
TENANTS, USERS = 20, 1_000

_NUMBERS = "WITH RECURSIVE n(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM n WHERE n < :last)"
_CALLS = f"""{_NUMBERS}, calls AS (SELECT n, :start + n * :step AS at,
    (((n % {SESSIONS} + {SESSIONS} * (n / {SESSIONS * SESSION_REQUESTS})) * 2654435761) % 4294967291) AS session
    FROM n), rows AS (SELECT n, at, (at / 1000000) << 22 | (n & 4194303) AS id,
    1 + (session % :keys) * {len(TARGETS)} + session / 7 % {len(TARGETS)} AS dimension,
    200 + n * 7919 % 3000 AS input, 20 + n * 104729 % 700 AS output, n % 97 = 0 AS failed FROM calls),
    priced AS (SELECT *, (input * 150 + output * 600) / 10 AS cost, input * 2000 + output * 8000 AS premium FROM rows)"""
_REQUESTS = f"""INSERT INTO requests ({REQUEST}) {_CALLS}
    SELECT id, dimension, at, 'auto', n % 2, CASE WHEN failed THEN 502 ELSE 200 END,
    CASE WHEN failed THEN 'upstream_error' ELSE '' END, 1, input, output, 0, 0, 0, 0, 0, 0, 0, failed, NOT failed,
    cost, premium, 180000 + n % 90000, 900000 + n % 700000, CASE WHEN failed THEN '' ELSE 'stop' END, 0 FROM priced"""
_ATTEMPTS = f"""INSERT INTO attempts (request_id, attempt, boot, dimension, state, open, started_at, model_asked, stream,
    held_cost, ended_at, status, error, input_tokens, output_tokens, estimated, complete, cost, premium_cost, price,
    ttft_us, latency_us, finish_reason, upstream_id) {_CALLS}
    SELECT id, 1, 1, dimension, 2, 0, at, 'auto', n % 2, cost * 3, at + 1000000000,
    CASE WHEN failed THEN 502 ELSE 200 END, CASE WHEN failed THEN 'upstream_error' ELSE '' END, input, output, failed,
    NOT failed, cost, premium, :price, 180000 + n % 90000, 900000 + n % 700000,
    CASE WHEN failed THEN '' ELSE 'stop' END, 'chatcmpl-' || n FROM priced"""
_ROLLUPS = f"""INSERT INTO rollups (bucket, dimension, {SUMS})
    SELECT started_at - started_at % {BUCKET} AS bucket, dimension, count(*), sum(error <> ''), sum(input_tokens),
    sum(output_tokens), 0, 0, 0, 0, 0, 0, 0, sum(estimated), sum(cost), sum(premium_cost), sum(premium_cost - cost), 0,
    sum(latency_us), sum(ttft_us), count(ttft_us), sum(saved) FROM requests GROUP BY bucket, dimension"""

_LINK = "UPDATE links SET seq = (SELECT max(seq) FROM requests)"


def fill(home: Path, *, requests: int, keys: int, budgets: int, days: int) -> str:
    """Make the database; the token of its first key."""
    token = generate_token()
    path = home / "llmgw.db"
    with Control(path, SYSTEM_CLOCK) as control, Database.open(path) as database:
        with closing(database.connect()) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA cache_size = -500000")
            connection.execute("BEGIN IMMEDIATE")
            _callers(connection, keys, token)
            _ledger(connection, requests, keys, days)
            connection.execute("COMMIT")
        Budgets(control).set(*map(_budget, range(budgets)))
    return token


def _callers(connection: sqlite3.Connection, keys: int, token: str) -> None:
    now = time.time_ns()
    connection.executemany(
        "INSERT INTO keys (name, hash, shown, tenant, user, plan, models, tags, created_at, admin)"
        " VALUES (?, ?, 'lgw_…', ?, ?, '', '[]', '[]', ?, 0)",
        (
            (f"key{number}", hash_token(f"{token}{number or ''}"), *_names(number), now)
            for number in range(keys)
        ),
    )
    connection.executemany(
        "INSERT INTO dimensions (id, tenant, user, key_id, key_name, tags, surface, provider, model, tier, cache)"
        " VALUES (?, ?, ?, ?, ?, '', 'chat', ?, ?, ?, 'bypass')",
        (
            (1 + number * len(TARGETS) + which, *_names(number), number + 1, f"key{number}", *target)
            for number in range(keys)
            for which, target in enumerate(TARGETS)
        ),
    )


def _names(number: int) -> tuple[str, str]:
    return f"tenant{number % TENANTS}", f"user{number % USERS}"


def _ledger(connection: sqlite3.Connection, requests: int, keys: int, days: int) -> None:
    now = time.time_ns()
    connection.execute(
        "INSERT INTO boots (name, pid, started_at, stopped_at) VALUES ('fill', 0, ?, ?)", (now, now)
    )
    span = days * 86_400 * NANO
    values = {
        "first": 0,
        "last": requests - 1,
        "start": now - span,
        "step": span // requests,
        "keys": keys,
    }
    connection.execute(_REQUESTS, values)
    connection.execute(_ATTEMPTS, {**values, "price": PRICE})
    connection.execute(_ROLLUPS)
    for statement in FROM_ROLLUPS:
        connection.execute(statement)
    connection.execute(_LINK)  # the chain of hashes takes what is there as it stands


def _budget(number: int) -> Budget:
    """Of everybody, tenants, users and keys in turn, over every window; high enough that none refuses."""
    scopes = ("all", f"tenant:tenant{number % TENANTS}", f"user:user{number % USERS}", f"key:key{number}")
    window = list(Window)[number // 4 % 5]
    return Budget(scope=parse_scope(scopes[number % 4]), window=window, hard=10**18, warn=(80,))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--budgets", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=90)
    asked = parser.parse_args()
    print(fill(asked.home, requests=asked.requests, keys=asked.keys, budgets=asked.budgets, days=asked.days))


if __name__ == "__main__":
    main()
