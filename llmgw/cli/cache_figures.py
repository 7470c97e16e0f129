"""The figures of the caches, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmgw.cli import output
from llmgw.cli.output import Column
from llmgw.domain import spelling
from llmgw.domain.money import format_usd

if TYPE_CHECKING:
    from llmgw.desk.cache_shapes import CacheStats, TenantTraffic
    from llmgw.desk.meanings import Semantic

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


def draw(figures: CacheStats) -> str:
    """Where answers came from, what that saved, what is held, and how the semantic cache fares."""
    whole = figures.requests
    asked = sum(getattr(whole, name) for name in SOURCES)
    lines = ["Where answers came from"]
    for name in SOURCES:
        count = getattr(whole, name)
        share = count / asked if asked else 0.0
        title = "upstream" if name == "miss" else name
        lines.append(f"  {title:<9} {spelling.bar(share, BAR, rest=False):<{BAR}} {share:>6.1%}  {count:>9,}")
    lines.append(f"  not asked {'':<{BAR}} {'':>6}  {whole.bypass:>9,}")
    lines += [
        "",
        "Saved",
        f"  {format_usd(figures.saved_nanousd)}, and {spelling.lasting(figures.saved_us)} of waiting",
    ]
    if len(figures.tenants) > 1:
        lines += [f"  {_tenant(each)}" for each in figures.tenants]
    lines += ["", "Held", *(f"  {line}" for line in _held(figures))]
    return "\n".join([*lines, "", "Semantic cache", *(f"  {line}" for line in _semantic(figures.semantic))])


def offers(semantic: Semantic) -> list[dict[str, Any]]:
    """What each promise would bring, by tenant."""
    return [
        {
            "tenant": judge.tenant,
            "embedder": judge.embedder,
            "max_error": each.max_error,
            "promise_percent": round(100 * each.max_error, 2),
            "hit_percent": None if each.served is None else round(100 * each.served, 1),
            "wrong_percent": None if each.wrong is None else round(100 * each.wrong, 2),
            "in_force": each.max_error == semantic.max_error,
            "command": f"llmgw config set cache.semantic.max_error {each.max_error:g}",
        }
        for judge in semantic.judges
        for each in judge.offers
    ]


def _semantic(semantic: Semantic) -> list[str]:
    from llmgw.desk.cache_shapes import shorten

    lines = [f"{semantic.mode}, promise {semantic.max_error:.1%} wrong at most", semantic.verdict]
    if semantic.asked:
        served, verb = (
            (semantic.hits, "served") if semantic.mode == "on" else (semantic.would_hit, "would have served")
        )
        lines.append(f"{verb} {served:,} of {semantic.asked:,} questions")
    if semantic.compared:
        low, high = semantic.wrong_low or 0.0, semantic.wrong_high or 0.0
        lines.append(
            f"{semantic.wrong:,} of {semantic.compared:,} compared with a fresh answer were wrong:"
            f" {semantic.wrong_rate or 0:.1%} of all, between {low:.1%} and {high:.1%}; {semantic.audits:,} audits"
        )
    if semantic.skipped:
        lines.append(f"{semantic.skipped:,} went upstream because it was busy or something failed")
    if semantic.near_misses:
        lines.append("near misses:")
        for each in semantic.near_misses:
            lines.append(f"  {each.times:>4}×  {each.reason}")  # noqa: RUF001
            lines += [f"         {shorten(text)!r}" for text in (each.asked, each.remembered)]
    return lines


def _tenant(traffic: TenantTraffic) -> str:
    rate = spelling.DASH if traffic.hit_rate is None else f"{traffic.hit_rate:.1%}"
    asked = sum(getattr(traffic.requests, name) for name in SOURCES)
    return f"{traffic.tenant:<16} {rate:>6} of {asked:,}, {format_usd(traffic.saved_nanousd)}"


def _held(figures: CacheStats) -> list[str]:
    held = figures.held
    filled = f"{spelling.size(held.file_bytes)} of {spelling.size(held.cap_bytes)}"
    if not held.entries:
        return [f"no answers; {filled}"]
    lines = [f"{held.entries:,} answers, {filled}, the oldest {output.cell('oldest_at', held.oldest_at)}"]
    if held.pinned:
        lines.append(f"{held.pinned:,} pinned")
    went = (("evicted", figures.evicted), ("expired", figures.expired), ("damaged", figures.damaged))
    lines.append(", ".join(f"{name} {count:,}" for name, count in went))
    return lines
