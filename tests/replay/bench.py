"""A real gateway in front of a replaying upstream, with everything that asks it: plain HTTP and the official SDKs."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import anthropic
import httpx
import openai
from replay.upstream import Replayer
from support.gateway import RunningGateway, upstream

from llmgw.providers.registry import providers

if TYPE_CHECKING:
    from pathlib import Path

    from llmgw.providers.base import Provider


class Bench:
    """Runs inside ``with``; every model is served by the one upstream of this ``kind``."""

    def __init__(self, home: Path, kind: str) -> None:
        self._home = home / kind
        self.provider: Provider = providers()[kind]
        self._seen = 0

    def __enter__(self) -> Self:
        self._home.mkdir(parents=True)
        with ExitStack() as stack:
            self.replayer = stack.enter_context(Replayer())
            self.place = upstream(self.provider.name, self.replayer.url)
            gateway = stack.enter_context(RunningGateway(self._home, [self.place]))
            self.http = stack.enter_context(
                httpx.Client(base_url=gateway.url, headers=gateway.auth, timeout=30)
            )
            self.openai = stack.enter_context(
                openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=0, timeout=30)
            )
            self.anthropic = stack.enter_context(
                anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token, max_retries=0, timeout=30)
            )
            self._rows = sqlite3.connect(gateway.database)
            self._rows.row_factory = sqlite3.Row
            stack.callback(self._rows.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def rows(self) -> list[dict[str, Any]]:
        """The ledger's rows since this was asked last: one, that of the call just answered."""
        found = self._rows.execute(
            "SELECT * FROM requests JOIN dimensions d ON d.id = dimension WHERE seq > ? ORDER BY seq",
            (self._seen,),
        ).fetchall()
        self._seen += len(found)
        return [dict(row) for row in found]
