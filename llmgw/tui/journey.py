"""One request told in lines: its way through the gates, its cost as arithmetic, the decision and what caps its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llmgw.desk.requests import Done
from llmgw.domain import spelling
from llmgw.domain.ledger import AttemptState
from llmgw.domain.price import Price
from llmgw.domain.usage import Usage
from llmgw.rules.picture import HERE
from llmgw.rules.pricing import MILLION, THOUSAND, bill
from llmgw.tui.widgets.drawing import Paper, bar, fit, fold, level, line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from rich.text import Text

    from llmgw.desk.requests import AttemptView, InFlight
    from llmgw.desk.routes import DecisionView, Why
    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.pulse import Under
    from llmgw.rules.pricing import Charge

    Step = tuple[str, str | Text, str]
    """A name, what is said of it, and the style of that."""

NAME, LONG_NAME = 18, 28
"""Cells for the name of a step, and where there is room."""
WIDE = 110
LEAST_US = 10_000
"""What an answer must take after its first token for a speed to be told."""
TIMES = "\N{MULTIPLICATION SIGN}"
PER = {MILLION: "/M", THOUSAND: "/k", 1: ""}


def facts(
    request: Done | InFlight, under: Under | None, now: Nanoseconds, zone: ZoneInfo, paper: Paper
) -> list[Text]:
    """Who asked for what, who answered, how long it took, what it cost: one line or two."""
    then, dot = ("->", "|") if paper.plain else ("→", "·")
    if not isinstance(request, Done):
        if under is None:
            return [line((" under way", "warn"))]
        span = spelling.took((now - under.started_at) // 1000)
        target = f"{under.provider}/{under.model}" if under.model else spelling.DASH
        parts = [under.key, f"{under.model_asked} {then} {target}", f"under way for {span}"]
        if under.output_tokens:
            parts.append(f"{under.output_tokens:,} tokens out so far")
        return [line(" ", f" {dot} ".join(parts))]
    who = request.key + "".join(f" #{tag}" for tag in request.tags)
    what = request.model_asked + (f" {then} {request.target}" if request.target else "")
    said = request.error.code if request.error else str(request.status)
    at, surface = (
        spelling.clock(request.started_at, zone),
        request.surface + (" stream" if request.stream else ""),
    )
    cost = "cost unknown" if request.cost_nanousd is None else spelling.usd(request.cost_nanousd)
    return [
        line(
            " ", (who, "id"), f" {dot} {what} {dot} ", (said, "bad" if request.error else "good"),
            f" {dot} {spelling.took(request.latency_us)} {dot} ", (cost, "strong"),
        ),
        line((" " + f" {dot} ".join((at, surface, _tokens(request))), "dim")),
    ]  # fmt: skip


def journey(why: Why, now: Nanoseconds, paper: Paper) -> list[Text]:
    """A line for each gate that left a trace, a bar for each attempt, and the bill."""
    request = why.request
    done = request if isinstance(request, Done) else None
    began = (
        min((each.started_at for each in request.attempts), default=now) if done is None else done.started_at
    )
    whole = max(1, (now - began) // 1000 if done is None else done.latency_us)
    steps = [*_before(why, done, paper), *_attempts(why, began, whole, now, paper)]
    if done is not None and done.attempts:
        spent = sum(each.latency_us or 0 for each in done.attempts)
        steps.append(
            ("gates", f"{spelling.took(max(0, done.latency_us - spent))} between and around them", "dim")
        )
    steps += [("settle", words, "") for attempt in request.attempts for words in settled(attempt)]
    if done is not None:
        steps += _after(done)
    lines: list[Text] = []
    cells = LONG_NAME if paper.width >= WIDE else NAME
    for name, words, style in steps:
        head = fit(line((name, "strong")), cells)
        told = fold(words, max(10, paper.width - cells), style) if isinstance(words, str) else [words]
        lines += [line(head if at == 0 else " " * cells, each) for at, each in enumerate(told)]
    return lines


def _before(why: Why, done: Done | None, paper: Paper) -> Iterator[Step]:
    """Limits, caches and the decision."""
    arrow = "->" if paper.plain else "→"
    if done is not None and why.limits:
        yield "throttle", ", ".join(f"{each.amount:,} {each.measure}" for each in why.limits), "dim"
    if done is not None:
        yield "recall", *_recalled(done)
    if why.decision is not None:
        tried = ", ".join(dict.fromkeys(each.target for each in why.request.attempts))
        words = f"{why.decision.reason} {arrow} {why.decision.tier} {arrow} {tried or why.decision.target}"
        yield "route", words, ""
    elif why.request.attempts:
        yield "route", "named by the caller", ""


def _attempts(why: Why, began: Nanoseconds, whole: int, now: Nanoseconds, paper: Paper) -> Iterator[Step]:
    """What was held for each, and its bar."""
    scopes = ", ".join(dict.fromkeys(each.scope for each in why.budgets))
    for attempt in why.request.attempts:
        if attempt.held_nanousd:
            yield (
                "reserve",
                f"held {spelling.usd(attempt.held_nanousd)}{f' on {scopes}' if scopes else ''}",
                "dim",
            )
        took = (now - attempt.started_at) // 1000 if attempt.latency_us is None else attempt.latency_us
        yield (
            attempt.target,
            _attempted(attempt, took, (attempt.started_at - began) // 1000, whole, paper),
            "",
        )


def _after(done: Done) -> Iterator[Step]:
    """How it failed, where it did, and what it saved against the premium tier."""
    if done.error:
        yield "ended", f"{done.status} {done.error.code}", "bad"
    if done.premium_cost_nanousd is not None and done.cost_nanousd is not None:
        spared = done.premium_cost_nanousd - done.cost_nanousd
        words = f"the premium tier would have cost {spelling.usd(done.premium_cost_nanousd)}"
        yield "saved", f"{words}, {spelling.usd(spared)} saved" if spared > 0 else words, "dim"


def settled(attempt: AttemptView) -> list[str]:
    """The bill of an attempt: its cost as the sum of tokens times their price, and what was held beyond it."""
    if attempt.cost_nanousd is None:
        return ["no price is known, so the cost is not"] if attempt.state is AttemptState.SETTLED else []
    words = spelling.usd(attempt.cost_nanousd)
    if attempt.price is not None and attempt.cost_nanousd:
        charges = bill(
            msgspec.convert(attempt.price, Price), msgspec.convert(attempt.usage, Usage, from_attributes=True)
        )
        words += " = " + " + ".join(map(_charge, charges))
    if attempt.held_nanousd and attempt.held_nanousd > attempt.cost_nanousd:
        words += f", released {spelling.usd(attempt.held_nanousd - attempt.cost_nanousd)}"
    if attempt.usage.estimated:
        words += " (tokens estimated: the provider told none)"
    return [words]


def decision(why: Why, paper: Paper) -> list[Text]:
    """The decision and what is known of the answer, as `llmgw why` has them."""
    if why.decision is None:
        lines = fold("the caller named it; nothing was left to decide", paper.width, "dim")
    else:
        lines = _decided(why.decision, paper)
    if why.outcome is not None:
        lines += fold(f"outcome {why.outcome.score:g} {why.outcome.comment}".rstrip(), paper.width, "id")
    if why.shadow is not None:
        score = why.shadow.score
        served = "would have served as well" if score == 1 else "would not have served"
        said = "is open" if score is None else served
        lines += fold(f"shadow {why.shadow.target} {said}", paper.width, "id")
    return lines


def _decided(found: DecisionView, paper: Paper) -> list[Text]:
    """The terms of the score, and what a cascade made of answers."""
    lines = fold(found.reason, paper.width)
    lines.append(line(("tier ", "dim"), (found.tier, found.tier), (f"  {found.target}", "")))
    marks = [name for name in ("sticky", "explored") if getattr(found, name)]
    if marks:
        lines.append(line((", ".join(marks), "dim")))
    for verdict in found.verdicts:
        said = "was passed on" if verdict.passed else "was not good enough"
        words = f"{verdict.target} {said}: {'; '.join(verdict.seen)}"
        lines += fold(words, paper.width, "" if verdict.passed else "warn")
    if found.trimmed:
        lines.append(line((f"{found.trimmed:,} tokens of older turns were left behind", "dim")))
    if found.gain is None:
        return lines
    width = max([len(term.name) for term in found.terms], default=0)
    most = max([abs(term.value) for term in found.terms], default=0.0) or 1.0
    room = max(1, min(24, paper.width - width - 10))
    for term in found.terms:
        drawn = bar(
            abs(term.value) / most,
            Paper(room, 1, paper.plain),
            "premium" if term.value > 0 else "local",
            rest=False,
        )
        lines.append(line((f"{term.name:<{width}} ", "dim"), f"{100 * term.value:+6.1f} ", drawn))
    lines += fold(f"{100 * found.gain:+.1f} points that a premium model is better by", paper.width, "strong")
    if found.premium_quality is not None:
        dial = "" if found.quality is None else f"; the dial stands at {found.quality:g}"
        lines += fold(
            f"a premium model answers well with {found.premium_quality:.0%}{dial}", paper.width, "dim"
        )
    return lines


def budgets(why: Why, now: Nanoseconds, paper: Paper) -> list[Text]:
    """What caps the key of the request."""
    lines = [line((f"{each.scope} ", "id"), f"{each.amount:,} {each.measure}") for each in why.limits]
    for each in why.budgets:
        spent, hard = (spelling.amount(each.unit, each.of(name)) for name in ("spent", "hard"))
        part = each.used
        cells = Paper(max(4, min(12, paper.width - 44)), 1, paper.plain)
        out = spelling.runs_out(each.runs_out_at, each.of("left"), now)
        lines.append(
            line(
                (f"{each.scope} {each.window} ", "id"), f"{spent} of {hard} ",
                "" if part is None else bar(part, cells, level(part)),
                (" !" if part is not None and part >= spelling.HIGH else "", "warn"),
                (f" runs out {out}" if out != spelling.DASH else "", "warn"),
            )
        )  # fmt: skip
    return lines or [line(("none", "dim"))]


def _tokens(request: Done) -> str:
    usage = request.usage
    words = f"{usage.input_tokens:,} tokens in"
    if usage.cache_read_tokens or usage.cache_write_tokens:
        words += f" ({usage.cache_read_tokens:,} from the provider's cache, {usage.cache_write_tokens:,} written to it)"
    words += f", {usage.output_tokens:,} out"
    return words + (f" ({usage.reasoning_tokens:,} reasoning)" if usage.reasoning_tokens else "")


def _recalled(request: Done) -> tuple[str, str]:
    if request.cache in HERE:
        words = {
            "exact": "the same was answered before",
            "semantic": "one that means the same was answered before",
        }
        told = words.get(request.cache, "joined one that was under way")
        saved = f", {spelling.usd(request.saved_nanousd)} saved" if request.saved_nanousd else ""
        return f"{request.cache}: {told}{saved}", "good"
    return ("not asked" if request.cache == "bypass" else str(request.cache)), "dim"


def _attempted(attempt: AttemptView, took: int, after: int, whole: int, paper: Paper) -> Text:
    """How long, where within the whole, how it ended."""
    room = max(4, min(24, paper.width - NAME - 50))
    before = min(room - 1, max(0, round(after / whole * room)))
    cells = max(1, min(room - before, round(took / whole * room)))
    bad = attempt.error is not None
    drawn = bar(1.0, Paper(cells, 1, paper.plain), "bad" if bad else "bar")
    if attempt.error is not None:
        words = f"{attempt.status or ''} {attempt.error.code}".strip()
    elif attempt.ended_at is None:
        words = "under way"
    else:
        words = f"{attempt.status}"
    if attempt.ttft_us is not None and took - attempt.ttft_us >= LEAST_US:  # one piece has no first token
        words += f", first token {spelling.took(attempt.ttft_us)}"
        if attempt.usage.output_tokens > 1:
            rate = attempt.usage.output_tokens * 1_000_000 / (took - attempt.ttft_us)
            words += f", {rate:,.0f} tok/s"
    return line(
        f"{spelling.took(took):>9} ",
        " " * before,
        drawn,
        " " * (room - before - cells + 1),
        (words, "bad" if bad else ""),
    )


def _charge(charge: Charge) -> str:
    kind = "" if charge.kind in {"input", "output"} else f" {charge.kind.replace('_', ' ')}"
    return f"{charge.units:,}{kind} {TIMES} {spelling.usd(charge.rate)}{PER[charge.per]}"
