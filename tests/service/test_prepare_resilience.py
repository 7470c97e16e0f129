"""What the configuration says of bad targets reaches the gateway. # B-04 C-06 E-09"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.config.load import effective_config
from llmgw.config.model import Settings
from llmgw.config.paths import locate
from llmgw.gates.resilience import Resilient
from llmgw.providers.registry import providers
from llmgw.rules.backoff import Retrying
from llmgw.rules.balancing import Balance
from llmgw.rules.breaker import Breaking
from llmgw.service.assemble import build_upstreams
from llmgw.service.prepare import resilience_of

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
[router]
balance = "cost"
[breaker]
failures = 3
error_rate = 0.25
window_seconds = 30
open_seconds = 2
longest_seconds = 60
[retry]
attempts = 3
wait_seconds = 0.5
longest_seconds = 10
budget = 0.1
[hedge]
after_ms = 1500
[providers.ollama]
slots = 4
queue_wait = 12
"""


def test_every_option_arrives(tmp_path: Path) -> None:
    """Each value of the file is the one that the gates work with."""
    paths = locate(home=tmp_path, environ={})
    paths.config.write_text(FILE)
    settings = effective_config(paths, {}, {})
    assert resilience_of(settings) == Resilient(
        balance=Balance.COST,
        breaking=Breaking(3, 0.25, 30, 2, 60),
        retrying=Retrying(3, 0.5, 10, 0.1),
        hedge_seconds=1.5,
    )
    [ollama] = build_upstreams(settings, providers(), {}).upstreams
    assert (ollama.slots, ollama.queue_wait) == (4, 12)


def test_the_defaults_of_the_file_are_those_of_the_rules() -> None:
    """What nobody configures is what the documentation says."""
    assert resilience_of(Settings()) == Resilient()
