"""The demo's own process: ``python -m llmgw.service.demo HOME``; says where it is on stdout, ends with its stdin."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import threading
from typing import TYPE_CHECKING, Any

import uvicorn

from llmgw.config.model import Settings
from llmgw.config.paths import locate
from llmgw.config.prices import load_prices
from llmgw.config.zones import read_zone
from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.providers.base import Upstream
from llmgw.providers.registry import providers
from llmgw.service.assemble import build_plan
from llmgw.service.demo.callers import call_on
from llmgw.service.demo.past import budgets, write_past
from llmgw.service.demo.upstreams import application
from llmgw.service.demo.world import CALLERS, MODELS
from llmgw.service.launch import Launch
from llmgw.service.logs import configure
from llmgw.service.prepare import resilience_of
from llmgw.service.run import bind, run
from llmgw.storage.budgets import Budgets
from llmgw.storage.control import Control

if TYPE_CHECKING:
    from pathlib import Path

    from llmgw.config.paths import Paths
    from llmgw.service.running import Running

KINDS = {"ollama": "openai_compatible"}
"""Which words a simulated provider speaks, where not its own."""


def main() -> None:
    """Serve until stdin ends."""
    paths = locate(sys.argv[1])
    paths.create()
    configure(str(paths.log), "info", "text")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every call
    threading.Thread(target=_end_with_stdin, args=[paths.data], daemon=True).start()
    settings, now = Settings(), SYSTEM_CLOCK.now()
    zone = read_zone("")
    with Control(paths.database) as control:
        tokens = {}
        ids = {}
        for caller in CALLERS:
            key, tokens[caller.key] = control.create(
                caller.key, tenant=caller.tenant, user=caller.user, tags=caller.tags
            )
            ids[caller.key] = key.id
        rows = asyncio.run(write_past(paths.database, ids, now))
        Budgets(control).set(*budgets(rows, now, zone))
    launch = _launch(paths, settings, zone.key, _serve_upstreams())
    run(launch, lambda running, _: _begin(running, tokens))


def _begin(running: Running, tokens: dict[str, str]) -> None:
    sys.stdout.write(f"{running.url}\n")
    sys.stdout.flush()
    threading.Thread(target=lambda: asyncio.run(call_on(running.url, tokens)), daemon=True).start()


def _launch(paths: Paths, settings: Settings, zone: str, base: str) -> Launch:
    names = dict.fromkeys(model.provider for model in MODELS)
    upstreams = tuple(_upstream(name, base) for name in names)
    prices: dict[str, dict[str, float]] = {
        f"{model.provider}/{model.name}": {
            "input": model.input,
            "output": model.output,
            "cache_read": model.input / 10,
        }
        for model in MODELS
    }
    plan, _ = build_plan(settings, upstreams, load_prices(prices), SYSTEM_CLOCK.now())
    return Launch(
        database=str(paths.database),
        lock=str(paths.lock),
        run_file=str(paths.run),
        log_file=str(paths.log),
        host="127.0.0.1",
        port=0,
        upstreams=upstreams,
        plan=plan,
        prices=prices,
        timezone=zone,
        drain_seconds=1,
        sources=dict.fromkeys(names, "simulated"),
        resilience=resilience_of(settings),
        probe="off",
        simulated=True,
    )


def _upstream(name: str, base: str) -> Upstream:
    models = tuple(model.name for model in MODELS if model.provider == name)
    fields: dict[str, Any] = {
        "name": name,
        "provider": providers()[KINDS.get(name, name)],
        "base_url": f"{base}/{name}/v1",
        "credential": "simulated",
        "tier": next(model.tier for model in MODELS if model.provider == name),
        "models": models,
        "closed": True,
        "slots": 4 if name == "ollama" else 0,
    }
    return Upstream(**fields)


def _serve_upstreams() -> str:
    """The address of the simulated providers, which are served in a thread of their own."""
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(application(), log_config=None, lifespan="off", ws="none"))
    threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def _end_with_stdin(home: Path) -> None:
    """Whoever started this is gone, however that came about: nothing stays behind."""
    sys.stdin.buffer.read()
    shutil.rmtree(home, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
