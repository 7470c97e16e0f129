"""Drain and stop the gateway."""

from __future__ import annotations

import time

from llmgw.cli import notices, options, output
from llmgw.errors import not_running

PLACE = "GATEWAY", 2


def command() -> None:
    """Drain and stop the gateway.

    Requests in flight get `server.drain_seconds` (10) to end; Ctrl-C ends them at once.

    Examples:
      llmgw stop
      llmgw stop --json
    """
    from llmgw.service import background

    paths = options.paths()
    running = background.find(paths)
    if running is None:
        raise not_running()
    begun = time.monotonic()
    notices.detail(f"asking pid {running.pid} to stop")
    drained = background.stop(running, paths)
    spent = time.monotonic() - begun
    if not drained:
        notices.warn("ended by force; the next start settles what was in flight at its estimate")
    output.record(
        {
            "stopped": True,
            "drained": drained,
            "pid": running.pid,
            "url": running.url,
            "seconds": round(spent, 3),
        },
        ident="pid",
        text=f"llmgw has stopped  (pid {running.pid}, {spent:.1f} s)",
    )
