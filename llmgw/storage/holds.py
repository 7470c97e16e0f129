"""What calls under way may yet cost, and when the first one was made: the ledger's word where the gateway is not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmgw.rules.reservations import Subject

if TYPE_CHECKING:
    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.money import NanoUSD
    from llmgw.storage.control import Control

_OPEN = """SELECT tenant, user, key_name, tags, tier, provider, model, started_at, coalesce(cost, held_cost, 0)
    FROM attempts JOIN dimensions ON dimensions.id = dimension WHERE open = 1"""


class OpenAttempt(NamedTuple):
    """One attempt of a request that has not ended: what it holds, or has cost where it alone has."""

    subject: Subject
    started_at: Nanoseconds
    amount: NanoUSD


def open_attempts(control: Control) -> list[OpenAttempt]:
    """Every attempt whose request is not in the ledger yet."""
    with control.moment() as connection:
        return [OpenAttempt(Subject(*row[:7]), *row[7:]) for row in connection.execute(_OPEN)]


def first_call(control: Control) -> Nanoseconds | None:
    """The beginning of the first quarter of an hour that saw a request."""
    with control.moment() as connection:
        (first,) = connection.execute("SELECT min(bucket) FROM rollups").fetchone()
        return None if first is None else int(first)
