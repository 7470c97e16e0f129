"""Alerts: what the gateway noticed goes to a webhook, to Apprise and to a program of the operator's own, unwaited for.

Nothing waits for them and nothing fails with them. The address of a webhook is a secret, so no word of a failure
repeats it.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmgw.config.control import Alerts
    from llmgw.storage.notices import Notice

log = logging.getLogger("llmgw.alerts")

TIMEOUT = 10.0
PAUSES = (1.0, 5.0, 25.0)
"""Seconds before the second, third and last try."""

AT_ONCE = 4
MOST_WAITING = 200
LONGEST = 1900
"""Characters of a message; Discord takes 2,000."""

PASSING = frozenset({408, 425, 429})
"""Refusals of a webhook that another try may not meet."""


class AlertFailed(Exception):
    """An alert did not arrive; ``again`` tells whether another try makes sense."""

    def __init__(self, words: str, *, again: bool = True) -> None:
        super().__init__(words)
        self.again = again


def channels(alerts: Alerts) -> Iterator[tuple[str, Callable[[Notice], None]]]:
    """Every way that is configured, by name; each sends one notice, blocks, and raises AlertFailed."""
    if alerts.webhook:
        yield "webhook", lambda notice: _post(alerts, notice)
    if alerts.apprise:
        yield "apprise", lambda notice: _apprise(alerts.apprise, notice)
    if alerts.command:
        yield "command", lambda notice: _run(alerts.command, notice)


def describe(notice: Notice) -> dict[str, Any]:
    """An alert in JSON: what a command reads, and a webhook with ``format = "json"``."""
    at = datetime.fromtimestamp(notice.at // 1_000_000_000, UTC)
    return {
        "source": "llmgw",
        "kind": notice.kind,
        "name": notice.name,
        "message": notice.message,
        "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _body(alerts: Alerts, notice: Notice) -> tuple[bytes, dict[str, str]]:
    text = notice.message[:LONGEST]
    match alerts.format:
        case "slack":  # the three characters that have a meaning there
            text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            content: dict[str, Any] = {"text": f"llmgw: {text}"}
        case "discord":
            content = {"content": f"llmgw: {text}", "allowed_mentions": {"parse": []}}
        case "ntfy":
            return text.encode(), {
                "title": f"llmgw: {notice.kind}",
                "content-type": "text/plain; charset=utf-8",
            }
        case _:
            content = describe(notice)
    return msgspec.json.encode(content), {"content-type": "application/json"}


def _post(alerts: Alerts, notice: Notice) -> None:
    import httpx

    for name in ("httpx", "httpcore"):  # they log addresses
        logging.getLogger(name).setLevel(logging.WARNING)
    body, headers = _body(alerts, notice)
    if alerts.secret:
        headers["authorization"] = f"Bearer {alerts.secret}"
    try:
        with httpx.stream("POST", alerts.webhook, content=body, headers=headers, timeout=TIMEOUT) as reply:
            status = reply.status_code  # what else it says has no end, maybe
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise AlertFailed(f"it cannot be reached ({type(error).__name__})") from None
    if status >= 300:
        raise AlertFailed(f"it answered with status {status}", again=status >= 500 or status in PASSING)


def _apprise(addresses: str, notice: Notice) -> None:
    try:
        import apprise
    except ImportError:
        raise AlertFailed("Apprise is not installed: pip install 'llmgw[alerts]'", again=False) from None
    for name in ("apprise", "urllib3"):  # they log addresses
        logging.getLogger(name).setLevel(logging.CRITICAL)
    told = apprise.Apprise()
    if not told.add(addresses):
        raise AlertFailed("an address is none that Apprise understands", again=False)
    if not told.notify(body=notice.message[:LONGEST], title=f"llmgw: {notice.kind}"):
        raise AlertFailed("not everybody could be told")


def _run(command: tuple[str, ...], notice: Notice) -> None:
    try:
        code = subprocess.run(  # noqa: S603 (the operator's own program, and no shell)
            command,
            input=msgspec.json.encode(describe(notice)) + b"\n",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        raise AlertFailed(f"it took longer than {TIMEOUT:g} s") from None
    except OSError as error:
        raise AlertFailed(f"it cannot be run ({error.strerror})", again=False) from None
    if code:
        raise AlertFailed(f"it ended with code {code}")


class Alerter:
    """Sends notices, each by every way at once, and tries again for half a minute."""

    def __init__(self, alerts: Alerts, pauses: tuple[float, ...] = PAUSES) -> None:
        self._channels = dict(channels(alerts))
        self._pauses = pauses
        self._threads = ThreadPoolExecutor(2 * AT_ONCE, "llmgw-alert")  # not those that throw the kill switch
        self._room = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def send(self, notice: Notice) -> None:
        """Send a notice; what fails is logged."""
        if self._waiting >= MOST_WAITING:
            log.error("too many alerts at once, not sent: %s", notice.message)
            return
        self._waiting += 1
        try:
            async with self._room:
                await asyncio.gather(*(self._deliver(name, notice) for name in self._channels))
        finally:
            self._waiting -= 1

    async def _deliver(self, name: str, notice: Notice) -> None:
        for pause in (*self._pauses, None):
            try:
                await asyncio.get_running_loop().run_in_executor(self._threads, self._channels[name], notice)
            except AlertFailed as error:
                if pause is None or not error.again:
                    log.error("alert %s: %s; not sent: %s", name, error, notice.message)  # noqa: TRY400
                    return
                await asyncio.sleep(pause)
            else:
                return
