"""Show the gateway's log, and follow it."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from llmgw.cli import notices, options, output
from llmgw.cli.options import Format
from llmgw.cli.output import Column
from llmgw.cli.ranges import parse_moment
from llmgw.desk.wire import rfc3339
from llmgw.errors import START, NotFound, NotRunning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PLACE = "GATEWAY", 5

TEXT = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z) (\w+) ([\w.]+): (.*)")
COLUMNS = [Column("time"), Column("level"), Column("logger"), Column("message")]
TAIL = 100
POLL_SECONDS = 0.2


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    WARNING = "warning"
    ERROR = "error"


SEVERITY = {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40, "critical": 50}


class Line(NamedTuple):
    """One event; ``message`` may run over several lines, as a traceback does."""

    time: str
    level: str
    logger: str
    message: str


def command(
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines are written.")] = False,
    since: Annotated[
        str | None, typer.Option(help="From this time on: 10m, 24h, 2026-11-01.", metavar="TIME")
    ] = None,
    tail: Annotated[
        int | None,
        typer.Option(min=0, help=f"Only the last lines; {TAIL} without --since, 0 for all.", metavar="N"),
    ] = None,
    level: Annotated[Level, typer.Option(help="Least severity.", metavar="LEVEL")] = Level.DEBUG,
) -> None:
    """Show the gateway's log, and follow it.

    Without a running gateway the last log is shown, and the exit code is 3.

    Examples:
      llmgw logs -f
      llmgw logs --since 10m --level warn
      llmgw logs --tail 20 --json
    """
    from llmgw.service import background

    paths = options.paths()
    running = background.find(paths)
    path = Path(running.log_file) if running else paths.log
    if running and not running.log_file:
        raise NotFound("this gateway runs in the foreground and logs to its terminal")
    if not running and not path.exists():
        raise NotRunning("the gateway is not running, and there is no log yet", hint=START)
    start = "" if since is None else rfc3339(parse_moment(since, time.time_ns()))

    def keep(line: Line) -> bool:
        return line.time >= start and SEVERITY.get(line.level, 50) >= SEVERITY[level]

    count = (0 if since else TAIL) if tail is None else tail
    position = path.stat().st_size if path.exists() else 0
    found = recent(path, keep, count)
    if follow and running:
        stream = output.Stream(COLUMNS, {"time": 24, "level": 7, "logger": 16}, ident="message")
        _show(found, stream)
        _show(filter(keep, parse(watch(path, position))), stream)
    elif options.given.output is Format.TABLE and not options.given.fields:
        _show(found, None)
    else:
        output.rows([line._asdict() for line in found], COLUMNS, noun="lines", ident="message")
    if not running:
        notices.note("the gateway is not running; this is the end of its last log")
        notices.hint(START)
        raise typer.Exit(NotRunning.exit_code)


def _show(lines: Iterable[Line], stream: output.Stream | None) -> None:
    for line in lines:
        if stream is None or (options.given.output is Format.TABLE and not options.given.fields):
            output.text(f"{line.time} {_colored(line.level)} {line.logger}: {line.message}")
        else:
            stream.write(line._asdict())


def _colored(level: str) -> str:
    severity = SEVERITY.get(level, 50)
    if severity < SEVERITY["warn"]:
        return level
    color = notices.RED if severity >= SEVERITY["error"] else notices.YELLOW
    return options.styled(level, color, sys.stdout)


def parse(lines: Iterable[str]) -> Iterator[Line]:
    """Read text and JSON lines; what begins no event belongs to the one before."""
    held: Line | None = None
    for raw in lines:
        if not raw:  # nothing more for now: whoever follows wants what there is
            if held:
                yield held
            held = None
        elif begun := _begin(raw):
            if held:
                yield held
            held = begun
        elif held:
            held = held._replace(message=f"{held.message}\n{raw}")
        else:
            held = Line("", "error", "llmgw", raw)
    if held:
        yield held


def _begin(raw: str) -> Line | None:
    if match := TEXT.fullmatch(raw):
        return Line(*match.groups())
    if raw.startswith("{"):
        try:
            said = json.loads(raw)
            message = "\n".join(filter(None, (said["message"], said.get("exception"))))
            return Line(said["time"], said["level"], said["logger"], message)
        except (ValueError, KeyError, TypeError):
            return None
    return None


def recent(path: Path, keep: Callable[[Line], bool], count: int) -> list[Line]:
    """Collect the last ``count`` lines that match (0: all), from rotated files too, oldest first."""
    found: list[Line] = []
    for file in (path, *(path.with_name(f"{path.name}.{number}") for number in range(1, 10))):
        if not file.exists() or (count and len(found) >= count):
            break
        with file.open(encoding="utf-8", errors="replace") as log:
            found = [line for line in parse(raw.rstrip("\n") for raw in log) if keep(line)] + found
    return found[-count:] if count else found


def watch(path: Path, position: int) -> Iterator[str]:
    """Yield lines as they are written, "" when there are none for now; goes on in the new file after a rotation."""
    log = path.open(encoding="utf-8", errors="replace")
    log.seek(position)
    rest = ""
    while True:
        if chunk := log.read():
            *whole, rest = (rest + chunk).split("\n")
            yield from filter(None, whole)
            continue
        yield ""
        time.sleep(POLL_SECONDS)
        try:
            rotated = path.stat().st_ino != os.fstat(log.fileno()).st_ino
        except FileNotFoundError:
            continue
        if rotated and not (last := log.read()):
            log.close()
            log = path.open(encoding="utf-8", errors="replace")
        elif rotated:
            yield from filter(None, last.split("\n"))
