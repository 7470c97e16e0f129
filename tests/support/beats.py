"""Beats as a gateway would send them, the same in every run: several keys, tenants, models and budgets, a kill switch,
notices, near misses, calls under way, errors, cache hits, unknown prices.

    beats = canned(seconds=30)            # a History and thirty Pulses
    picture = Picture(); [picture.take(beat) for beat in beats]
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from llmgw.domain.ledger import CacheVerdict, RequestRow, first_id, show_id
from llmgw.domain.pulse import (
    Beat,
    Bucket,
    BudgetNow,
    CacheNow,
    History,
    KeyNow,
    KillNow,
    Near,
    Notice,
    Process,
    Pulse,
    Room,
    Standing,
    Under,
    UpstreamNow,
)
from llmgw.domain.route import DOWNGRADED, Decision
from llmgw.domain.usage import Usage
from llmgw.rules.picture import MINUTE, WINDOWS
from llmgw.rules.tallying import lines_of, seen_of, spreads_of
from llmgw.rules.windows import HOUR, Window, bucket, lately

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmgw.domain.clock import Nanoseconds

AT = 1_795_269_751 * 10**9
"""2026-11-21T14:02:31Z, the moment of ux.md's drawings."""
DAY = 24 * HOUR
ZONE = "UTC"


class Caller(NamedTuple):
    key: str
    tenant: str
    tags: str


class Model(NamedTuple):
    provider: str
    model: str
    tier: str
    price: int | None
    """Nano-dollars a token of output."""
    ms: int


CALLERS = (
    Caller("me", "default", ""),
    Caller("bot", "default", "batch,project=seed"),
    Caller("ci", "ml", "build"),
    Caller("ml", "ml", ""),
)
MODELS = (
    Model("groq", "llama-4-8b", "cheap", 90, 310),
    Model("openai", "gpt-5-nano", "cheap", 400, 588),
    Model("anthropic", "claude-sonnet-5", "premium", 15_000, 1900),
    Model("ollama", "qwen3:8b", "local", 0, 840),
    Model("openrouter", "unpriced-model", "premium", None, 1400),
)
PREMIUM = 15_000


def row(number: int, at: Nanoseconds, random: Random) -> RequestRow:
    """One request that began at a moment."""
    caller = random.choices(CALLERS, (8, 6, 4, 1))[0]
    model = random.choices(MODELS, (5, 6, 2, 4, 1))[0]
    chance = random.random()
    fields: dict[str, Any] = {
        "id": first_id(at) + number % 1000,
        "started_at": at,
        "tenant": caller.tenant,
        "user": "",
        "key_id": CALLERS.index(caller) + 1,
        "key_name": caller.key,
        "tags": caller.tags,
        "surface": random.choice(("chat", "messages")),
        "stream": random.random() < 0.6,
        "model_asked": random.choice(("auto", model.model)),
    }
    if chance < 0.02:
        return RequestRow(
            **fields, status=402, error="budget_exceeded", cost=0, premium_cost=0, latency_us=210
        )
    usage = Usage(
        input_tokens=random.randint(40, 4000),
        output_tokens=random.randint(5, 900),
        estimated=random.random() < 0.05,
    )
    if random.random() < 0.2:
        usage = replace(usage, cache_read_tokens=usage.input_tokens // 2)
    cost = None if model.price is None else usage.output_tokens * model.price
    premium = usage.output_tokens * PREMIUM
    reached: dict[str, Any] = {
        "provider": model.provider,
        "model": model.model,
        "tier": model.tier,
        "premium_cost": premium,
    }
    if chance < 0.45:
        verdict = random.choices((CacheVerdict.EXACT, CacheVerdict.SEMANTIC, CacheVerdict.JOINED), (8, 2, 1))[
            0
        ]
        return RequestRow(
            **fields,
            cache=verdict,
            status=200,
            cost=0,
            premium_cost=0,
            saved=cost or 0,
            latency_us=900,
            ttft_us=700,
        )
    took = random.randint(model.ms * 500, model.ms * 2500)
    if chance < 0.48:
        return RequestRow(
            **fields,
            **reached,
            cache=CacheVerdict.MISS,
            status=502,
            error="upstream_error",
            attempts=2,
            cost=0,
            latency_us=took,
        )
    decision = None
    if fields["model_asked"] == "auto":
        rule = random.choice(("", "", "short"))
        reason = f"{DOWNGRADED}budget key:{caller.key}" if random.random() < 0.05 else "score"
        decision = Decision(
            tier=model.tier, target=f"{model.provider}/{model.model}", reason=reason, rule=rule
        )
    return RequestRow(
        **fields,
        **reached,
        cache=CacheVerdict.MISS,
        status=200,
        attempts=2 if random.random() < 0.05 else 1,
        usage=usage,
        cost=cost,
        ttft_us=took // 4,
        latency_us=took,
        finish_reason="stop",
        decision=decision,
    )


def rows(since: Nanoseconds, until: Nanoseconds, gap: Nanoseconds, seed: int = 7) -> list[RequestRow]:
    """Requests from a moment to before another, one in each ``gap`` of nanoseconds, more by day than by night."""
    random = Random(seed)
    found, at, number = [], since, 0
    while at < until:
        hour = at % DAY // HOUR
        if random.random() < (1.0 if 8 <= hour < 20 else 0.3):
            found.append(row(number, at + random.randrange(max(1, gap // 2)), random))
        at += gap
        number += 1
    return found


def history(
    found: Iterable[RequestRow],
    at: Nanoseconds,
    window: str = "1h",
    standing: Standing | None = None,
    zone: str = ZONE,
) -> History:
    """The history that rows amount to at a moment."""
    found = list(found)
    length, step = WINDOWS[window]
    since = at - at % step - length + step
    day, month = (bucket(each, at, ZoneInfo(zone)).start_ns for each in (Window.DAY, Window.MONTH))
    steps: dict[Nanoseconds, list[RequestRow]] = {}
    minutes: dict[Nanoseconds, int] = {}
    for each in found:
        if each.started_at >= since:
            steps.setdefault(each.started_at - each.started_at % step, []).append(each)
        minute = each.started_at - each.started_at % MINUTE
        if minute >= lately(at):
            minutes[minute] = minutes.get(minute, 0) + (each.cost or 0)
    return History(
        at=at,
        seq=len(found),
        window=window,
        since=since,
        step=step,
        buckets=tuple(Bucket(at=each, lines=lines_of(part, 10**30)) for each, part in sorted(steps.items())),
        today=lines_of([each for each in found if each.started_at >= day], 10**30),
        month=lines_of([each for each in found if each.started_at >= month], 10**30),
        last_month=164_200_000_000,
        hour=tuple(sorted(minutes.items())),
        spreads=spreads_of(each for each in found if each.started_at - each.started_at % MINUTE > at - HOUR),
        seen=tuple(map(seen_of, found[-100:])),
        standing=standing or whole(at, zone),
    )


def whole(at: Nanoseconds = AT, zone: str = ZONE) -> Standing:
    """How things stand, every part of it."""
    return Standing(
        process=Process(
            version="2026.11.0",
            url="http://127.0.0.1:8000",
            pid=4242,
            boot="9f2c51d07ab1e3c4",
            started_at=at - 3 * DAY - 4 * HOUR,
            timezone=zone,
            rss_bytes=96 << 20,
        ),
        budgets=(
            _budget("all", "month", 118_420_000_000, 200_000_000_000, 300_000_000, at + 9 * DAY),
            _budget(
                "tenant:ml",
                "week",
                44_100_000_000,
                50_000_000_000,
                400_000_000,
                at + DAY,
                parent="all",
                runs_out_at=at + 14 * HOUR,
            ),
            _budget(
                "key:ci",
                "day",
                1_020_000_000,
                5_000_000_000,
                70_000_000,
                at + 10 * HOUR,
                parent="tenant:ml",
                tightest="tenant:ml",
            ),
            _budget("key:bot", "total", 1_000_000_000, 10_000_000_000, 0, None, parent="all"),
        ),
        keys=tuple(
            KeyNow(
                name=caller.key,
                shown=f"sk-llmgw-{caller.key}…",
                tenant=caller.tenant,
                user="",
                plan="pro" if caller.key == "me" else "",
                models=("*",),
                tags=tuple(each for each in caller.tags.split(",") if each),
                admin=caller.key == "me",
                created_at=at - 40 * DAY,
                expires_at=at + 3 * DAY if caller.key == "ci" else None,
                last_used_at=at - 20 * 10**9,
                limits=("60 requests/minute",) if caller.key == "bot" else (),
                paused=caller.key == "ml",
            )
            for caller in CALLERS
        ),
        upstreams=(
            _upstream(
                "anthropic",
                "anthropic",
                "premium",
                rooms=(Room(model="claude-sonnet-5", kind="tokens", remaining=61_000, limit=400_000),),
            ),
            _upstream("groq", "openai_chat", "cheap", state="open", open=("groq/llama-4-8b",)),
            _upstream("openai", "openai_chat", "cheap"),
            _upstream("openrouter", "openai_chat", "premium"),
            _upstream("ollama", "ollama", "local", in_flight=1, waiting=2, slots=1, credential=""),
        ),
        kills=(KillNow(scope="tag:batch", mode="throttle", reason="nightly import", by="ops", at=at - HOUR),),
        notices=(
            Notice(
                at=at - 90 * 10**9,
                kind="budget",
                message="budget tenant:ml: $44.10 of $50.00 spent this week; the 88 % mark is at $44.00",
                command="llmgw budget set tenant:ml 75/week",
            ),
            Notice(at=at - 15 * MINUTE, kind="breaker", message="groq/llama-4-8b works again"),
        ),
        cache=CacheNow(
            entries=8204,
            bytes=41 << 20,
            cap_bytes=200 << 20,
            oldest_at=at - 6 * DAY,
            evicted=112,
            expired=340,
            audits=412,
            state="serves: within the error allowed",
            threshold=0.94,
            max_error=0.01,
            similarities=(
                (0.80, 120),
                (0.85, 190),
                (0.90, 310),
                (0.94, 420),
                (0.96, 510),
                (0.98, 640),
                (1.0, 830),
            ),
            near=(
                Near(text="summarise this ticket", count=412, similarity=0.937),
                Near(text="translate to french", count=260, similarity=0.931),
            ),
            top=(Near(text="what is our refund policy?", count=930, saved=2_100_000_000),),
        ),
    )


def _budget(
    scope: str, window: str, spent: int, hard: int, burn: int, ends_at: int | None, **changes: Any
) -> BudgetNow:
    fields: dict[str, Any] = {
        "scope": scope,
        "window": window,
        "unit": "money",
        "spent": spent,
        "held": 2_000_000,
        "hard": hard,
        "left": hard - spent - 2_000_000,
        "used": (spent + 2_000_000) / hard,
        "burn": burn,
        "ends_at": ends_at,
        "runs_out_at": None,
        "warn": (80,),
    }
    return BudgetNow(**(fields | changes))


def _upstream(name: str, dialect: str, tier: str, **changes: Any) -> UpstreamNow:
    fields: dict[str, Any] = {
        "name": name,
        "dialect": dialect,
        "base_url": f"https://{name}.example/v1",
        "tier": tier,
        "state": "up",
        "price_as_of": "2026-11-14",
        "credential": f"{name.upper()}_API_KEY",
    }
    return UpstreamNow(**(fields | changes))


def canned(
    seconds: int = 30, at: Nanoseconds = AT, window: str = "1h", seed: int = 7, before: Nanoseconds = HOUR
) -> list[Beat]:
    """A history that ends at a moment and the pulses of the seconds after it, a dozen requests each."""
    past = rows(at - before, at, 2 * 10**9, seed)
    beats: list[Beat] = [history(past, at, window)]
    random, seq = Random(seed + 1), len(past)
    for second in range(1, seconds + 1):
        now = at + second * 10**9
        new = [row(seq + each, now - random.randrange(2 * 10**9), random) for each in range(12)]
        seq += len(new)
        standing = Standing()
        if second == seconds // 2:
            said = Notice(
                at=now,
                kind="kill",
                message="kill switch: throttle for tag:batch",
                command="llmgw kill off tag:batch",
            )
            standing = Standing(notices=(said, *(whole(at).notices or ())))
        beats.append(
            Pulse(
                at=now,
                seq=seq,
                span_us=1_000_000,
                lines=lines_of(new),
                spreads=spreads_of(new),
                seen=tuple(map(seen_of, new)),
                unseen=0,
                under_way=under_way(now),
                in_flight=3,
                gate_us=(380, 410 + second % 7),
                standing=standing,
            )
        )
    return beats


def under_way(now: Nanoseconds) -> tuple[Under, ...]:
    """Three calls under way: a stream, a plain one, one in line."""
    return (
        Under(
            id=show_id(first_id(now - 4 * 10**9)),
            started_at=now - 4 * 10**9,
            tenant="default",
            key="me",
            model_asked="claude-sonnet-5",
            provider="anthropic",
            model="claude-sonnet-5",
            tier="premium",
            stream=True,
            output_tokens=212,
            held=61_000_000,
        ),
        Under(
            id=show_id(first_id(now - 10**9)),
            started_at=now - 10**9,
            tenant="ml",
            key="ci",
            model_asked="auto",
            provider="openai",
            model="gpt-5-nano",
            tier="cheap",
            stream=False,
            output_tokens=0,
            held=900_000,
        ),
        Under(
            id=show_id(first_id(now - 2 * 10**9)),
            started_at=now - 2 * 10**9,
            tenant="default",
            key="bot",
            model_asked="qwen3:8b",
            provider="ollama",
            model="qwen3:8b",
            tier="local",
            stream=True,
            output_tokens=0,
            held=0,
            place=2,
        ),
    )
