"""Run a program with a budget of its own."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from llmgw.cli import notices, options
from llmgw.cli.linking import environment, executable
from llmgw.desk.budgets import RUN
from llmgw.domain import amounts, spelling
from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.scope import Scope, ScopeKind
from llmgw.errors import BadRequest, BudgetExceeded, not_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmgw.config.paths import Paths
    from llmgw.storage.control import Control

PLACE = "SETUP", 4

LIFE = 7 * 86_400 * 10**9
"""Nanoseconds after which a key ends by itself whose run was killed before it could revoke it."""

SETTLE_SECONDS = 3.0
"""How long the receipt waits for calls that the program left under way."""


def command(
    program: Annotated[
        list[str], typer.Argument(help="The program and its arguments, after --.", metavar="PROGRAM")
    ],
    budget: Annotated[
        str,
        typer.Option(help="What it may spend: 2.50, or 200k-tokens.", metavar="AMOUNT", show_default=False),
    ],
    on_exceed: Annotated[
        str,
        typer.Option(
            help="What becomes of calls that do not fit: stop, downgrade:TIER or cache.", metavar="ACTION"
        ),
    ] = "stop",
    models: Annotated[
        list[str] | None,
        typer.Option(help="Model it may use, as gpt-5-* or cheap/*; repeatable.", metavar="PATTERN"),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Tag its requests carry; repeatable.", metavar="TAG")
    ] = None,
) -> None:
    """Run a program with a key and a budget of its own, and print a receipt.

    The key counts only while the program runs. A call that does not fit under the budget is refused with 402, or
    sent elsewhere with --on-exceed. The receipt goes to stderr; the exit code is the program's own.

    Examples:
      llmgw run --budget 2.50 -- claude -p "fix the failing test"
      llmgw run --budget 200k-tokens --models 'cheap/*' -- python nightly.py
      llmgw run --budget 1 --on-exceed downgrade:local -- aider
    """
    from llmgw.client import local
    from llmgw.config.load import effective_config
    from llmgw.service import background
    from llmgw.storage.budgets import check

    paths = options.paths()
    path = executable(program[0])
    unit, hard = amounts.parse_amount(budget)
    name = f"run-{secrets.token_hex(4)}"
    limit = Budget(
        scope=Scope(ScopeKind.KEY, name), window=Window.TOTAL, unit=unit, hard=hard, on_exceed=on_exceed
    )
    check(limit)
    running = background.find(paths)
    if running is None:
        raise not_running()
    allowed = tuple(models or effective_config(paths).keys.defaults.models)
    child, began = _Child(), time.time_ns()
    with local.control(paths) as control, child.signals():
        with _issued(control, limit, allowed, tuple(tag or ())) as token:
            notices.detail(f"key `{name}`, {spelling.amount(unit, hard)}")
            code = child.run(path, program, environment(path, running.url, token))
        _settled(control, name)
    _receipt(paths, limit, began)
    raise typer.Exit(code)


class _Child:
    """The program; signals that are meant for it reach it, and this process outlives it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, path: str, words: list[str], environ: dict[str, str]) -> int:
        """Its exit code as a shell tells it: 128 and the signal's number where one ended it."""
        try:
            self._process = subprocess.Popen(words, executable=path, env=environ)  # noqa: S603 (what the user asks for)
        except OSError as error:
            raise BadRequest(f"cannot run {path}: {(error.strerror or str(error)).lower()}") from None
        code = self._process.wait()
        return 128 - code if code < 0 else code

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Pass signals on while the block lasts; one that comes before the program has started ends the block."""
        names = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP"):
            names.append(signal.SIGHUP)
        before = {name: signal.signal(name, self._take) for name in names}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    def _take(self, number: int, _frame: object) -> None:
        if self._process is None:
            raise KeyboardInterrupt
        if number == signal.SIGINT and sys.stdin.isatty():
            return  # the terminal has sent it to the program as well
        if self._process.poll() is None:
            self._process.send_signal(number)


@contextmanager
def _issued(control: Control, limit: Budget, models: tuple[str, ...], tags: tuple[str, ...]) -> Iterator[str]:
    """A key under a budget, both gone when the block ends."""
    from llmgw.storage.budgets import Budgets

    budgets, name = Budgets(control), limit.scope.name
    budgets.set(limit)  # before the key, so that no call of it is ever without
    try:
        _, token = control.create(name, plan=RUN, models=models, tags=tags, expires_at=time.time_ns() + LIFE)
        try:
            yield token
        finally:
            control.revoke(name)
    finally:
        budgets.remove(limit.scope)


def _settled(control: Control, name: str) -> None:
    """Wait until no call of a key is under way."""
    from llmgw.storage.holds import open_attempts

    end = time.monotonic() + SETTLE_SECONDS
    while any(each.subject.key == name for each in open_attempts(control)):
        if time.monotonic() > end:
            notices.warn("calls of the program are still under way and not in the receipt")
            return
        time.sleep(0.05)


def _receipt(paths: Paths, limit: Budget, began: int) -> None:
    """Say what the run cost, by model, on stderr: stdout is the program's."""
    from llmgw.client import local
    from llmgw.domain.money import format_usd
    from llmgw.rules.windows import FOREVER
    from llmgw.storage.requests import Filter

    name = limit.scope.name
    with local.reports(paths) as reports:
        lines = reports.report("total", ZoneInfo("UTC"), began, FOREVER, "key", within="model")
    with local.requests(paths) as requests:
        refused = requests.newest(Filter(key=name, status=BudgetExceeded.code), limit=1).total
    used = [line for line in lines if line.group == name]
    totals = [line.totals for line in used]
    calls = sum(each.requests for each in totals)
    money = sum(each.cost for each in totals)
    tokens = sum(each.input_tokens + each.output_tokens for each in totals)
    spent = money if limit.unit is Unit.MONEY else tokens
    words = [
        f"{calls:,} request{'s' * (calls != 1)}",
        f"{sum(each.input_tokens for each in totals):,} tokens in",
        f"{sum(each.output_tokens for each in totals):,} tokens out",
        f"{spelling.amount(limit.unit, spent)} of {spelling.amount(limit.unit, limit.hard or 0)}",
    ]
    if limit.unit is Unit.TOKENS:
        words.append(format_usd(money))
    if refused:
        words.append(f"{refused:,} refused at the limit")
    if unknown := sum(each.unknown_cost for each in totals):
        words.append(f"{unknown:,} of unknown price")
    notices.say(f"{name}: {', '.join(words)}")
    answered = [line for line in used if line.part]
    width = max((len(line.part) for line in answered), default=0)
    for line in answered:
        notices.say(f"  {line.part:{width}}  {line.totals.requests:>6,}  {format_usd(line.totals.cost):>10}")
