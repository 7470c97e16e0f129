"""Values in JSON: what goes out comes back in as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.desk.wire import collapse, expand, expand_schema, moment, nanoseconds
from llmgw.errors import BadRequest

money = st.none() | st.integers(-(10**18), 10**18)
moments = st.none() | st.integers(0, 4 * 10**15).map(lambda micro: micro * 1000)
records = st.fixed_dictionaries(
    {"name": st.text(), "cost_nanousd": money, "ended_at": moments},
    optional={"inner": st.fixed_dictionaries({"held_nanousd": money, "at": st.integers()})},
)


@given(records, st.lists(records, max_size=3))
def test_out_and_in_again(record: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Whatever is expanded collapses to itself, also inside lists and objects."""
    whole = record | {"rows": rows}
    assert collapse(expand(whole)) == whole


def test_either_amount_will_do() -> None:
    """Dollars are read as nano-dollars; both at once must agree."""
    assert collapse({"hard_usd": "0.50"}) == {"hard_nanousd": 500_000_000}
    assert collapse({"hard_usd": 2}) == {"hard_nanousd": 2_000_000_000}
    assert collapse({"hard_usd": "1", "hard_nanousd": 10**9}) == {"hard_nanousd": 10**9}
    with pytest.raises(BadRequest) as refused:
        collapse({"hard_usd": "1", "hard_nanousd": 5})
    assert refused.value.param == "hard_usd"


@pytest.mark.parametrize(
    "given",
    [
        {"hard_usd": "much"},
        {"hard_usd": "1e-10"},
        {"hard_usd": True},
        {"hard_usd": [1]},
        {"ends_at": "soon"},
        {"ends_at": "2026-11-21T08:00:00"},
    ],
)
def test_what_is_no_value(given: dict[str, Any]) -> None:
    """No amount, and no moment without its offset, is guessed."""
    with pytest.raises(BadRequest):
        collapse(given)


def test_moments_are_exact_to_the_microsecond() -> None:
    """A moment goes to a datetime and back."""
    at = 1_795_234_567_890_123_000
    assert nanoseconds(moment(at) or datetime.now(UTC)) == at


def test_a_schema_describes_what_goes_out() -> None:
    """The schema has dollars beside nano-dollars, required with them, and moments as texts."""
    inside = {
        "properties": {"cost_nanousd": {"type": "integer"}, "ended_at": {"type": "integer"}},
        "required": ["cost_nanousd"],
    }
    outside = expand_schema(inside)
    assert outside["properties"]["cost_usd"]["type"] == "string"
    assert outside["properties"]["ended_at"] == {"type": "string", "format": "date-time"}
    assert outside["required"] == ["cost_nanousd", "cost_usd"]
