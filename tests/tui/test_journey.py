"""One request as it is told: journey, arithmetic, decision, budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace
from support.beats import AT, canned
from support.screens import check_frame, dashboard

from llmgw.desk.limits import LimitView
from llmgw.desk.requests import AttemptView, Done, ErrorCode, InFlight, Tokens
from llmgw.desk.routes import DecisionView, OutcomeView, ShadowView, Term, Why
from llmgw.domain.ledger import AttemptState, CacheVerdict
from llmgw.domain.limit import Measure
from llmgw.domain.price import Price
from llmgw.domain.route import Verdict
from llmgw.tui.journey import NAME, decision, journey, settled
from llmgw.tui.widgets.drawing import Paper

PRICE = to_builtins(Price(input=50_000_000, output=400_000_000, cache_read=5_000_000))
PAPER = Paper(100, 30, plain=True)


def tokens(input_tokens: int = 0, output_tokens: int = 0, **more: Any) -> Tokens:
    nothing = dict.fromkeys(
        (
            "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens",
            "input_audio_tokens", "output_audio_tokens", "searches",
        ), 0,
    )  # fmt: skip
    fields = nothing | {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "estimated": False,
        "complete": True,
    }
    return Tokens(**(fields | more))


FAILED = AttemptView(
    attempt=1, state=AttemptState.RELEASED, target="groq/llama-4-8b", tier="cheap", started_at=AT + 3 * 10**6,
    ended_at=AT + 405 * 10**6, status=503, error=ErrorCode("overloaded"), finish_reason=None, usage=tokens(),
    held_nanousd=900_000, cost_nanousd=0, premium_cost_nanousd=0, price=None, ttft_us=None, latency_us=402_000,
    upstream_id=None,
)  # fmt: skip
ANSWERED = AttemptView(
    attempt=2, state=AttemptState.SETTLED, target="openai/gpt-5-nano", tier="cheap", started_at=AT + 406 * 10**6,
    ended_at=AT + 1204 * 10**6, status=200, error=None, finish_reason="stop", usage=tokens(640, 91),
    held_nanousd=900_000, cost_nanousd=68_400, premium_cost_nanousd=2_000_000, price=PRICE, ttft_us=186_000,
    latency_us=798_000, upstream_id=None,
)  # fmt: skip
DONE = Done(
    id="req_06bq3k5xj0000", started_at=AT, key="ci", tags=("batch",), surface="chat", stream=True,
    model_asked="gateway-auto", target="openai/gpt-5-nano", provider="openai", model="gpt-5-nano", tier="cheap",
    cache=CacheVerdict.MISS, status=200, error=None, finish_reason="stop", attempt_count=2, usage=tokens(640, 91),
    cost_nanousd=68_400, premium_cost_nanousd=2_000_000, saved_nanousd=0, ttft_us=588_000, latency_us=1_204_000,
    attempts=(FAILED, ANSWERED),
)  # fmt: skip
DECISION = DecisionView(
    tier="cheap", target="openai/gpt-5-nano", reason='rule 2 "short"', rule="short", sticky=False, explored=False,
    classifier=None, gain=0.04, premium_quality=0.93, quality=0.5,
    terms=(Term("length", 0.01), Term("code in it", 0.05), Term("tools", -0.02)), trimmed=120, verdicts=(),
)  # fmt: skip
LIMITS = (LimitView(scope="key:ci", measure=Measure.REQUESTS_PER_MINUTE, amount=60, origin="limit set"),)
WHY = Why(request=DONE, decision=DECISION, outcome=None, shadow=None, limits=LIMITS, budgets=())


def told(why: Why) -> dict[str, list[str]]:
    """What is said of each step."""
    found: dict[str, list[str]] = {}
    for line in journey(why, AT + 5 * 10**9, PAPER):
        found.setdefault(line.plain[:NAME].strip(), []).append(line.plain[NAME:].rstrip())
    return found


def bill(attempt: AttemptView) -> list[str]:
    return [words.replace("\N{MULTIPLICATION SIGN}", "*") for words in settled(attempt)]


def test_the_screen_of_a_request() -> None:
    """Facts, journey, decision and limits stand on one screen, asked for when a row is opened."""

    class There:
        def ask(self, _: Any) -> Why:
            return WHY

    @contextmanager
    def reach() -> Iterator[There]:
        yield There()

    async def go() -> None:
        async with dashboard(canned(seconds=3), reach=reach) as (app, pilot):
            app.show_request(DONE.id)
            while getattr(app.screen, "why", None) is None:
                await pilot.pause(0.02)
            await pilot.pause(0.1)
            check_frame(app, "request-100x30")
            await pilot.resize_terminal(80, 24)
            await pilot.pause(0.1)
            check_frame(app, "request-80x24")

    asyncio.run(go())


def test_each_attempt_is_a_bar_within_the_whole() -> None:
    """The first attempt's bar begins at the left and is marked as failed, the second one's begins where that ends."""
    steps = told(WHY)

    assert steps["groq/llama-4-8b"] == ["   402 ms ########                 503 overloaded"]
    assert steps["openai/gpt-5-nano"] == [
        "   798 ms         ################ 200, first token 186 ms, 149 tok/s"
    ]
    assert steps["gates"] == ["4 ms between and around them"]
    assert steps["throttle"] == ["60 rpm"]


def test_the_bill_is_arithmetic() -> None:
    """Cost is the sum of tokens times their rate, cached ones at theirs; what was held beyond it is released."""
    assert bill(ANSWERED) == ["$0.0000684 = 640 * $0.05/M + 91 * $0.40/M, released $0.0008316"]
    cached = replace(ANSWERED, usage=tokens(640, 91, cache_read_tokens=600), cost_nanousd=41_400)
    assert bill(cached)[0].startswith(
        "$0.0000414 = 40 * $0.05/M + 600 cache read * $0.005000/M + 91 * $0.40/M"
    )
    estimated = replace(ANSWERED, usage=tokens(640, 91, estimated=True))
    assert settled(estimated)[0].endswith("(tokens estimated: the provider told none)")
    assert settled(replace(ANSWERED, cost_nanousd=None)) == ["no price is known, so the cost is not"]


@pytest.mark.parametrize(
    ("cache", "words"),
    [
        ("exact", "exact: the same was answered before, $0.0123 saved"),
        ("bypass", "not asked"),
        ("miss", "miss"),
    ],
)
def test_what_the_caches_said(cache: str, words: str) -> None:
    """A hit says what it saved, one that was not asked says that."""
    done = replace(DONE, cache=CacheVerdict(cache), saved_nanousd=12_300_000 if cache == "exact" else 0)

    assert told(replace(WHY, request=done))["recall"] == [words.replace("$0.0123", "$0.01")]


def test_a_request_under_way_grows() -> None:
    """While it runs an attempt has no end: its bar goes to now, and nothing is settled."""
    running = replace(ANSWERED, attempt=1, started_at=AT, ended_at=None, latency_us=None, ttft_us=None, status=None,
                      state=AttemptState.DISPATCHED, cost_nanousd=None)  # fmt: skip
    steps = told(
        Why(
            request=InFlight(id=DONE.id, attempts=(running,)),
            decision=None,
            outcome=None,
            shadow=None,
            limits=(),
            budgets=(),
        )
    )

    assert steps["openai/gpt-5-nano"][0].endswith("under way")
    assert "5,000 ms" in steps["openai/gpt-5-nano"][0]
    assert "settle" not in steps


def test_the_decision_is_that_of_why() -> None:
    """Terms with their points, their sum, and how sure it was."""
    lines = [line.plain.rstrip() for line in decision(WHY, Paper(60, 20, plain=True))]

    assert lines[:3] == [
        'rule 2 "short"',
        "tier cheap  openai/gpt-5-nano",
        "120 tokens of older turns were left behind",
    ]
    assert lines[4].startswith("code in it   +5.0 ####")
    assert "+4.0 points that a premium model is better by" in lines
    assert " ".join(lines[-2:]) == "a premium model answers well with 93%; the dial stands at 0.5"


def test_what_became_of_an_answer() -> None:
    """What a cascade made of answers, what was said of one and what a local model would have done: as `why` tells them."""
    paper = Paper(100, 20, plain=True)
    failed = Verdict("ollama/tiny", passed=False, seen=("no JSON: it stops early",))
    outcome = OutcomeView(
        score=0.0, source="feedback", weight=1.0, comment="wrong file", said_at=AT, learnt=True
    )
    shadow = ShadowView(target="ollama/llama", score=1.0, how="the same words", asked_at=AT)
    ruled = replace(DECISION, gain=None, premium_quality=None, terms=(), verdicts=(failed,))
    told = [
        line.plain for line in decision(replace(WHY, decision=ruled, outcome=outcome, shadow=shadow), paper)
    ]
    assert "ollama/tiny was not good enough: no JSON: it stops early" in told
    assert told[-2:] == ["outcome 0 wrong file", "shadow ollama/llama would have served as well"]
    named = decision(replace(WHY, decision=None, outcome=outcome), paper)
    assert named[-1].plain == "outcome 0 wrong file"
