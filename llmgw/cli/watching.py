"""A picture of the gateway in a few lines, in one, and for programs: what `watch` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmgw.domain import spelling
from llmgw.rules.picture import HERE, TIERS, grouped, hit_rate, percentile, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmgw.domain.pulse import BudgetNow, Line
    from llmgw.rules.picture import Picture

STEPS = 24
"""Cells of the sparkline in the block; a line has a third of them."""


def machine(picture: Picture, state: str, words: str = "") -> dict[str, Any]:
    """The figures as programs read them; those of a window are of the one that is looked at."""
    window, today = total(picture.in_window()), total(picture.today())
    lines, spreads = picture.in_window(), picture.spreads()
    tiers = {group.name: group.counts for group in grouped(lines, "tier")}
    caches = {group.name: group.counts.requests for group in grouped(lines, "cache")}
    return {
        "figures_at": picture.now or None,
        "state": state,
        "words": words,
        "simulated": _simulated(picture),
        "window": picture.window,
        "requests_per_second": round(picture.rate(), 3),
        "in_flight": picture.last.in_flight if picture.last else 0,
        "requests": window.requests,
        "errors": window.errors,
        "cost_nanousd": window.cost,
        "saved_nanousd": window.saved,
        "unpriced_requests": window.unknown_cost,
        "hit_rate": hit_rate(lines),
        "hits": {name: caches.get(name, 0) for name in HERE},
        "tiers": {
            name: {"requests": tiers[name].requests, "cost_nanousd": tiers[name].cost}
            for name in TIERS
            if name in tiers
        },
        "today": {
            "requests": today.requests,
            "errors": today.errors,
            "cost_nanousd": today.cost,
            "saved_nanousd": today.saved,
        },
        "month_nanousd": total(picture.month()).cost,
        "projected_month_nanousd": picture.projection(),
        "burn_per_hour_nanousd": picture.burn(),
        "latency_p50_us": percentile(spreads, 0.5, ttft=False),
        "latency_p95_us": percentile(spreads, 0.95, ttft=False),
        "ttft_p50_us": percentile(spreads, 0.5, ttft=True),
        "ttft_p95_us": percentile(spreads, 0.95, ttft=True),
        "kills": [f"{kill.mode} {kill.scope}" for kill in picture.standing.kills or ()],
    }


def line(picture: Picture, state: str, words: str = "", *, plain: bool = False) -> str:
    """All of it in one line, as a pipe gets it each tick."""
    if not picture.now:
        return f"{state}: {words}" if words else state
    lines = picture.in_window()
    counts, spreads = total(lines), picture.spreads()
    cells = (
        f"{_mark(picture, state)}{spelling.clock(picture.now, picture.zone)}",
        f"{spelling.rate(picture.rate()).removesuffix('/s')} req/s",
        f"{spelling.usd(total(picture.today()).cost)} today",
        spelling.per_hour(picture.burn()),
        f"hit {spelling.percent(hit_rate(lines))} {_hits(picture, STEPS // 3, plain=plain)}",
        _tiers(lines, most=1),
        f"p95 {spelling.took(percentile(spreads, 0.95, ttft=False))}",
        f"err {spelling.percent(_part(counts.errors, counts.requests))}",
        *(f"KILL {kill.mode} {kill.scope}" for kill in picture.standing.kills or ()),
        words,
    )
    return "  ".join(filter(None, cells))


def block(picture: Picture, state: str, words: str, width: int, *, plain: bool = False) -> list[str]:
    """All of it in a few lines, for a terminal; each fits ``width``."""
    if not picture.now:
        return [f"llmgw  {state}", _fitted((f"  {words}",), width)]
    lines, today, spreads = picture.in_window(), total(picture.today()), picture.spreads()
    counts, process = total(lines), picture.standing.process
    hits = {group.name: group.counts.requests for group in grouped(lines, "cache")}
    requests = [total(step.lines).requests for step in picture.series()]
    spent = [total(step.lines).cost for step in picture.series()]
    last = picture.last
    cells = max(8, min(STEPS, width - 16))
    rows: list[tuple[str, ...]] = [
        (
            f"llmgw {_mark(picture, state)}{state}",
            process.url.removeprefix("http://") if process else "",
            f"up {spelling.uptime(process.started_at, picture.now)}" if process else "",
            f"window {picture.window}",
            spelling.clock(picture.now, picture.zone),
            words,
        ),
        (
            f"  {spelling.rate(picture.rate()):>9} {spelling.sparkline(requests, cells, plain=plain)}",
            f"{last.in_flight if last else 0} in flight",
            f"p95 {spelling.took(percentile(spreads, 0.95, ttft=False))}",
            f"first token {spelling.took(percentile(spreads, 0.95, ttft=True))}",
            f"err {spelling.percent(_part(counts.errors, counts.requests))}",
        ),
        (
            f"  {spelling.per_hour(picture.burn()):>9} {spelling.sparkline(spent, cells, plain=plain)}",
            f"{spelling.usd(today.cost)} today",
            f"{spelling.usd(total(picture.month()).cost)} this month",
            f"{spelling.usd(picture.projection())} projected",
            f"{spelling.usd(today.saved)} saved today",
        ),
        (
            f"  hit {spelling.percent(hit_rate(lines)):>5} {_hits(picture, cells, plain=plain)}",
            *(
                f"{name} {spelling.percent(_part(hits.get(name, 0), counts.requests))}"
                for name in HERE
                if hits.get(name)
            ),
            _tiers(lines),
        ),
        *((f"  ! {_budget(each, picture)}",) for each in picture.standing.budgets or () if _pressing(each)),
        *((f"  ! kill switch: {kill.mode} {kill.scope}",) for kill in picture.standing.kills or ()),
    ]
    drawn = [_fitted(row, width) for row in rows]
    return [each.replace(spelling.DASH, "-") for each in drawn] if plain else drawn


def _mark(picture: Picture, state: str) -> str:
    """What has to be known before any figure is read."""
    simulated = "simulated " if _simulated(picture) else ""
    return simulated if state in {"live", "replay"} else f"{simulated}{state} "


def _simulated(picture: Picture) -> bool:
    return picture.standing.process is not None and picture.standing.process.simulated


def _hits(picture: Picture, cells: int, *, plain: bool) -> str:
    """The hit rate of the last steps in which anything was asked."""
    rates = [rate for step in picture.series() if (rate := hit_rate(step.lines)) is not None]
    return spelling.sparkline(rates[-cells:], plain=plain)


def _tiers(lines: Sequence[Line], most: int = len(TIERS)) -> str:
    """What part of the requests that reached a target went to each tier, the busiest first."""
    busy = {group.name: group.counts.requests for group in grouped(lines, "tier") if group.name in TIERS}
    whole = sum(busy.values())
    names = sorted(busy, key=lambda name: -busy[name])[:most]
    return "  ".join(f"{name} {spelling.percent(busy[name] / whole)}" for name in names)


def _pressing(budget: BudgetNow) -> bool:
    return (budget.used or 0) >= spelling.HIGH


def _budget(budget: BudgetNow, picture: Picture) -> str:
    of = f"{spelling.amount(budget.unit, budget.spent)} of {spelling.amount(budget.unit, budget.hard)}"
    out = spelling.runs_out(budget.runs_out_at, budget.left, picture.now)
    ends = "" if out == spelling.DASH else f", runs out {out}"
    return f"{budget.scope} {spelling.percent(budget.used)} of its {budget.window}: {of}{ends}"


def _fitted(cells: tuple[str, ...], width: int) -> str:
    """As many cells as there is room for, none of them cut but a first one that is too long itself."""
    line = cells[0][:width]
    for cell in filter(None, cells[1:]):
        if len(line) + 3 + len(cell) > width:
            break
        line += f"   {cell}"
    return line.rstrip()


def _part(count: int, of: int) -> float | None:
    return count / of if of else None
