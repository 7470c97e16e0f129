"""Lists of requests: filters, totals, following, and one request with its attempts."""

from __future__ import annotations

from contextlib import closing

import pytest
from support.ledger_words import NOON, a_refusal, a_request

from llmgw.errors import NotFound
from llmgw.storage.database import Database
from llmgw.storage.requests import Filter, Requests
from llmgw.storage.rows import Dimensions, write_requests

SECOND = 10**9


@pytest.fixture
def database(tmp_path):
    with Database.open(tmp_path / "llmgw.db") as opened:
        yield opened


def write(database, *rows):
    with closing(database.connect()) as connection:
        write_requests(connection, Dimensions(), rows)


@pytest.fixture
def requests(database):
    write(
        database,
        a_request(1, started_at=NOON + 1 * SECOND, cost=10, cache="miss"),
        a_request(
            2, started_at=NOON + 2 * SECOND, model="gpt-5", tier="premium", cost=500, key_name="me", tags=""
        ),
        a_request(
            4,
            started_at=NOON + 4 * SECOND,
            provider="ollama",
            model="llama3",
            tier="local",
            cost=0,
            tags="a,b",
        ),
        a_request(3, started_at=NOON + 3 * SECOND, status=504, error="upstream_timeout", cost=None),
        a_refusal(5, started_at=NOON + 5 * SECOND),
    )
    return Requests(database)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"key": "me"}, [2]),
        ({"key": "nobody"}, []),
        ({"model": "gpt-5*"}, [3, 2, 1]),
        ({"model": "ollama/*"}, [4]),
        ({"model": "gpt-9*"}, [5]),
        ({"model": "*"}, [5, 4, 3, 2, 1]),
        ({"provider": "ollama"}, [4]),
        ({"tier": "premium"}, [2]),
        ({"tag": "b"}, [4]),
        ({"tag": "a,b"}, []),
        ({"status": "ok"}, [4, 2, 1]),
        ({"status": "error"}, [5, 3]),
        ({"status": "upstream_timeout"}, [3]),
        ({"status": "404"}, [5]),
        ({"status": "200"}, [4, 2, 1]),
        ({"min_cost": 10}, [2, 1]),
        ({"since": NOON + 2 * SECOND, "until": NOON + 4 * SECOND}, [3, 2]),
        ({"model": "gpt*", "status": "error"}, [5, 3]),
        ({"key": "ci", "tier": "cheap", "status": "ok"}, [1]),
    ],
)
def test_filters(requests, wanted, ids):
    """Each filter alone and with others lists what it says, newest first, and counts it."""
    page = requests.newest(Filter(**wanted))
    assert [row.id for row in page.rows] == ids
    assert page.total == len(ids)
    short = requests.newest(Filter(**wanted), limit=1)
    assert [row.id for row in short.rows] == ids[:1]
    assert short.total == len(ids)


def test_words_in_filters_are_only_words(requests):
    """Quotes and percent signs in a filter find nothing and break nothing."""
    for word in ("'; DROP TABLE requests; --", "%", "gpt'"):
        for field in ("key", "model", "provider", "tier", "tag", "status"):
            assert requests.newest(Filter(**{field: word})).total == 0
    assert requests.newest().total == 5


def test_rows_come_back_as_written(requests):
    """A listed row equals the one that was recorded, unknown cost and verdict of the caches included."""
    rows = {row.id: row for row in requests.newest().rows}
    assert rows[1] == a_request(1, started_at=NOON + SECOND, cost=10, cache="miss")
    assert rows[3].cost is None
    assert rows[5] == a_refusal(5, started_at=NOON + 5 * SECOND)


def test_following_misses_none(requests, database):
    """Following gives each request once, in the order of their ends, even one that began before those shown."""
    page = requests.newest(limit=2)
    assert requests.ended_after(page.cursor).rows == ()
    write(database, a_request(9, started_at=NOON + 9 * SECOND))
    write(database, a_request(6, started_at=NOON), a_refusal(7))
    following = requests.ended_after(page.cursor)
    assert [row.id for row in following.rows] == [9, 6, 7]
    assert requests.ended_after(following.cursor).rows == ()
    wanted = requests.ended_after(page.cursor, Filter(status="ok"), limit=1)
    assert [row.id for row in wanted.rows] == [9]
    assert [row.id for row in requests.ended_after(wanted.cursor, Filter(status="ok")).rows] == [6]


def test_unknown_request(requests):
    """A request that never was is NotFound, by the id that people see."""
    with pytest.raises(NotFound, match="req_000000000001z"):
        requests.show(63)
