"""The feed of the gateway that a command is about: of this machine, or with ``--url`` one elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmgw.cli import options, reaching
from llmgw.client.feed_live import Address, Live
from llmgw.errors import not_running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmgw.client.feed import Feed
    from llmgw.client.feed_replay import Replaying
    from llmgw.client.past import LedgerPast
    from llmgw.domain.pulse import History


def check_there() -> None:
    """NotRunning, Unauthenticated and the like, before anything is drawn."""
    from llmgw.desk.status import ShowStatus

    with reaching.gateway() as there:
        if there.ask(ShowStatus()).state == "down":
            raise not_running()


def live(window: str, past: Callable[[str], History] | None = None) -> Feed:
    """Beats as they happen; ``past`` reads what the ledger tells where the gateway is away."""
    if address := options.url():
        found = Address(address, reaching.key_of(address, urlsplit(address).netloc)[1])
        return Live(address, lambda: found, window, insecure=reaching.insecure())
    return Live("this machine", _here, window, past=past)


def _here() -> Address | None:
    from llmgw.service import background

    running = background.find(options.paths())
    return None if running is None else Address(running.url, running.token)


def past(window: str) -> History:
    """How all stands, as far as the files of this machine tell while its gateway is away; GatewayError without any."""
    from msgspec.structs import replace

    from llmgw.client.standing import read_kept
    from llmgw.config.limits import default_limits
    from llmgw.config.load import effective_config
    from llmgw.config.zones import read_zone
    from llmgw.domain.clock import SYSTEM_CLOCK

    paths = options.paths()
    settings = effective_config(paths, secrets=False)
    zone, limits = read_zone(settings.server.timezone), default_limits(settings)
    with _ledger() as ledger:
        history = ledger.history(window)
    kept = read_kept(paths.database, zone, SYSTEM_CLOCK, limits, settings.cache)
    return replace(history, standing=replace(history.standing, **kept._asdict()))


def replay(span: int, window: str = "1h", speed: float = 1.0) -> Replaying:
    """The last ``span`` nanoseconds once more; of this machine from its ledger, whether or not its gateway runs."""
    from llmgw.client.feed_replay import RemotePast, Replaying

    now = time.time_ns()
    if address := options.url():
        key = reaching.key_of(address, urlsplit(address).netloc)[1]
        there = RemotePast(Address(address, key), insecure=reaching.insecure())
        return Replaying(address, there, now - span, now, window, speed)
    return Replaying("this machine", _ledger(), now - span, now, window, speed)


def recorded(path: Path, speed: float = 1.0) -> Replaying:
    """Beats out of a file; NotFound and BadRequest where there are none."""
    from llmgw.client.feed_replay import RecordedPast, Replaying

    found = RecordedPast(path)
    return Replaying(path.name, found, found.began, found.ends, found.window, speed)


def demo(window: str) -> Feed:
    """Beats of a private gateway with simulated traffic; from now on it is the one that is meant, until the end."""
    import atexit
    import os
    from contextlib import ExitStack

    from llmgw.service.demo.private import private_gateway

    stack = ExitStack()
    atexit.register(stack.close)
    home, _ = stack.enter_context(private_gateway())
    os.environ.pop("LLMGW_URL", None)
    given = options.given
    given.home, given.config, given.url = str(home), None, None
    return Live("demo", _here, window)


def _ledger() -> LedgerPast:
    from llmgw.client.past import LedgerPast
    from llmgw.config.load import effective_config
    from llmgw.config.zones import read_zone
    from llmgw.storage.database import Database

    paths = options.paths()
    database = Database.open(paths.database, readonly=True)
    return LedgerPast(database, read_zone(effective_config(paths, secrets=False).server.timezone))
