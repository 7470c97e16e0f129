"""Nobody is refused wrongly: 100,000 requests at nine tenths of every limit and budget, in simulated time and for real.

What a limit or a budget admits is what the guides say: a bucket takes its whole amount at once and runs dry at a steady
rate, and what calls under way may yet use counts as used until they end.
"""

from __future__ import annotations

import heapq
import json
import random
import subprocess
import sys
from collections import deque
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from support.budgets import Budgeted, budget
from support.gateway import upstream

from llmgw.domain.limit import Limit, Measure
from llmgw.domain.route import Tier
from llmgw.domain.scope import parse_scope
from llmgw.rules.buckets import Bucket, Lease, Meters, Slots, admit
from llmgw.rules.buckets import Refusal as Limited
from llmgw.rules.reservations import Held, Refusal, Reservations, Standing, Subject
from llmgw.storage.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REQUESTS = 100_000
SECOND = 10**9
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
START = 1_795_219_200 * SECOND
"""A midnight in UTC."""
WAIT = 2 * SECOND
SCOPES = ("all", "tenant:acme", "user:ada", "key:ci", "tag:batch")
PROMPT, USED, MOST = 500, 800, 4_596
"""Tokens of a call's prompt, of all of it, and the most it may come to."""
COST, HELD = 500_000, 4_000_000
WHO = Subject("acme", "ada", "ci", "batch", Tier.CHEAP, "openai", "gpt-4o-mini")
PER_MINUTE = 540


def poisson(chance: random.Random) -> Iterator[int]:
    """Moments at which calls come, one by one, 540 a minute in the mean."""
    now = START
    while True:
        now += round(chance.expovariate(PER_MINUTE / MINUTE))
        yield now


def bursts(chance: random.Random) -> Iterator[int]:
    """Ninety calls at one moment, every ten seconds: together they foresee nine tenths of the tokens of a minute."""
    now = START
    while True:
        yield from [now] * 90
        now += 90 * MINUTE // PER_MINUTE


class World:
    """All limits and budgets around one caller, in time that only this test moves."""

    def __init__(self) -> None:
        per_day = round(REQUESTS / 0.9)
        amounts = {
            Measure.REQUESTS_PER_MINUTE: PER_MINUTE * 10 // 9,
            Measure.REQUESTS_PER_DAY: per_day,
            Measure.TOKENS_PER_MINUTE: PER_MINUTE * USED * 10 // 9,
            Measure.TOKENS_PER_DAY: per_day * USED,
            Measure.CONCURRENCY: 100,
        }
        limits = [
            Limit(scope=parse_scope(scope), measure=measure, amount=amount)
            for scope in SCOPES
            for measure, amount in amounts.items()
        ]
        buckets = [Bucket(each, START) for each in limits if each.measure is not Measure.CONCURRENCY]
        self.meters = Meters(
            tuple(each for each in buckets if each.limit.measure.startswith("r")),
            tuple(each for each in buckets if each.limit.measure.startswith("t")),
            tuple(Slots(each) for each in limits if each.measure is Measure.CONCURRENCY),
        )
        self.reservations = Reservations(ZoneInfo("UTC"))
        hourly = PER_MINUTE * 60 * COST * 10 // 9
        daily = REQUESTS * COST * 10 // 9
        self.reservations.install(
            standing := [
                Standing(budget(scope, window, hard=hard))
                for scope in SCOPES
                for window, hard in (("hour", hourly), ("day", daily))
            ],
            [(each, 0) for each in standing],
            START,
        )

    def try_to_begin(self, number: int, now: int) -> tuple[Lease, Held] | Limited | Refusal:
        lease = admit(self.meters, PROMPT, MOST, now - START)
        if isinstance(lease, Limited):
            return lease
        held = self.reservations.admit(number, WHO, now, HELD, MOST)
        if isinstance(held, Refusal):
            lease.close(0, made=False)
            return held
        return lease, held

    def end(self, number: int, lease: Lease, held: Held) -> None:
        lease.close(USED)
        self.reservations.settle(held, COST, USED)
        self.reservations.written(number)


def may_wait(verdict: Any) -> bool:
    return verdict.held is not None if isinstance(verdict, Limited) else verdict.waits


@pytest.mark.parametrize("arrivals", [poisson, bursts])
def test_at_nine_tenths_of_everything_nobody_is_refused(arrivals: Any) -> None:
    """Under 25 limits and 10 budgets on five nested scopes all of 100,000 calls pass, the few that wait within 2 s."""
    chance = random.Random(7)
    world, moments = World(), arrivals(chance)
    running: list[tuple[int, int, Lease, Held]] = []
    waiting: deque[tuple[int, int]] = deque()
    waited = 0

    def begin(number: int, came: int, now: int) -> bool:
        verdict = world.try_to_begin(number, now)
        if isinstance(verdict, tuple):
            heapq.heappush(running, (now + round(chance.uniform(0.5, 3.5) * SECOND), number, *verdict))
            return True
        assert may_wait(verdict), (number, verdict)
        assert now - came <= WAIT, (number, verdict)
        return False

    for number in range(REQUESTS):
        now = next(moments)
        while running and running[0][0] <= now:
            ended, *call = heapq.heappop(running)
            world.end(*call)
            while waiting and begin(*waiting[0], ended):
                waiting.popleft()
        assert not waiting or now - waiting[0][1] <= WAIT
        if not begin(number, now, now):
            waiting.append((number, now))
            waited += 1
    assert waited < REQUESTS // 100


CLIENT = """
import asyncio, json, sys, time
host, port, token, callers, calls = "127.0.0.1", *sys.argv[1:]
body = json.dumps({"model": "echo", "max_tokens": 40, "messages": [{"role": "user", "content": "hi"}]}).encode()
call = (f"POST /v1/chat/completions HTTP/1.1\\r\\nhost: x\\r\\nauthorization: Bearer {token}\\r\\n"
        f"content-type: application/json\\r\\ncontent-length: {len(body)}\\r\\n\\r\\n").encode() + body
found = {}
async def caller(count):
    reader, writer = await asyncio.open_connection(host, int(port))
    for _ in range(count):
        writer.write(call)
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\\r\\n")[0])
        said = await reader.readexactly(length)
        status = head[9:12].decode()
        found[status] = found.get(status, 0) + 1
        if status != "200" and found[status] == 1:
            print(said.decode(), file=sys.stderr)
    writer.close()
async def main():
    await asyncio.gather(*(caller(int(calls) // int(callers)) for _ in range(int(callers))))
asyncio.run(main())
print(json.dumps(found))
"""
CALLERS = 50


def run_real(home: Path, requests: int) -> dict[str, int]:
    """Calls over fifty connections to a gateway with 25 limits and 10 budgets; how often each status came."""
    prices = {"echo/echo": {"input": 0.15, "output": 0.6}}
    with Budgeted(home, [upstream("echo", "echo:", models=("echo",))], prices=prices) as gateway:
        one = [sys.executable, "-c", CLIENT, str(gateway.port), gateway.token, "1", "1"]
        assert json.loads(subprocess.run(one, check=True, capture_output=True).stdout) == {"200": 1}
        [(cost, _)] = [(row["cost"], row["id"]) for row in gateway.requests()]
        tokens = gateway.requests()[0]["input_tokens"] + gateway.requests()[0]["output_tokens"]
        amounts = {
            Measure.REQUESTS_PER_MINUTE: requests,
            Measure.REQUESTS_PER_DAY: requests,
            Measure.TOKENS_PER_MINUTE: requests * tokens,
            Measure.TOKENS_PER_DAY: requests * tokens,
            Measure.CONCURRENCY: CALLERS,
        }
        with gateway.control as control:
            Limits(control).set(
                *(
                    Limit(scope=parse_scope(scope), measure=measure, amount=amount * 10 // 9)
                    for scope in SCOPES
                    for measure, amount in amounts.items()
                )
            )
        hard = (requests + 1) * cost * 10 // 9
        gateway.set(*(budget(scope, window, hard=hard) for scope in SCOPES for window in ("hour", "day")))
        many = [*one[:-2], str(CALLERS), str(requests)]
        ran = subprocess.run(many, check=True, capture_output=True, text=True)
        assert ran.stderr == ""
        accounts = gateway.accounts()
        assert {held for _, held in accounts.values()} == {0}
        assert {spent for name, (spent, _) in accounts.items() if name.endswith("/day")} == {
            (requests + 1) * cost
        }
        assert gateway.holes() == []
        return dict(json.loads(ran.stdout))


def test_a_real_gateway_refuses_nobody(tmp_path: Path) -> None:
    """Fifty callers at once use nine tenths of 25 limits and 10 budgets, none of them is ever refused."""
    assert run_real(tmp_path, 4_000) == {"200": 4_000}


@pytest.mark.slow
def test_a_real_gateway_refuses_none_of_100_000(tmp_path: Path) -> None:
    """The same with 100,000 requests."""
    assert run_real(tmp_path, REQUESTS) == {"200": REQUESTS}
