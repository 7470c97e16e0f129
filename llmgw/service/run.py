"""The gateway's own process: wires every room below, serves until told to stop, leaves nothing half done."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
from filelock import FileLock, Timeout

from llmgw import __version__
from llmgw.api.app import build
from llmgw.api.prometheus import Door
from llmgw.config.prices import load_prices
from llmgw.config.private import write_private
from llmgw.domain.budget import Budget
from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.domain.identity import Key
from llmgw.domain.killswitch import AUTOMATIC, REQUEST, Kill, Mode
from llmgw.errors import Conflict, GatewayError, NotAllowed, Unavailable
from llmgw.gates.authenticate import KeyRing
from llmgw.gates.catalogue import Catalogue
from llmgw.gates.counted import Counted, each_of
from llmgw.gates.killswitch import KillSwitch
from llmgw.gates.loops import LoopBreaker
from llmgw.gates.metering import Meter
from llmgw.gates.reserve import Purse
from llmgw.gates.resilience import Resilience
from llmgw.gates.route import Router
from llmgw.gates.shadow import Shadows
from llmgw.gates.state import Gateway
from llmgw.gates.throttle import Throttle
from llmgw.gates.tracing import Traces
from llmgw.providers.registry import target_dialect
from llmgw.providers.transport import Transport
from llmgw.service.alerting import Alerter, channels
from llmgw.service.caches import close_caches, open_caches, open_semantics
from llmgw.service.desks import desks
from llmgw.service.glancing import keep_glance
from llmgw.service.keeping import SECRET_KEY_ID, look_after, taken
from llmgw.service.otlp import TIMEOUT, Collector
from llmgw.service.probing import probe
from llmgw.service.pulsing import Pulsing
from llmgw.service.running import Running
from llmgw.service.telling import Teller
from llmgw.service.tiering import build_tiering
from llmgw.storage.budgets import Budgets
from llmgw.storage.control import Control
from llmgw.storage.headroom import forget_headroom
from llmgw.storage.keyring import Keys
from llmgw.storage.kills import Kills
from llmgw.storage.ledger import Ledger
from llmgw.storage.limits import Limits

if TYPE_CHECKING:
    import uvicorn

    from llmgw.rules.planning import Plan
    from llmgw.service.launch import Launch
    from llmgw.service.server import Server

log = logging.getLogger("llmgw")

STOP_POLL = 0.1
"""Seconds between two looks at whether to stop, as uvicorn does it."""

CUT_SECONDS = 3
"""What calls get, once they are cut, to tell their callers so."""
DECLARED = "declared_budget"
"""The setting that remembers which budget the configuration declared last."""

Announce = Callable[[Running, "uvicorn.Server"], None]
"""Told what is running, and the server, whose ``should_exit`` ends it as SIGTERM would."""


def bind(host: str, port: int) -> socket.socket:
    """The listening socket; Conflict when the port is taken, before anything else has been touched."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except PermissionError as error:
        listener.close()
        raise NotAllowed(
            f"this user may not listen on port {port}", hint="take one above 1023: `--port 8000`"
        ) from error
    except OSError as error:
        listener.close()
        raise Conflict(
            f"port {port} of {host} is taken by another program ({error.strerror})",
            code="port_taken",
            hint=f"`llmgw serve --port {port + 1}` takes another one",
        ) from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener


async def serve(launch: Launch, announce: Announce) -> None:
    """Serve until SIGTERM or SIGINT, then drain; ``announce`` is called once the first request would be answered."""
    import uvicorn

    from llmgw.service.server import Protocol, Server, Turn

    boot, token, meter = secrets.token_hex(8), secrets.token_urlsafe(32), Meter()
    collector = None
    if launch.otel.endpoint:
        collector = Collector(launch.otel, boot, {each.name: each.base_url for each in launch.upstreams})
    lock = FileLock(launch.lock, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise Conflict(
            "a gateway is already running here",
            code="already_running",
            hint="`llmgw status` shows it, `llmgw stop` ends it",
        ) from None
    listener = bind(launch.host, launch.port)
    counted = Counted(SYSTEM_CLOCK, _configured(launch.plan))
    traces = Traces() if collector else None
    ledger = Ledger.open(
        Path(launch.database),
        boot,
        SYSTEM_CLOCK,
        strict=launch.durability == "strict",
        told=each_of(counted.take, meter.take, *([traces.take] if traces else [])),
    )
    control = Control(Path(launch.database), SYSTEM_CLOCK)
    transport = Transport(int(launch.max_answer_mb * 1_048_576))
    alerts = launch.alerts
    teller = Teller(Path(launch.database), Alerter(alerts) if any(channels(alerts)) else None)
    caches, cacheless = await open_caches(launch.cache, Path(launch.database), SYSTEM_CLOCK)
    try:
        recovered = ledger.recover()
        budgets, limits, version = Budgets(control), Limits(control), control.stamp.read
        _declare(control, budgets, launch.daily_budget)
        _end_pauses(Kills(control))
        prices = load_prices(launch.prices, Path(launch.database).with_name("prices.toml"))
        gateway = Gateway(
            catalogue=Catalogue(),
            clock=SYSTEM_CLOCK,
            keys=KeyRing(Keys(control), version, own=_own_keys(launch.secret, token)),
            killswitch=KillSwitch(
                Kills(control).list,
                control.stamp.read,
                partial(_keep_kill, Path(launch.database)),
                launch.trips,
            ),
            ledger=ledger,
            limits=Throttle(
                limits.list, version, SYSTEM_CLOCK, launch.limits, launch.wait_seconds, limits.taken
            ),
            prices=prices,
            purse=Purse(
                budgets,
                control.stamp.read,
                ZoneInfo(launch.timezone),
                teller.tell,
                launch.wait_seconds,
            ),
            resilience=Resilience(launch.resilience, SYSTEM_CLOCK, teller.say),
            router=Router(launch.plan, launch.upstreams, target_dialect),
            transport=transport,
            max_body=int(launch.max_body_mb * 1_048_576),
            tell=teller.say,
            tiering=build_tiering(
                launch.router,
                launch.plan,
                launch.upstreams,
                prices,
                ZoneInfo(launch.timezone),
                ledger.decisions,
            ),
            loops=None if launch.loops.watch == "off" else LoopBreaker(launch.loops),
            last_id=ledger.last_id(),
            caches=caches,
            cacheless=cacheless,
            counted=counted,
            traces=traces,
            meter=meter,
            shadows=None if launch.router.shadow is None else Shadows(launch.router.shadow),
        )
        gateway.purse.refresh(SYSTEM_CLOCK.now())
        gateway.limits.refresh()
        gateway.killswitch.look(gateway)
        running = _describe(launch, listener, boot, token)
        pulsing = Pulsing(gateway, launch, running, teller, version)
        server = Server(
            uvicorn.Config(
                build(
                    gateway,
                    desks(gateway, launch, running),
                    pulsing,
                    launch.cors_origins,
                    Door(launch.metrics.open, launch.metrics.secret),
                ),
                loop="none",
                http=partial(  # type: ignore[arg-type]
                    Protocol, write_timeout=launch.write_timeout, turn=Turn(asyncio.get_running_loop())
                ),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=round(launch.drain_seconds) + CUT_SECONDS,
            )
        )
        if threading.current_thread() is threading.main_thread():
            # uvicorn raises a signal once more after draining, which would end the process before the ledger is closed
            signal.signal(signal.SIGTERM, lambda *_: None)
            hangup = getattr(signal, "SIGHUP", None)  # its terminal is closed; Windows has none
            if hangup and signal.getsignal(hangup) is signal.SIG_DFL:
                signal.signal(hangup, server.handle_exit)
        serving = asyncio.create_task(server.serve([listener]))
        while not server.started and not serving.done():  # noqa: ASYNC110 (uvicorn tells by a flag)
            await asyncio.sleep(0.002)
        if server.started:
            _quieten_collector()
            write_private(Path(launch.run_file), msgspec.json.encode(running))
            if recovered:
                log.warning(
                    "the last run did not end well: %d calls are charged at their estimate",
                    recovered.orphaned,
                )
            log.info("llmgw %s is up at %s", __version__, running.url)
            announce(running, server)
        probing = asyncio.create_task(probe(gateway, launch.probe))
        beating = asyncio.create_task(pulsing.run())
        switching = asyncio.create_task(gateway.killswitch.watch(gateway))
        watching = asyncio.create_task(look_after(gateway, control, launch, running))
        glancing = asyncio.create_task(
            keep_glance(Path(launch.run_file).with_name("statusline"), desks(gateway, launch, running))
        )
        tracing = asyncio.create_task(collector.run(gateway, traces)) if collector and traces else None
        opening = asyncio.create_task(
            open_semantics(caches, launch.cache.semantic, Path(launch.database), SYSTEM_CLOCK)
        )
        cutting = asyncio.create_task(_cut(server, gateway, launch.drain_seconds))
        shadowing = asyncio.create_task(_shadow(gateway))
        try:
            await serving
        finally:  # also when Ctrl-C has cancelled this
            watching.cancel()
            glancing.cancel()
            if tracing:
                tracing.cancel()
                await asyncio.wait([tracing], timeout=2 * TIMEOUT)
            opening.cancel()
            cutting.cancel()
            probing.cancel()
            beating.cancel()
            switching.cancel()
            shadowing.cancel()
            with contextlib.suppress(GatewayError):
                control.touch(taken(gateway.keys.used))
            log.info("stopped")
            await pulsing.close()
    finally:
        await transport.close()
        await close_caches(caches)
        ledger.close()
        control.close()
        forget_headroom(Path(launch.database))
        _remove(Path(launch.run_file))
        lock.release()


async def _shadow(gateway: Gateway) -> None:
    """Let local models repeat calls while they are idle, where the operator wants that."""
    if gateway.shadows is not None:
        await gateway.shadows.run(gateway)


def _own_keys(secret: str, token: str) -> tuple[Key, ...]:
    """Keys that are in no database and open everything: of whoever may read the run file, and `server.secret` (D-03)."""
    from hashlib import sha256

    return tuple(
        Key(id=SECRET_KEY_ID, name=name, hash=sha256(value.encode()).digest(), admin=True)
        for name, value in (("local", token), ("gateway-secret", secret))
        if value
    )


async def _cut(server: Server, gateway: Gateway, seconds: float) -> None:
    """Once the server stops give calls under way their seconds, less when it is told so twice; then cut them."""
    await server.stopping.wait()
    gateway.meter.end()
    end = time.monotonic() + seconds
    while not server.hurry and time.monotonic() < end:  # noqa: ASYNC110 (a signal tells)
        await asyncio.sleep(STOP_POLL)
    for call in gateway.killswitch.running:
        call.stopped = call.stopped or Unavailable(
            "the gateway is stopping", code="stopping", hint="send it again"
        )
    for task in tuple(server.server_state.tasks):
        task.cancel()


def _declare(control: Control, budgets: Budgets, declared: Budget | None) -> None:
    """Put a declared budget in force if it is another one than before, and nobody has put their own in its place."""
    text = "" if declared is None else msgspec.json.encode(declared).decode()
    before = control.setting(DECLARED) or ""
    if text == before:
        return
    old = msgspec.json.decode(before, type=Budget) if before else None
    stored = {budget.name: budget for budget in budgets.list()}
    if old is not None and stored.get(old.name) == old:
        budgets.remove(old.scope, old.window, old.unit)
        del stored[old.name]
    if declared is not None and declared.name not in stored:
        budgets.set(declared)
    control.set(DECLARED, text)


def _end_pauses(kills: Kills) -> None:
    """Pauses of loops, and of single calls, end with the process that remembers them."""
    for kill in kills.list():
        if kill.mode is Mode.PAUSE or kill.scope.startswith(REQUEST):
            kills.remove(kill.scope)


def _configured(plan: Plan) -> set[tuple[str, str]]:
    """The models that somebody wrote down, as provider and model."""
    names = {target.partition("/")[::2] for targets in plan.tiers.values() for target in targets}
    return names | {(offer.upstream, model) for offer in plan.offers for model in offer.models}


def _keep_kill(database: Path, kill: Kill) -> None:
    """Write a switch down; one that threw itself leaves alone what somebody else has thrown meanwhile."""
    with Control(database) as control:
        if kill.mode is Mode.OFF:
            Kills(control).remove(kill.scope)
        else:
            Kills(control).set(kill, replace=kill.by != AUTOMATIC)


def _describe(launch: Launch, listener: socket.socket, boot: str, token: str) -> Running:
    port = listener.getsockname()[1]
    shown = "127.0.0.1" if launch.host in {"0.0.0.0", "::", ""} else launch.host  # noqa: S104 (compared, not bound)
    return Running(
        pid=os.getpid(),
        url=f"http://{f'[{shown}]' if ':' in shown else shown}:{port}",
        host=launch.host,
        port=port,
        boot=boot,
        version=__version__,
        started_at=SYSTEM_CLOCK.now(),
        log_file=launch.log_file,
        drain_seconds=launch.drain_seconds,
        flags=launch.flags,
        lost=launch.lost,
        token=token,
    )


def _quieten_collector() -> None:
    """Everything loaded so far lives as long as the process: the collector need not walk it on every round."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 2, 500)  # each round is short enough for the event loop to wait for


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def run(launch: Launch, announce: Announce) -> None:
    """``serve`` on the fastest event loop there is here."""
    loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):  # Windows has none
        from uvloop import new_event_loop as loop
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(serve(launch, announce))
