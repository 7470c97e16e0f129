"""A real gateway for tests: uvicorn on loopback, SQLite on disk, in a thread of this process.

with RunningGateway(tmp_path, [upstream("openai", fake.url)]) as gateway:
    httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=...)
    rows = gateway.requests()
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from llmgw.config.caching import Cache, ExactCache, Idempotency, SemanticCache
from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.domain.route import Tier
from llmgw.providers.base import Upstream
from llmgw.providers.registry import providers
from llmgw.rules.planning import Offer, Plan
from llmgw.service.launch import Launch
from llmgw.service.run import run
from llmgw.storage.control import Control
from llmgw.storage.rows import STATES

SECRET = "test-secret-of-the-gateway"

NO_CACHES = Cache(
    exact=ExactCache(enabled=False), idempotency=Idempotency(ttl=""), semantic=SemanticCache(mode="off")
)
"""What a gateway of a test starts with: most tests send equal requests and mean each of them."""


def upstream(name: str, url: str, **changes: Any) -> Upstream:
    """An upstream of the known provider ``name`` (or ``kind``) at a fake's address."""
    provider = providers()[changes.pop("kind", name)]
    fields = {
        "name": name,
        "provider": provider,
        "base_url": url,
        "credential": "sk-upstream",
        "tier": provider.tier,
        "closed": "models" in changes,
    }
    return Upstream(**(fields | changes))


def plan_of(upstreams: Iterable[Upstream], aliases: dict[str, tuple[str, ...]]) -> Plan:
    """Every upstream open to any model, tiers from the models they list."""
    offers = tuple(
        Offer(
            upstream=each.name,
            tier=each.tier,
            models=each.models,
            patterns=each.provider.model_patterns,
            open=not each.models,
        )
        for each in upstreams
    )
    tiers: dict[Tier, tuple[str, ...]] = {}
    for each in upstreams:
        named = tuple(f"{each.name}/{model}" for model in each.models)
        tiers[each.tier] = (*tiers.get(each.tier, ()), *named)
    return Plan(offers=offers, aliases=aliases, tiers=tiers)


class RunningGateway:
    """Runs inside ``with``; ``auth`` holds a working key's header, ``token`` the key itself."""

    def __init__(
        self,
        home: Path,
        upstreams: Iterable[Upstream],
        aliases: dict[str, tuple[str, ...]] | None = None,
        **launch: Any,
    ) -> None:
        upstreams = tuple(upstreams)
        self.database = home / "llmgw.db"
        self.launch = Launch(
            **{
                "database": str(self.database),
                "lock": str(home / "gateway.lock"),
                "run_file": str(home / "gateway.json"),
                "log_file": str(home / "gateway.log"),
                "host": "127.0.0.1",
                "port": 0,
                "upstreams": upstreams,
                "plan": plan_of(upstreams, aliases or {}),
                "secret": SECRET,
                "drain_seconds": 2,
                "cache": NO_CACHES,
            }
            | launch
        )
        self.token = SECRET
        self.auth = {"authorization": f"Bearer {SECRET}"}
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(20), "the gateway did not start"
        if self._failure is not None:
            raise self._failure
        return self

    def _run(self) -> None:
        def announce(running: Any, server: Any) -> None:
            self.url, self.port, self._server = running.url, running.port, server
            self._ready.set()

        try:
            run(self.launch, announce)
        except BaseException as error:
            self._failure = error
            self._ready.set()

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the gateway did not stop"

    @property
    def control(self) -> Control:
        return Control(self.database, SYSTEM_CLOCK)

    def requests(self) -> list[dict[str, Any]]:
        """Every request's row with its words, in the order of completion."""
        return self._rows("SELECT * FROM requests JOIN dimensions d ON d.id = dimension ORDER BY seq")

    def attempts(self) -> list[dict[str, Any]]:
        """Every attempt's row with its words; ``state`` is spelled out."""
        rows = self._rows(
            "SELECT * FROM attempts JOIN dimensions d ON d.id = dimension ORDER BY request_id, attempt"
        )
        return [row | {"state": STATES[row["state"]].value} for row in rows]

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql)]
