"""The gateway as a process of its own: starting it detached, finding it again, ending it.

A running gateway holds the lock beside its run file for as long as it lives, so a file left behind by a crash, or a
pid that another program has got since, is never taken for it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from llmgw.errors import ConfigInvalid, Conflict, GatewayError, Internal, TimedOut
from llmgw.service.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmgw.config.paths import Paths
    from llmgw.service.launch import Launch

START_SECONDS = 30.0
POLL_SECONDS = 0.02
GRACE_SECONDS = 5.0
"""What a gateway gets beyond its drain time before it is ended by force."""


def find(paths: Paths) -> Running | None:
    """The gateway of this home, if one is running."""
    try:
        running = msgspec.json.decode(paths.run.read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None
    return running if _runs(running, paths) else None


def ask(running: Running, seconds: float) -> str:
    """Whether it is well: ``up``, ``failing`` by its own account, or ``silent`` when it does not answer in time."""
    from http.client import HTTPConnection, HTTPException

    host = running.url.removeprefix("http://").rpartition(":")[0].strip("[]")
    connection = HTTPConnection(host, running.port, timeout=seconds)
    try:
        connection.request("GET", "/health")
        return "up" if connection.getresponse().status == 200 else "failing"
    except (OSError, HTTPException):
        return "silent"
    finally:
        connection.close()


def start(paths: Paths, launch: Launch, *, wait: bool = True) -> Running | None:
    """Start a detached gateway; with ``wait`` return once it answers.

    Conflict when one runs here already or the port is taken, ConfigInvalid when the home cannot be written,
    TimedOut when it is not ready in time; whatever else it failed with is raised as it said it.
    """
    refuse_second(paths)
    make_folders(paths)
    with Path(launch.log_file).open("ab") as log:
        # Credentials travel over the pipe: arguments and environment can be read by others. -P keeps the folder
        # it is started from out of the imports, PYTHONPATH puts this very package there.
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "llmgw.service.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if wait else subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
            cwd=paths.state,
            env=os.environ | {"PYTHONPATH": _import_path()},
        )
    assert child.stdin is not None  # noqa: S101 (a pipe was asked for)
    try:
        with child.stdin:
            child.stdin.write(msgspec.json.encode(launch))
    except BrokenPipeError:
        pass  # it ended at once: what it says, or its log, tells why
    if not wait:
        return None
    try:
        line = _first_line(child)
    except BaseException:
        child.kill()
        raise
    said = msgspec.json.decode(line) if line else {}
    if said.get("ready"):
        return msgspec.convert(said["running"], Running)
    raise _failure(said.get("error"), launch)


def stop(running: Running, paths: Paths, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Ask it to drain and wait until it is gone; False when it had to be killed, as it is on Ctrl-C."""
    try:
        os.kill(running.pid, signal.SIGTERM)
        for _ in range(int((running.drain_seconds + GRACE_SECONDS) / POLL_SECONDS)):
            if not _runs(running, paths):
                return True
            sleep(POLL_SECONDS)
    except ProcessLookupError:
        return True
    except KeyboardInterrupt:
        pass
    os.kill(running.pid, signal.SIGKILL)
    while _runs(running, paths):
        sleep(POLL_SECONDS)
    return False


def refuse_second(paths: Paths) -> None:
    """Conflict when a gateway of this home is running."""
    if running := find(paths):
        raise Conflict(
            f"a gateway is already running at {running.url} (pid {running.pid})",
            code="already_running",
            hint="`llmgw restart` replaces it, `llmgw stop` ends it",
        )


def make_folders(paths: Paths) -> None:
    """Make the folders; ConfigInvalid when they cannot be written."""
    try:
        paths.create()
        for folder in (paths.data, paths.state):
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "permission denied", str(folder))
    except OSError as error:
        raise ConfigInvalid(
            f"cannot write to {error.filename}: {(error.strerror or str(error)).lower()}",
            hint="choose another home with `--home DIR` or LLMGW_HOME",
        ) from error


def explain(error: GatewayError, port: int) -> GatewayError:
    """The same error, naming the program that listens on the port where it is taken and that can be known."""
    if error.code == "port_taken" and (who := listener(port)):
        return Conflict(f"port {port} is taken by {who}", code=error.code, hint=error.hint)
    return error


def listener(port: int) -> str:
    """The program that listens on a TCP port, as ``nginx (pid 812)``; empty where the system does not tell."""
    import shutil

    if Path("/proc/net/tcp").exists():
        return _listener_in_proc(port)
    if not (lsof := shutil.which("lsof")):
        return ""
    command = [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603
    fields = {line[0]: line[1:] for line in reversed(told)}
    return f"{fields['c']} (pid {fields['p']})" if {"c", "p"} <= fields.keys() else ""


def _listener_in_proc(port: int) -> str:
    listening = "0A"
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for columns in map(str.split, lines):
            if columns[3] == listening and int(columns[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{columns[9]}]")
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) in inodes:
                process = link.parents[1]
                return f"{(process / 'comm').read_text(encoding='utf-8').strip()} (pid {process.name})"
        except OSError:
            continue
    return ""


def _runs(running: Running, paths: Paths) -> bool:
    return _alive(running.pid) and _held(paths.lock)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _held(lock: Path) -> bool:
    """Whether some process holds the lock; asked only where a pid is alive, so nobody's start is disturbed."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(lock, mode=0o600, blocking=False):
            return False
    except (Timeout, OSError):
        return True


def _import_path() -> str:
    ours = str(Path(__file__).parents[2])
    return os.pathsep.join(filter(None, (ours, os.environ.get("PYTHONPATH"))))


def _first_line(child: subprocess.Popen[bytes]) -> bytes:
    """What the child announces; empty when it ended without a word."""
    assert child.stdout is not None  # noqa: S101 (a pipe was asked for)
    with child.stdout as pipe:
        if not select.select([pipe], [], [], START_SECONDS)[0]:
            raise TimedOut(
                f"the gateway was not ready in {START_SECONDS:g} s", hint="`llmgw logs` may tell why"
            )
        return pipe.readline()


def _failure(said: dict[str, Any] | None, launch: Launch) -> GatewayError:
    if not said:
        return Internal("the gateway ended before it was ready", hint=f"see the end of {launch.log_file}")
    error = GatewayError(said["message"], hint=said.get("hint"), code=said["code"])
    error.exit_code = said["exit_code"]
    return explain(error, launch.port)
