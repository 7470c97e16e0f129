"""Recorded exchanges of real providers pass a real gateway; `python tests/replay/recorded.py` counts them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from replay.bench import Bench
from replay.checks import relay, translate
from replay.recordings import FOLDER, Exchange, load
from replay.running import run
from replay.upstream import Replayer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the recordings are not beside this repository")

ONE_IN = 9


def sample() -> Iterator[Exchange]:
    """Every ninth exchange, and the first that shows something new of its provider: a flag, a status, a stream."""
    seen = set()
    for exchange in load(FOLDER):
        if not isinstance(exchange, Exchange):
            continue
        facts = {
            (exchange.provider, exchange.wire, each)
            for each in (*exchange.flags, exchange.status, exchange.streamed)
        }
        if exchange.number % ONE_IN == 0 or not facts <= seen:
            yield exchange
        seen |= facts


def test_a_sample_of_every_kind_passes() -> None:
    """Exchanges with every flag of every provider keep their bytes when relayed and their meaning when translated."""
    report = run(sample(), every_cut=False)
    print(report.table())
    assert report.failures == []
    assert report.total["passed"] > 400


@pytest.mark.slow
def test_every_exchange_passes() -> None:
    """All recorded exchanges pass, however their streams are cut."""
    report = run(load(FOLDER), every_cut=True)
    print(report.table())
    assert report.failures == []
    assert report.total["passed"] > 2900


@pytest.mark.parametrize("provider", ["groq", "anthropic"])
def test_another_reply_than_the_recorded_one_is_noticed(
    provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checks can fail: a reply that says something else is told, on both ways."""
    good = [
        each for each in sample() if each.provider == provider and each.status == 200 and not each.streamed
    ]
    one, other = good[0], next(each for each in good if each.reply != good[0].reply)
    monkeypatch.setattr(Replayer, "play", lambda self, _, cut, play=Replayer.play: play(self, other, cut))
    with Bench(tmp_path, one.kind) as bench:
        assert any("bytes" in wrong for wrong in relay(bench, one, "whole"))
        caller = "anthropic" if one.wire == "openai_chat" else "openai_chat"
        assert any("text" in wrong or "calls" in wrong for wrong in translate(bench, one, "whole", caller))
