"""A ledger of a million requests: lists and reports stay fast enough for a person who waits."""

from __future__ import annotations

import random
import time
from contextlib import closing
from zoneinfo import ZoneInfo

import pytest
from support.ledger_words import NOON, a_refusal, a_request

from llmgw.storage.database import Database
from llmgw.storage.reports import Reports
from llmgw.storage.requests import Filter, Requests
from llmgw.storage.rows import Dimensions, write_requests

pytestmark = pytest.mark.slow

REQUESTS = 1_000_000
SPAN = 90 * 86400 * 10**9
TARGETS = [("openai", "gpt-5", "premium"), ("openai", "gpt-5-nano", "cheap"), ("ollama", "llama3", "local")]
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    chance = random.Random(1)
    with Database.open(tmp_path_factory.mktemp("scale") / "llmgw.db") as opened:
        dimensions = Dimensions()
        with closing(opened.connect()) as connection:
            connection.execute("BEGIN")
            for begin in range(0, REQUESTS, 10_000):
                rows = []
                for number in range(begin + 1, begin + 10_001):
                    at = NOON - SPAN * (REQUESTS - number) // REQUESTS
                    if chance.random() < 0.05:
                        rows.append(a_refusal(number, started_at=at))
                        continue
                    provider, model, tier = chance.choice(TARGETS)
                    key = chance.randrange(4)
                    rows.append(
                        a_request(
                            number,
                            started_at=at,
                            provider=provider,
                            model=model,
                            tier=tier,
                            key_id=key,
                            key_name=f"key{key}",
                            cost=chance.randrange(10**7),
                            error="" if chance.random() < 0.99 else "upstream_timeout",
                        )
                    )
                write_requests(connection, dimensions, rows)
            connection.execute("COMMIT")
        yield opened


def best(action):
    """Milliseconds of the quickest of three runs: other work on this machine is not what is measured."""
    spans = []
    for _ in range(3):
        begun = time.perf_counter()
        action()
        spans.append(time.perf_counter() - begun)
    return min(spans) * 1000


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"key": "key1"},
        {"model": "gpt-5*"},
        {"status": "ok"},
        {"status": "error"},
        {"status": "upstream_timeout"},
        {"status": "404"},
        {"min_cost": 9_999_000},
        {"min_cost": 10**9},
        {"since": NOON - 3600 * 10**9},
        {"tag": "nightly", "tier": "local", "status": "error"},
    ],
    ids=str,
)
def test_lists_are_fast(database, wanted):
    """The newest fifty and the number of all that match come in under a tenth of a second."""
    assert best(lambda: Requests(database).newest(Filter(**wanted))) < 100


@pytest.mark.parametrize("window", ["day", "week", "month"])
@pytest.mark.parametrize("by", [None, "model", "key", "tag"])
def test_reports_are_fast(database, window, by):
    """A report over all of them comes in under a fifth of a second."""
    assert best(lambda: Reports(database).report(window, BERLIN, 0, 2**63 - 1, by)) < 200


def test_rows_are_small(database):
    """A request with its indexes and its share of the sums takes less than 150 bytes."""
    with closing(database.connect()) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert database.path.stat().st_size / REQUESTS < 150
