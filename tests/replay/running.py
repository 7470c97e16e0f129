"""Replaying many records, one gateway for each kind of provider, and counting how they fared."""

from __future__ import annotations

import tempfile
import traceback
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from replay.bench import Bench
from replay.checks import callers_of, relay, translate
from replay.recordings import Exchange, Unsupported
from replay.upstream import CUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COLUMNS = ("exchanges", "passed", "failed", "unsupported", "relays", "translations")


@dataclass
class Report:
    """Counts by provider, what went wrong with which exchange, and why others were left out."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    failures: list[tuple[str, str, list[str]]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> Counter[str]:
        return sum(self.counts.values(), Counter())

    def table(self) -> str:
        """One line for each provider, and one for all."""
        lines = [f"{'provider':32}" + "".join(f"{name:>13}" for name in COLUMNS)]
        for name, counts in [*sorted(self.counts.items()), ("all", self.total)]:
            lines.append(f"{name:32}" + "".join(f"{counts[column]:13,}" for column in COLUMNS))
        if self.reasons:
            lines.append("\nunsupported:")
            lines += [f"{count:7,}  {reason}" for reason, count in self.reasons.most_common()]
        return "\n".join(lines)


def run(records: Iterable[Exchange | Unsupported], *, every_cut: bool) -> Report:
    """Replay these records. Streams are cut in one way each, or in every way."""
    report = Report()
    by_kind: dict[str, list[Exchange]] = defaultdict(list)
    for record in records:
        counts = report.counts[record.provider]
        counts["exchanges"] += 1
        if isinstance(record, Unsupported):
            counts["unsupported"] += 1
            report.reasons[record.reason] += 1
        else:
            by_kind[record.kind].append(record)
    with tempfile.TemporaryDirectory() as home:
        for kind, exchanges in by_kind.items():
            with Bench(Path(home), kind) as bench:
                for exchange in exchanges:
                    _replay(bench, exchange, report, every_cut=every_cut)
    return report


def _replay(bench: Bench, exchange: Exchange, report: Report, *, every_cut: bool) -> None:
    cuts = CUTS if every_cut and exchange.streamed else [CUTS[exchange.number % len(CUTS)]]
    counts = report.counts[exchange.provider]
    passed = True
    for cut in cuts:
        if exchange.wire != "ollama":
            wrong = _guarded(lambda cut=cut: relay(bench, exchange, cut))
            passed &= _note(report, exchange, f"relay, {cut}", wrong)
            counts["relays"] += 1
        for caller in callers_of(exchange):
            wrong = _guarded(lambda cut=cut, caller=caller: translate(bench, exchange, cut, caller))
            passed &= _note(report, exchange, f"to {caller}, {cut}", wrong)
            counts["translations"] += 1
    counts["passed" if passed else "failed"] += 1


def _guarded(check: Callable[[], list[str]]) -> list[str]:
    """A check that cannot be made has failed, and the others go on."""
    try:
        return check()
    except Exception:
        return [traceback.format_exc(limit=-4)]


def _note(report: Report, exchange: Exchange, way: str, wrong: list[str]) -> bool:
    if wrong:
        report.failures.append((exchange.id, way, wrong))
    return not wrong
