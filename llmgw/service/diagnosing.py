"""Everything that can be wrong with an installation, looked at in turn; each finding says what helps."""

from __future__ import annotations

import os
import platform
import socket
import sqlite3
import ssl
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

import msgspec
from msgspec import Struct

from llmgw import __version__
from llmgw.config.load import effective_config
from llmgw.config.model import Settings
from llmgw.config.paths import Paths
from llmgw.config.prices import load_prices
from llmgw.errors import GatewayError
from llmgw.service import background
from llmgw.service.assemble import Survey, survey
from llmgw.service.running import Running
from llmgw.storage.database import Database
from llmgw.storage.secrets import probe_keyring
from llmgw.storage.verify import verify

if TYPE_CHECKING:
    from llmgw.providers.base import Upstream

STALE_PRICES_DAYS = 180
REACH_SECONDS = 3.0
ANSWER_SECONDS = 5.0
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Check(Struct, frozen=True):
    """One thing looked at: what it is, how it stands, in words, and the command or change that helps."""

    name: str
    state: State
    message: str
    hint: str | None = None


class Scene(Struct):
    """What the checks look at; ``settings`` and ``found`` are None where the configuration is broken."""

    paths: Paths
    fix: bool
    settings: Settings | None = None
    found: Survey | None = None
    running: Running | None = None


Look = Callable[[Scene], Iterable[Check]]


def diagnose(paths: Paths, *, fix: bool = False) -> Iterator[Check]:
    """Every check, as it is made. ``fix`` mends what can be mended without a choice: folders and permissions."""
    scene = Scene(paths, fix, running=background.find(paths))
    for look in LOOKS:
        try:
            yield from look(scene)
        except GatewayError as error:
            yield Check(look.__name__.strip("_"), State.FAILED, error.message, error.hint)


def _python(_: Scene) -> Iterator[Check]:
    version = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.platform(terse=True)}"
    old = sys.version_info < (3, 11)
    yield Check(
        "python", State.FAILED if old else State.OK, version, "llmgw needs Python 3.11" if old else None
    )


def _paths(scene: Scene) -> Iterator[Check]:
    if scene.fix:
        background.make_folders(scene.paths)
    folders = (scene.paths.data, scene.paths.state)
    for folder in dict.fromkeys(folders):
        there = next(each for each in (folder, *folder.parents) if each.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            yield Check(
                "paths",
                State.FAILED,
                f"{folder} cannot be written",
                "choose another with --home or LLMGW_HOME",
            )
            return
    yield Check("paths", State.OK, f"{scene.paths.state} can be written")


def _config(scene: Scene) -> Iterator[Check]:
    scene.settings = settings = effective_config(scene.paths)
    where = str(settings.path) if settings.path else "no file, defaults in force"
    yield Check("config", State.OK, where)
    for note in settings.notes:
        yield Check("config", State.WARNING, note)


def _permissions(scene: Scene) -> Iterator[Check]:
    files = [path for path in (scene.paths.credentials, scene.paths.database) if path.exists()]
    files += sorted(scene.paths.keys.glob("*.key"))
    for path in files:
        if not path.stat().st_mode & OTHERS:
            continue
        if scene.fix:
            path.chmod(0o600)
            yield Check("permissions", State.OK, f"{path} is yours alone now")
        else:
            yield Check(
                "permissions", State.FAILED, f"{path} is open to other users", f"chmod 600 {path}, or `--fix`"
            )


def _database(scene: Scene) -> Iterator[Check]:
    path = scene.paths.database
    if not path.exists():
        yield Check("database", State.OK, "none yet; the first start makes it")
        return
    with (
        Database.open(path, readonly=True) as database,
        closing(database.connect(readonly=True)) as connection,
    ):
        boot = scene.running.boot if scene.running else ""
        (live,) = connection.execute(
            "SELECT coalesce(max(id), 0) FROM boots WHERE name = ?", (boot,)
        ).fetchone()
        findings = verify(connection, live)
        (newest,) = connection.execute("SELECT coalesce(max(started_at), 0) FROM requests").fetchone()
    size = path.stat().st_size / 1_048_576
    stuck = [finding for finding in findings if finding.code == "stuck"]
    if not findings:
        yield Check("database", State.OK, f"{path} ({size:,.1f} MB) adds up")
    if stuck:
        yield Check(
            "database",
            State.WARNING,
            f"{len(stuck)} requests of a run that broke off",
            "the next start settles them",
        )
    for finding in findings:
        if finding not in stuck:
            yield Check(
                "database", State.FAILED, finding.message, "please report this: `llmgw doctor --bundle`"
            )
    if newest > time.time_ns() + 60 * 10**9:
        yield Check(
            "clock", State.FAILED, "the clock stands before the last request", "set the system's time"
        )


def _clock(scene: Scene) -> Iterator[Check]:
    prices = load_prices(scene.settings.prices if scene.settings else None, scene.paths.prices)
    today = datetime.now(UTC).date()
    if prices.generated is None:
        return
    age = (today - prices.generated).days
    if age < 0:
        message = f"it is {today} here, yet the price list is of {prices.generated}"
        yield Check("clock", State.FAILED, message, "set the system's time: budgets and reports go by it")
        return
    yield Check("clock", State.OK, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    stale = age > STALE_PRICES_DAYS
    state = State.WARNING if stale else State.OK
    yield Check(
        "prices", state, f"of {prices.generated}, {age} days old", "`llmgw model sync`" if stale else None
    )


def _port(scene: Scene) -> Iterator[Check]:
    if scene.settings is None:
        return
    server = scene.settings.server
    if scene.running:
        yield Check("port", State.OK, f"{scene.running.port} is ours (pid {scene.running.pid})")
        return
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host, server.port))
        except OSError as error:
            who = background.listener(server.port) or error.strerror or str(error)
            hint = f"`llmgw serve --port {server.port + 1}`"
            yield Check("port", State.FAILED, f"{server.host}:{server.port} cannot be taken: {who}", hint)
        else:
            yield Check("port", State.OK, f"{server.port} is free")


def _gateway(scene: Scene) -> Iterator[Check]:
    running = scene.running
    if running is None:
        yield Check("gateway", State.WARNING, "not running", "`llmgw serve`")
        return
    match background.ask(running, ANSWER_SECONDS):
        case "silent":
            yield Check(
                "gateway", State.FAILED, f"{running.url} does not answer", "`llmgw restart`, `llmgw logs`"
            )
        case "failing":
            yield Check(
                "gateway", State.FAILED, f"{running.url} says it is failing", "`llmgw logs --level warn`"
            )
        case _ if running.version != __version__:
            message = f"runs {running.version}, installed is {__version__}"
            yield Check("gateway", State.WARNING, message, "`llmgw restart`")
        case _:
            yield Check("gateway", State.OK, f"{running.url} answers")


def _credentials(scene: Scene) -> Iterator[Check]:
    if scene.settings is None:
        return
    scene.found = found = survey(scene.settings, scene.paths)
    for name, source in found.sources.items():
        yield Check("credentials", State.OK, f"{name} from {source}")
    for problem in found.problems:
        yield Check("credentials", State.WARNING, problem)
    for problem in found.lost:
        yield Check("routes", State.WARNING, problem, "`llmgw route list` shows what is in force")
    if [upstream.name for upstream in found.upstreams] == ["echo"]:
        hint = "`llmgw provider add openai`, or start Ollama"
        yield Check("credentials", State.WARNING, "no provider: the built-in echo answers", hint)


def _keyring(_: Scene) -> Iterator[Check]:
    try:
        backend = probe_keyring()
    except GatewayError as error:
        yield Check("keyring", State.WARNING, error.message, error.hint)
    else:
        yield Check("keyring", State.OK, f"{backend} keeps what it is given")


def _upstreams(scene: Scene) -> Iterator[Check]:
    """TCP and TLS only: it costs nothing and needs no credential."""
    upstreams = [
        each for each in (scene.found.upstreams if scene.found else ()) if urlsplit(each.base_url).hostname
    ]
    with ThreadPoolExecutor(max_workers=8) as pool:
        yield from pool.map(_reach, upstreams)


def _reach(upstream: Upstream) -> Check:
    parts = urlsplit(upstream.base_url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    if not upstream.provider.local and getproxies().get(parts.scheme):
        return Check("upstream", State.OK, f"{upstream.name} is reached through a proxy, not tried")
    try:
        with socket.create_connection((host, port), REACH_SECONDS) as raw:
            if secure:
                ssl.create_default_context().wrap_socket(raw, server_hostname=host).close()
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "is it running?" if upstream.provider.local else "check the network, a proxy or the address"
        return Check("upstream", State.FAILED, f"{upstream.name} at {host}:{port}: {reason.lower()}", hint)
    return Check("upstream", State.OK, f"{upstream.name} at {host}:{port}")


LOOKS: tuple[Look, ...] = (
    _python, _paths, _config, _permissions, _database, _clock, _port, _gateway, _credentials, _keyring, _upstreams,
)  # fmt: skip


def write_bundle(paths: Paths, checks: Iterable[Check], secrets: Iterable[str], target: Path) -> None:
    """A zip for a bug report: the checks, the options in force and the end of the log, every secret cut out."""
    import zipfile

    from llmgw.service.logs import mask

    known = sorted(filter(None, secrets), key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in known:
            text = text.replace(secret, "***")
        return mask(text).replace(str(Path.home()), "~")

    files = {
        "checks.json": msgspec.json.format(msgspec.json.encode(list(checks))).decode(),
        "version.txt": __version__,
    }
    for name, path in {"llmgw.toml": paths.config, "gateway.log": paths.log}.items():
        if path.is_file():
            files[name] = "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-500:])
    with (
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle,
    ):
        for name, text in files.items():
            bundle.writestr(name, clean(text))
