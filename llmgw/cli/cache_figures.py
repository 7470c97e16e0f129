"""The figures of the caches, for people and for programs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from llmgw.cli import output
from llmgw.cli.cache_rows import shorten, size
from llmgw.cli.output import Column
from llmgw.cli.ranges import parse_moment
from llmgw.domain.money import format_usd

if TYPE_CHECKING:
    from llmgw.client.caches import Figures, Traffic
    from llmgw.client.meanings import Semantic

BAR = 30
"""Characters of a bar that stands for everything."""

OFFERS = [
    Column("tenant"),
    Column("promise_percent", "PROMISE %"),
    Column("hit_percent", "HITS %"),
    Column("wrong_percent", "WRONG %"),
    Column("in_force"),
    Column("command"),
]

SOURCES = ("exact", "semantic", "joined", "miss")


def since(text: str) -> int:
    """UTC nanoseconds from which on figures are wanted."""
    return parse_moment(text, time.time_ns())


def describe(figures: Figures) -> dict[str, Any]:
    """What programs read."""
    held = figures.held
    return {
        "since_at": figures.since,
        **_describe_traffic(figures.whole),
        "held": {
            "entries": held.entries,
            "pinned": held.pinned,
            "expired": held.expired,
            "bytes": held.bytes,
            "file_bytes": held.size,
            "cap_bytes": held.cap,
            "oldest_at": held.oldest_at,
        },
        **figures.went,
        "semantic": _describe_semantic(figures.semantic),
        "tenants": [{"tenant": each.tenant, **_describe_traffic(each)} for each in figures.tenants],
    }


def _describe_traffic(traffic: Traffic) -> dict[str, Any]:
    rate = traffic.hit_rate
    return {
        "requests": {name: getattr(traffic, name) for name in (*SOURCES, "bypass")},
        "hit_rate": None if rate is None else round(rate, 4),
        "saved_nanousd": traffic.saved,
        "saved_us": traffic.saved_us,
    }


def draw(figures: Figures) -> str:
    """What people read."""
    whole = figures.whole
    asked = whole.hits + whole.miss
    lines = ["Where answers came from"]
    for name in SOURCES:
        count = getattr(whole, name)
        share = count / asked if asked else 0.0
        title = "upstream" if name == "miss" else name
        lines.append(f"  {title:<9} {'▓' * round(share * BAR):<{BAR}} {share:>6.1%}  {count:>9,}")
    lines.append(f"  not asked {'':<{BAR}} {'':>6}  {whole.bypass:>9,}")
    lines += ["", "Saved", f"  {format_usd(whole.saved)}, and {span(whole.saved_us)} of waiting"]
    if len(figures.tenants) > 1:
        lines += [f"  {_tenant(each)}" for each in figures.tenants]
    lines += ["", "Held", *(f"  {line}" for line in _held(figures))]
    return "\n".join([*lines, "", "Semantic cache", *(f"  {line}" for line in _semantic(figures.semantic))])


def _describe_semantic(semantic: Semantic) -> dict[str, Any]:
    rate = semantic.wrong_rate
    return {
        "mode": semantic.mode,
        "max_error": semantic.promise,
        "asked": semantic.asked,
        "skipped": semantic.skipped,
        "hits": semantic.hits,
        "would_hit": semantic.would_hit,
        "audits": semantic.audits,
        "compared": semantic.compared,
        "wrong": semantic.wrong,
        "wrong_rate": None if rate is None else round(rate, 4),
        "wrong_low": None if rate is None else round(semantic.bounds.low, 4),
        "wrong_high": None if rate is None else round(semantic.bounds.high, 4),
        "misses_compared": semantic.misses,
        "misses_right": semantic.misses_right,
        "verdict": verdict(semantic),
        "judges": [
            {"tenant": each.tenant, "embedder": each.embedder, "serves": each.serves}
            for each in semantic.judges
        ],
        "near_misses": [
            {
                "id": each.entry,
                "remembered": each.other,
                "asked": each.prompt,
                "reason": each.reason,
                "cosine": round(each.cosine, 4),
                "times": each.times,
                "compared": each.compared,
                "right": each.right or 0,
            }
            for each in semantic.near_misses
        ],
    }


def verdict(semantic: Semantic) -> str:
    """Whether the promise can be kept on this traffic, in words."""
    promise = f"{semantic.promise:.1%}"
    if semantic.mode == "off":
        return "it is off; `llmgw config set cache.semantic.mode shadow` lets it watch"
    if not semantic.asked:
        return "it has seen no question yet that it could answer"
    if not semantic.judges:
        return "no question has come near a remembered one yet"
    safe = [each for each in semantic.judges if each.serves]
    if not safe:
        return f"this traffic does not allow a promise of {promise}: it serves nothing"
    of = "" if len(safe) == len(semantic.judges) else f" for {len(safe)} of {len(semantic.judges)} tenants"
    if not semantic.compared:
        return f"a promise of {promise} can be kept{of}, by what it knew beforehand; nothing has been compared yet"
    if semantic.bounds.high <= semantic.promise:
        return f"the promise of {promise} is kept{of}"
    if semantic.bounds.low > semantic.promise:
        return (
            f"the promise of {promise} is broken{of}: too many were wrong, and it now asks for more likeness"
        )
    return f"a promise of {promise} can be kept{of} as far as is known; more comparisons would tell"


def offers(semantic: Semantic) -> list[dict[str, Any]]:
    """What each promise would bring, by tenant."""
    return [
        {
            "tenant": judge.tenant,
            "embedder": judge.embedder,
            "max_error": each.promise,
            "promise_percent": round(100 * each.promise, 2),
            "hit_percent": None if each.served is None else round(100 * each.served, 1),
            "wrong_percent": None if each.wrong is None else round(100 * each.wrong, 2),
            "in_force": each.promise == semantic.promise,
            "command": f"llmgw config set cache.semantic.max_error {each.promise:g}",
        }
        for judge in semantic.judges
        for each in judge.offers
    ]


def _semantic(semantic: Semantic) -> list[str]:
    lines = [f"{semantic.mode}, promise {semantic.promise:.1%} wrong at most", verdict(semantic)]
    if semantic.asked:
        served, verb = (
            (semantic.hits, "served") if semantic.mode == "on" else (semantic.would_hit, "would have served")
        )
        lines.append(f"{verb} {served:,} of {semantic.asked:,} questions")
    if semantic.compared:
        low, high = semantic.bounds
        lines.append(
            f"{semantic.wrong:,} of {semantic.compared:,} compared with a fresh answer were wrong:"
            f" {semantic.wrong_rate or 0:.1%} of all, between {low:.1%} and {high:.1%}; {semantic.audits:,} audits"
        )
    if semantic.skipped:
        lines.append(f"{semantic.skipped:,} went upstream because it was busy or its embedder failed")
    if semantic.near_misses:
        lines.append("near misses:")
        lines += [
            f"  {each.times:>4}×  {shorten(each.prompt)!r} is near {shorten(each.other)!r}: {each.reason}"  # noqa: RUF001
            for each in semantic.near_misses
        ]
    return lines


def _tenant(traffic: Traffic) -> str:
    rate = output.DASH if traffic.hit_rate is None else f"{traffic.hit_rate:.1%}"
    return f"{traffic.tenant:<16} {rate:>6} of {traffic.hits + traffic.miss:,}, {format_usd(traffic.saved)}"


def _held(figures: Figures) -> list[str]:
    held, went = figures.held, figures.went
    if not held.entries:
        return [f"no answers; {size(held.size)} of {size(held.cap)}"]
    age = output.cell("oldest_at", held.oldest_at)
    lines = [f"{held.entries:,} answers, {size(held.size)} of {size(held.cap)}, the oldest {age}"]
    if held.pinned:
        lines.append(f"{held.pinned:,} pinned")
    lines.append(", ".join(f"{name} {count:,}" for name, count in went.items()))
    return lines


def span(microseconds: int) -> str:
    """A span of time for people: ``3 h 12 m``."""
    seconds = microseconds // 1_000_000
    if seconds < 60:
        return f"{microseconds / 1e6:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60} m {seconds % 60} s"
    return f"{seconds // 3600:,} h {seconds % 3600 // 60} m"
