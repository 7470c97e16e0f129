"""Counters that only rise, of bounded kinds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support import beats

from llmgw.domain.ledger import RequestRow
from llmgw.rules.counters import LATENCY, MOST_MODELS, OTHER, WINDOW, Counters, Histogram

ROWS = beats.rows(beats.AT - 3600 * 10**9, beats.AT, 2 * 10**9)
SECOND = 10**9


def counted(rows: list[RequestRow]) -> Counters:
    counters = Counters(beats.AT)
    counters.take(rows, beats.AT)
    return counters


def test_sums_are_those_of_the_rows() -> None:
    """However rows come in, and by whatever they are grouped, nothing is lost and nothing counts twice."""
    counters = counted(ROWS[:100])
    counters.take(ROWS[100:], beats.AT + SECOND)
    total = counters.total()
    assert total.requests == len(ROWS)
    assert total.cost == sum(row.cost or 0 for row in ROWS)
    assert total.errors == sum(row.error != "" for row in ROWS)
    for field in ("tier", "cache", "model", "error", "status"):
        assert sum(each.requests for each in counters.by(field).values()) == len(ROWS)
    assert sum(each.up_to()[-1] for each in counters.latency.values()) == len(ROWS)
    assert sum(counters.blocked.values()) == sum(bool(row.error) and not row.attempts for row in ROWS)
    hits = sum(row.cache in {"exact", "semantic", "joined"} for row in ROWS)
    misses = sum(row.cache == "miss" for row in ROWS)
    assert counters.hit_rate() == hits / (hits + misses)


def test_the_last_minutes_pass() -> None:
    """What is older than the window counts no longer in it, and still in the totals."""
    counters = counted(ROWS)
    assert counters.lately(beats.AT).requests == len(ROWS)
    later = beats.AT + (WINDOW + 1) * 5 * SECOND
    counters.take(ROWS[:7], later)
    lately = counters.lately(later)
    assert (lately.requests, lately.cost) == (7, sum(row.cost or 0 for row in ROWS[:7]))
    latencies = sorted(row.latency_us for row in ROWS[:7])
    assert lately.p50_us is not None
    assert latencies[3] <= lately.p50_us <= latencies[3] * 1.26
    assert lately.mean_us == sum(latencies) // 7
    assert counters.total().requests == len(ROWS) + 7
    assert counters.lately(later + 400 * SECOND).p50_us is None


def test_invented_models_stand_together() -> None:
    """A model that was never answered has no name, nor has one too many; the configured ones always have."""
    known = Counters(0, {("openai", "mine")})

    def row(number: int, model: str, error: str = "") -> RequestRow:
        return RequestRow(
            id=number, started_at=0, tenant="", user="", key_id=1, key_name="k", tags="", surface="chat",
            stream=False, model_asked=model, provider="openai", model=model, status=404 if error else 200,
            error=error, attempts=1, latency_us=5, cost=0,
        )  # fmt: skip

    known.take([row(1, "mine", "upstream_refused"), row(2, "made-up", "upstream_refused")], 0)
    assert {kind.model for kind in known.sums} == {"mine", OTHER}
    known.take([row(number, f"m{number}") for number in range(10, 3 * MOST_MODELS)], 0)
    assert len({kind.model for kind in known.sums}) == MOST_MODELS + 2


@given(st.lists(st.integers(0, 10**9)))
def test_histograms(values: list[int]) -> None:
    """Each class counts what is up to its bound and above the one before; two add up."""
    histogram = Histogram(LATENCY)
    histogram.take(values)
    assert histogram.up_to() == [sum(value <= bound for value in values) for bound in LATENCY] + [len(values)]
    assert histogram.sum == sum(values)
    assert (histogram + histogram).up_to()[-1] == 2 * len(values)
