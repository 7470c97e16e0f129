"""Figures of the screens equal what the same requests come to when they are counted one by one."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.beats import AT, canned, history, rows, whole

from llmgw.domain.ledger import CacheVerdict
from llmgw.domain.pulse import BudgetNow, Line, Standing
from llmgw.rules.picture import HOUR, MINUTE, Picture
from llmgw.tui.figures import cache, keys, providers, routing, spend
from llmgw.tui.figures.terms import scoped, term
from llmgw.tui.figures.times import ends
from llmgw.tui.filter import read_filter
from llmgw.tui.widgets.drawing import Paper
from llmgw.tui.widgets.stacks import Part, stacks

SINCE = AT - AT % MINUTE - HOUR + MINUTE
"""Where a window of an hour begins: with the step that holds it."""
GONE = rows(SINCE, AT, 2 * 10**9)


@pytest.fixture
def picture() -> Picture:
    found = Picture()
    found.take(history(GONE, AT))
    return found


def test_tiers_are_the_requests_that_reached_one(picture: Picture):
    """D-26: the tier split counts each request that a model answered once, and its parts are of those."""
    counted = Counter(row.tier for row in GONE if row.tier)
    split = routing.tiers(picture.in_window())
    assert [share.name for share in split] == ["local", "cheap", "premium"]
    assert {share.name: share.counts.requests for share in split} == counted
    assert sum(share.part for share in split) == pytest.approx(1)


def test_the_series_of_tiers_adds_up_to_their_split(picture: Picture):
    """Steps of the window hold each request once."""
    series = routing.tier_series(picture)
    sums = [sum(step[place] for _, step in series) for place in range(3)]
    assert len(series) == 60
    assert sums == [share.counts.requests for share in routing.tiers(picture.in_window())]


def test_rules_are_counted_and_the_rest_comes_last(picture: Picture):
    """A request is its rule's; those that none decided stand below."""
    counted = Counter(row.decision.rule if row.decision else "" for row in GONE if row.tier)
    found = routing.rules(picture.in_window())
    assert {share.name: share.counts.requests for share in found} == counted
    assert found[-1].name == ""


def test_the_price_of_premium_alone_is_that_of_the_ledger(picture: Picture):
    """What-if is the sum of `premium_cost`; what tiers and caches saved is what was not paid of it."""
    price = routing.what_if(picture.in_window())
    assert price.real == sum(row.cost or 0 for row in GONE)
    assert price.premium == sum(row.premium_cost or 0 for row in GONE)
    assert price.cache == sum(row.saved for row in GONE)
    both = [row for row in GONE if row.cost is not None and row.premium_cost is not None]
    assert price.tiers + price.cache == sum(row.premium_cost - row.cost for row in both)


def test_a_decision_says_why(picture: Picture):
    """Reasons are those that were decided by; without one the caller had named the model."""
    newest = routing.decided(picture, 10)
    assert [seen.started_at for seen in newest] == [row.started_at for row in GONE if row.tier][:-11:-1]
    for seen in newest:
        row = next(each for each in GONE if each.started_at == seen.started_at)
        assert routing.why(seen) == (row.decision.reason if row.decision else "its caller named it")


def test_answers_are_parted_by_where_they_came_from(picture: Picture):
    """Parts are of what the caches were asked for; the provider's own cache is told of the input sent to it."""
    found = cache.sources(picture.in_window())
    counted = Counter(row.cache for row in GONE)
    assert {share.name: share.counts.requests for share in found.parts} == {
        name: counted[name] for name in CacheVerdict if name is not CacheVerdict.BYPASS
    }
    assert found.bypassed == counted[CacheVerdict.BYPASS]
    sent = [row for row in GONE if row.cache in {CacheVerdict.MISS, CacheVerdict.BYPASS}]
    read, cached = (
        sum(getattr(row.usage, name) for row in sent) for name in ("input_tokens", "cache_read_tokens")
    )
    assert found.provider_cached == pytest.approx(cached / read)


def test_a_step_without_requests_has_no_hit_rate():
    """Nothing asked is not nothing found."""
    empty = Picture()
    empty.take(history([], AT))
    assert set(cache.hit_series(empty)) == {None}
    assert cache.sources([]).provider_cached is None


def test_classes_of_similarity_pass_from_the_threshold_on():
    """The threshold parts what is served from what is not."""
    found = cache.similarities(whole().cache)
    assert [each.floor for each in found if each.passes] == [0.94, 0.96, 0.98, 1.0]
    assert sum(each.lookups for each in found) == sum(count for _, count in whole().cache.similarities)


def _budget(scope: str, parent: str | None, window: str = "day") -> BudgetNow:
    return BudgetNow(
        scope=scope, window=window, unit="money", spent=0, held=0, hard=10, left=10, used=0.0, burn=0,
        ends_at=None, runs_out_at=None, parent=parent,
    )  # fmt: skip


def test_budgets_stand_under_what_caps_them():
    """D-26: nested as wireframed: all, its tenant, the tenant's key, then the next under all."""
    found = [(depth, budget.scope) for depth, budget in spend.nested(whole().budgets)]
    assert found == [(0, "all"), (1, "tenant:ml"), (2, "key:ci"), (1, "key:bot")]


SCOPES = st.sampled_from(["all", "tenant:a", "tenant:b", "key:x", "key:y", "tag:t"])


@given(
    st.lists(st.tuples(SCOPES, st.sampled_from(["hour", "day", "week", "month", "total"])), unique=True),
    st.data(),
)
def test_every_budget_is_told_once(found: list[tuple[str, str]], data: st.DataObject):
    """However budgets name their parents, none is lost and none told twice, unless they name each other in a ring."""
    order = ["all", "tenant:a", "tenant:b", "key:x", "key:y", "tag:t"]
    parents = {scope: data.draw(st.sampled_from([None, *order[: order.index(scope)]])) for scope in order}
    budgets = [_budget(scope, parents[scope], window) for scope, window in found]
    told = spend.nested(budgets)
    assert sorted((each.scope, each.window) for _, each in told) == sorted(found)
    depths = {budget.scope: depth for depth, budget in told}
    for depth, budget in told:
        assert depth == (depths[budget.parent] + 1 if budget.parent in depths else 0)


@pytest.mark.parametrize("by", ["key", "model", "provider", "tier", "tenant"])
def test_sums_are_those_of_the_requests(picture: Picture, by: str):
    """Whatever spending is added up by, parts make the whole."""
    found = spend.sums(picture, by)
    assert sum(each.counts.cost for each in found) == sum(row.cost or 0 for row in GONE)
    assert sum(each.part for each in found) == pytest.approx(1)
    assert [each.counts.cost for each in found] == sorted((each.counts.cost for each in found), reverse=True)


def test_days_are_local_and_the_newest_is_first():
    """A week by day: every request in its day, days without any left out."""
    found = Picture()
    past = rows(AT - 72 * HOUR, AT, 600 * 10**9)
    found.take(history(past, AT, "7d"))
    days = spend.sums(found, "day")
    assert [each.name for each in days] == ["2026-11-21", "2026-11-20", "2026-11-19", "2026-11-18"]
    assert sum(each.counts.requests for each in days) == len(past)


def test_csv_holds_exact_amounts(picture: Picture):
    """An export is whole nano-dollars and their exact dollars, a line each below the names."""
    head, *lines = spend.sums_csv(spend.sums(picture, "key"), "key").splitlines()
    assert head == "key,requests,errors,input_tokens,output_tokens,cost_nanousd,cost_usd"
    assert sum(int(each.split(",")[5]) for each in lines) == sum(row.cost or 0 for row in GONE)
    budgets = spend.budgets_csv(spend.nested(whole().budgets)).splitlines()
    assert budgets[2] == "tenant:ml,week,money,44100000000,2000000,50000000000,5898000000,400000000,"


def test_callers_are_keys_with_what_they_do():
    """Requests of a minute are a rate; a key that is gone stays as long as the month remembers it."""
    found = Picture()
    for beat in canned(seconds=30):
        found.take(beat)
    callers = {each.name: each for each in keys.callers(found)}
    said = Counter(
        line.key for pulse in found.pulses for line in pulse.lines for _ in range(line.counts.requests)
    )
    assert {name: round(each.per_minute / 2) for name, each in callers.items()} == dict(said)
    assert {name: each.today.requests for name, each in callers.items()} == {
        name: sum(line.counts.requests for line in found.today() if line.key == name) for name in callers
    }
    assert callers["ci"].budget.window == "day"
    assert keys.state(callers["ci"].key, found.now) == "expiring"
    assert keys.state(callers["ml"].key, found.now) == "paused"
    assert keys.state(None, found.now) == "gone"
    found.standing = Standing(keys=())
    assert {each.name for each in keys.callers(found)} == set(callers)


def test_providers_are_as_fast_as_their_requests_were(picture: Picture):
    """Percentiles are exact to a class of a tenth of a power of ten; failures are of the requests sent there."""
    for each in providers.upstreams(picture):
        mine = [row for row in GONE if row.provider == each.name]
        taken = sorted(row.ttft_us for row in mine if row.ttft_us is not None)
        assert each.counts.requests == len(mine)
        assert each.errors == pytest.approx(sum(row.error != "" for row in mine) / len(mine))
        assert each.ttft[0] == pytest.approx(taken[(len(taken) - 1) // 2], rel=0.3)


def test_the_least_room_is_told():
    """Of several limits the one with the smallest part left is the provider's."""
    picture = Picture()
    picture.take(history([], AT))
    least = {each.name: each.least for each in providers.upstreams(picture)}
    assert least["anthropic"].remaining == 61_000
    assert least["groq"] is None


@pytest.mark.parametrize("name", ["short", "rule 1 (key ci*, hours 22-6)", "a [b] c", "it's"])
def test_a_term_selects_what_it_names(picture: Picture, name: str):
    """Drilling into a figure shows its requests, whatever its name is made of."""
    from msgspec.structs import replace

    seen = replace(picture.seen[0], rule=name)
    assert read_filter(term("rule", name)).shows(seen)
    assert not read_filter(term("rule", name)).shows(replace(seen, rule="other"))
    assert not read_filter(term("rule", name)).shows(replace(seen, rule=name + "2"))
    assert read_filter(term("rule", "")).shows(replace(seen, rule=""))


def test_a_scope_selects_its_requests(picture: Picture):
    """A budget leads to the requests that it holds: exactly those of its key, tenant, tag, provider or model."""
    found = {
        scope: [seen for seen in picture.seen if read_filter(scoped(scope)).shows(seen)]
        for scope in ("all", "key:me", "tenant:ml", "tag:batch", "provider:groq", "model:openai/gpt-5-nano")
    }
    assert found["all"] == list(picture.seen)
    assert {seen.key for seen in found["key:me"]} == {"me"}
    assert {seen.tenant for seen in found["tenant:ml"]} == {"ml"}
    assert {seen.tags for seen in found["tag:batch"]} == {"batch,project=seed"}
    assert {seen.provider for seen in found["provider:groq"]} == {"groq"}
    assert {seen.model for seen in found["model:openai/gpt-5-nano"]} == {"gpt-5-nano"}
    assert scoped("user:ada") == ""


def test_moments_fit_the_window(picture: Picture):
    """Times of day for hours, dates for days."""
    assert ends(picture) == ("13:02", "13:22", "13:42", "14:02")
    week = Picture()
    week.take(history([], AT, "7d"))
    assert ends(week) == ("14 Nov", "16 Nov", "19 Nov", "21 Nov")


PARTS = (Part("local", "░", "."), Part("cheap", "▒", "+"), Part("premium", "█", "#"))


@given(
    st.lists(st.tuples(*[st.integers(0, 1000)] * 3), max_size=80),
    st.integers(8, 120),
    st.integers(1, 30),
    st.booleans(),
)
def test_columns_are_full_and_fit(steps: list[tuple[int, int, int]], width: int, height: int, plain: bool):
    """A column is filled to the top by what is there, nothing else is drawn, and no line is wider than its paper."""
    drawn = stacks(steps, PARTS, Paper(width, height, plain), ends=("a", "b", "c", "d") if height > 2 else ())
    assert len(drawn) == height
    assert all(each.cell_len <= width for each in drawn)
    assert not plain or all(each.plain.isascii() for each in drawn)
    if len(steps) == 1 and sum(steps[0]):
        cells = drawn[0].plain[6:]
        assert " " not in cells.rstrip()
        assert len(set(cells)) == 1


def test_a_line_of_no_kind_is_in_no_tier():
    """A request that was refused reached no tier."""
    from llmgw.domain.pulse import Counts

    lines = [Line(counts=Counts(requests=3, errors=3))]
    assert [share.part for share in routing.tiers(lines)] == [None, None, None]
