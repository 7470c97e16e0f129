"""Alerts: what the gateway noticed, and whom it tells."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from msgspec import to_builtins

from llmgw.cli import notices, options, output
from llmgw.cli.output import Column
from llmgw.errors import ConfigInvalid, UpstreamFailed

PLACE = "CONTROL", 5
ELSEWHERE = ("list",)

app = typer.Typer()


@app.command("list")
def list_alerts(
    limit: Annotated[int, typer.Option(help="At most this many.", min=1, max=10_000)] = 100,
) -> None:
    """List what was noticed, newest first: each budget mark, trip of the kill switch and paused loop once.

    Examples:
      llmgw alert list
      llmgw alert list --limit 5 --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.notices import ListNotices

    with gateway() as there:
        found = there.ask(ListNotices(limit=limit)).notices
    if not found:
        notices.note("nothing was noticed yet")
    columns = [Column("at", "WHEN"), Column("kind"), Column("message"), Column("name", wide=True)]
    output.rows(map(to_builtins, found), columns, noun="notices")


@app.command()
def test() -> None:
    """Send a test alert by every way of [alerts], once each, and say whether it arrived.

    Examples:
      llmgw alert test
    """
    from llmgw.config.load import effective_config
    from llmgw.service.alerting import AlertFailed, channels
    from llmgw.storage.notices import Notice

    ways = dict(channels(effective_config(options.paths()).alerts))
    if not ways:
        raise ConfigInvalid(
            "no way to send alerts is configured",
            hint="[alerts] in llmgw.toml; `llmgw config set alerts.webhook '${ALERT_WEBHOOK}'`",
        )
    notice = Notice(time.time_ns(), "test", "test", "this is a test alert")
    rows = []
    for name, send in ways.items():
        try:
            send(notice)
        except AlertFailed as error:
            rows.append({"name": name, "sent": False, "error": str(error)})
        else:
            rows.append({"name": name, "sent": True, "error": None})
    output.rows(rows, [Column("name"), Column("sent"), Column("error")], noun="alerts")
    if failed := [row["name"] for row in rows if not row["sent"]]:
        raise UpstreamFailed(f"the test alert did not arrive: {', '.join(map(str, failed))}")
