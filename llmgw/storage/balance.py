"""The same money counted three ways, by attempts, by requests and by roll-ups, in every scope and window there was.

Scopes are those of callers: a request that fell back has attempts at several providers, but one caller.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.domain.money import NanoUSD
from llmgw.domain.scope import ALL, Scope, ScopeKind
from llmgw.rules.windows import Bucket, Window, bucket
from llmgw.storage.rows import BUCKET

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

_THREE = f"""SELECT tenant, user, key_name, tags, bucket, sum(attempts), sum(requests), sum(rollups) FROM (
    SELECT bucket, dimension, 0 AS attempts, 0 AS requests, cost AS rollups FROM rollups UNION ALL
    SELECT started_at - started_at % {BUCKET}, dimension,
        (SELECT coalesce(sum(cost), 0) FROM attempts WHERE request_id = id), cost, 0
    FROM requests WHERE cost IS NOT NULL)
    JOIN dimensions ON dimensions.id = dimension GROUP BY tenant, user, key_name, tags, bucket"""  # noqa: S608


class Balance(Struct, frozen=True, kw_only=True):
    """What one scope spent in one window, counted three ways; requests of unknown price are in none of them."""

    scope: Scope
    window: Window
    period: str
    attempts: NanoUSD
    requests: NanoUSD
    rollups: NanoUSD

    @property
    def even(self) -> bool:
        return self.attempts == self.requests == self.rollups


def balances(connection: sqlite3.Connection, zone: ZoneInfo) -> list[Balance]:
    """Every scope of a caller in every hour, day, week and month of that zone in which it was seen, and in total."""

    @cache
    def period(window: Window, at: int) -> Bucket:
        return bucket(window, at, zone)

    sums: dict[tuple[Scope, Window, str], tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for tenant, user, key, tags, at, *counted in connection.execute(_THREE):
        for scope in _scopes(tenant, user, key, tags):
            for window in Window:
                place = (scope, window, period(window, at).id)
                a, r, u = sums[place]
                sums[place] = (a + counted[0], r + counted[1], u + counted[2])
    return [
        Balance(scope=scope, window=window, period=name, attempts=a, requests=r, rollups=u)
        for (scope, window, name), (a, r, u) in sums.items()
    ]


def _scopes(tenant: str, user: str, key: str, tags: str) -> Iterator[Scope]:
    yield ALL
    for kind, name in ((ScopeKind.TENANT, tenant), (ScopeKind.USER, user), (ScopeKind.KEY, key)):
        if name:
            yield Scope(kind, name)
    for tag in filter(None, tags.split(",")):
        yield Scope(ScopeKind.TAG, tag)
