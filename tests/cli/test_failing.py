"""Operators see which targets are left alone. # B-04"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmgw.config.paths import locate
from llmgw.domain.breaker import Failing, State
from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.storage.headroom import write_failing

if TYPE_CHECKING:
    from support.program import Program


def test_status_names_the_targets_that_are_left_alone(llmgw: Program) -> None:
    """An open breaker is shown with its end, one whose time is over as about to be tried."""
    paths = locate(home=llmgw.home, environ={})
    paths.database.parent.mkdir(parents=True, exist_ok=True)
    now = SYSTEM_CLOCK.now()
    write_failing(
        paths.database,
        [
            Failing("openai", "gpt-5", State.OPEN, 5, now + 3600 * 10**9),
            Failing("ollama", "llama3.2", State.OPEN, 5, now - 1),
        ],
    )
    llmgw.run("provider", "add", "openai", "--base-url", "http://127.0.0.1:9/v1", "--model", "gpt-5")
    assert re.search(r"openai .* 1 failing, open", llmgw.run("provider", "list").out)
    words = llmgw.run("status").out
    assert "openai/gpt-5: others go first until" in words
    assert "ollama/llama3.2: the next call tries it" in words
    shown = llmgw.run("status", "--json").json["failing"]
    assert [each["breaker"] for each in shown] == ["open", "half-open"]
    assert shown[0]["retry_at"].endswith("Z")
    assert shown[1]["retry_at"] is None
