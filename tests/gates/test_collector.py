"""A call that is over is gone: the collector, whose rounds hold up every other call, finds nothing of it. # D-13 D-14"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import pytest
from support.caches import Cached, options

from llmgw.gates.state import Call

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_anthropic import FakeAnthropic
    from support.fake_openai import FakeOpenAI

KINDS: dict[str, Callable[[Cached, int], object]] = {
    "plain": lambda gateway, number: gateway.chat(f"plain {number}"),
    "streamed": lambda gateway, number: gateway.chat(f"streamed {number}", stream=True),
    "translated": lambda gateway, number: gateway.message(f"translated {number}", model="gpt-4o"),
    "again": lambda gateway, _: gateway.chat("the same"),
    "under a key": lambda gateway, number: gateway.chat(
        f"under a key {number}", headers={"idempotency-key": f"k{number}"}
    ),
    "not kept": lambda gateway, number: gateway.chat(
        f"not kept {number}", headers={"x-llmgw-cache": "no-store"}
    ),
    "refused": lambda gateway, number: gateway.chat(f"refused {number}", model="nobody's"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_call_is_left_to_the_collector(
    kind: str, tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Without a single round of the collector no call is left once it was answered and written down."""
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=options(semantic="on")) as gateway:
        KINDS[kind](gateway, 0)
        gc.collect()
        gc.disable()
        try:
            for number in range(1, 6):
                KINDS[kind](gateway, number)
            end = time.monotonic() + 5
            while (left := _calls()) and time.monotonic() < end:
                time.sleep(0.05)
        finally:
            gc.enable()
    assert left == 0


def _calls() -> int:
    return sum(isinstance(each, Call) for each in gc.get_objects())
