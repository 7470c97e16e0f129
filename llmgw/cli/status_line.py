"""The status line: a gateway's day in a few words, for tmux, starship and Claude Code.

Other programs run it every few seconds and wait for it, so nothing here imports what it can do without: the line of
this machine's gateway never reaches Typer or rich, and while the gateway is up it keeps a file of the figures fresh.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any

from llmgw.domain import spelling
from llmgw.errors import BadRequest, GatewayError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from llmgw.config.paths import Paths
    from llmgw.desk.asking import Offer, Process

FORMAT = "{state}{today} today · {hit} cached · {burn}{left}"
NAME = re.compile(r"\{(\w*)\}")
SEPARATOR = " · "
FRESH, FRESH_UNREAD, UNREAD = 15 * 10**9, 75 * 10**9, 60 * 10**9
"""Nanoseconds for which what the gateway wrote is good: it writes every few seconds while somebody reads, and once a
minute where nobody has for as long as `UNREAD`."""
QUARTER, SPENDING = 900 * 10**9, 300 * 10**9
"""How long figures hold at most while the gateway is down: days and budgets begin on a quarter of an hour, and what an
hour has cost goes down by itself."""


def quick(words: Sequence[str]) -> bool:
    """Print the line of this machine's gateway if nothing else is asked for; False where Typer has to read the words."""
    given = {"--home": None, "--format": FORMAT}
    rest = iter(words)
    as_json = False
    for word in rest:
        if word == "--json":
            as_json = True
        elif word not in given or (value := next(rest, None)) is None:
            return False
        else:
            given[word] = value
    if os.environ.get("LLMGW_URL"):
        return False
    from llmgw.config.paths import locate

    try:
        found = figures(locate(given["--home"]))
        line = machine(found) if as_json else spell(found, given["--format"] or "")
    except GatewayError:
        return False  # it is asked again, and tells what is wrong in the words of every other command
    sys.stdout.write(spelling.printable(line) + "\n")
    return True


def figures(paths: Paths) -> dict[str, Any]:
    """What the line tells of this machine's gateway: what lies ready, else the ledger is asked.

    Of a gateway that is down it is kept for the next reader: nothing changes as long as the files do not.
    """
    found = _ready(paths)
    if found is None:
        found = _asked(paths)
        if found["state"] == "down":
            _keep(paths, found)
    return found


def machine(found: dict[str, Any]) -> str:
    """What programs read."""
    from llmgw.desk.wire import expand

    return json.dumps({"schema": 1, **expand(found)}, ensure_ascii=False)


def spell(found: dict[str, Any], form: str) -> str:
    """The line in words; BadRequest where ``form`` names a figure that there is not."""
    shown = fields(found)

    def word(match: re.Match[str]) -> str:
        if match[1] not in shown:
            raise BadRequest(f"no figure `{match[1]}` here", hint=f"there are {', '.join(shown)}")
        return shown[match[1]]

    return NAME.sub(word, form)


def fields(found: dict[str, Any]) -> dict[str, str]:
    """Every figure that ``--format`` can name, in words. ``state`` and ``left`` are empty where all is well."""
    states = [] if found["state"] == "up" else [f"llmgw {found['state']}"]
    states += [f"KILL {kill['mode']} {kill['scope']}" for kill in found["kills"]]
    return {
        "state": "".join(each + SEPARATOR for each in states),
        "today": spelling.usd(found["today_nanousd"]),
        "month": spelling.usd(found["month_nanousd"]),
        "saved": spelling.usd(found["saved_today_nanousd"]),
        "burn": spelling.per_hour(found["burn_per_hour_nanousd"]),
        "hit": spelling.percent(found["hit_rate"]),
        "prompt_hit": spelling.percent(found["provider_cached_rate"]),
        "requests": spelling.count(found["requests_today"]),
        "errors": spelling.count(found["errors_today"]),
        "left": _left(found["tightest"]),
        "bar": spelling.bar(found["tightest"] and found["tightest"]["used"], 10),
    }


def _left(budget: dict[str, Any] | None) -> str:
    if budget is None:
        return ""
    kind = "nanousd" if budget["unit"] == "money" else "tokens"
    mark = " !" if budget["used"] >= spelling.HIGH else ""
    return (
        f"{SEPARATOR}{budget['scope']} {spelling.amount(budget['unit'], budget[f'left_{kind}'])} left{mark}"
    )


def _ready(paths: Paths) -> dict[str, Any] | None:
    """What lies in the file, if it holds still; by reading it a gateway has a reason to go on writing."""
    path = paths.glance
    try:
        read_at = path.stat().st_mtime_ns
        content = path.read_bytes()
        os.utime(path)
    except FileNotFoundError:
        if path.parent.exists():
            path.touch(mode=0o600)
        return None
    except OSError:
        return None
    try:
        told = json.loads(content or b"null")
        if told is None or not _holds(told, read_at, paths):
            return None
        figures: dict[str, Any] = told["glance"]
        fields(figures)
    except (ValueError, LookupError, TypeError, OverflowError):  # damaged, or of a gateway of another release
        return None
    return figures


def _holds(told: dict[str, Any], read_at: int, paths: Paths) -> bool:
    now = time.time_ns()
    if "until" in told:
        return bool(told["at"] <= now < told["until"] and told["seen"] == _seen(paths))
    fresh = FRESH if now - read_at <= UNREAD else FRESH_UNREAD
    return now - told["at"] <= fresh and _alive(told["pid"])


def _seen(paths: Paths) -> list[Any]:
    """What the figures of a gateway that is down hang on: its files as they are, and where days begin."""
    seen: list[Any] = [os.environ.get("TZ"), os.environ.get("LLMGW_SERVER_TIMEZONE")]
    wal = paths.database.with_name(f"{paths.database.name}-wal")
    for path in (paths.database, wal, paths.config, paths.run):
        try:
            found = path.stat()
        except OSError:
            seen.append(None)
        else:
            seen.append([found.st_ino, found.st_size, found.st_mtime_ns])
    return seen


def _keep(paths: Paths, found: dict[str, Any]) -> None:
    """Leave figures for whoever reads next."""
    from llmgw.config.private import write_private

    now = time.time_ns()
    until = (now // QUARTER + 1) * QUARTER
    if found["burn_per_hour_nanousd"]:
        until = min(until, now + SPENDING)
    told = {"at": now, "until": until, "seen": _seen(paths), "glance": found}
    try:
        if paths.glance.exists():
            write_private(paths.glance, json.dumps(told))
    except OSError:
        return  # it is read again the next time


def _asked(paths: Paths) -> dict[str, Any]:
    from msgspec import to_builtins

    from llmgw.client import local
    from llmgw.desk.glance import ShowGlance

    with local.desk(paths, _offer, lambda: _process(paths.run)) as desk:
        found: dict[str, Any] = to_builtins(desk.ask(ShowGlance()))
    return found


def _process(run_file: Path) -> Process:
    """What the run file says, if that process lives; whether it answers would take a call to find out."""
    from msgspec import DecodeError
    from msgspec.json import decode

    from llmgw.desk.asking import Process
    from llmgw.service.running import Running

    try:
        running = decode(run_file.read_bytes(), type=Running)
    except (OSError, DecodeError):
        running = None
    if running is None or not _alive(running.pid):
        return Process(state="down", log_file="")
    return Process(
        state="up",
        log_file=running.log_file,
        url=running.url,
        pid=running.pid,
        version=running.version,
        started_at=running.started_at,
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _offer() -> Offer:
    from llmgw.cli.reaching import offer

    return offer()
