"""Stop the gateway once its requests have ended, and start it anew."""

from __future__ import annotations

from llmgw.cli import notices, options
from llmgw.cli.commands.serve import Host, Port, begin

PLACE = "GATEWAY", 3


def command(host: Host = None, port: Port = None) -> None:
    """Stop the gateway once its requests have ended, and start it anew.

    The config is read again; what was typed at `llmgw serve` still counts. One that is not running is started.

    Examples:
      llmgw restart
      llmgw restart --port 8080
    """
    from llmgw.service import background
    from llmgw.service.prepare import prepare

    paths = options.paths()
    typed = {"server.host": host, "server.port": port}
    running = background.find(paths)
    flags = {
        **(running.flags if running else {}),
        **{name: value for name, value in typed.items() if value is not None},
    }
    if running:
        prepare(paths, flags)  # a mistake in the config is told while the old one still serves
        if not background.stop(running, paths):
            notices.warn("ended by force; the start settles what was in flight at its estimate")
    begin(paths, flags)
