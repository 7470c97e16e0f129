"""Who may come in: an admin key is typed once, then a cookie stands for it until it is half a day old or the key ends."""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from llmgw.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable

LASTS = 12 * 3600.0
"""Seconds after which a key must be typed again."""
ATTEMPTS, WITHIN = 5, 60.0
"""So many wrong keys from an address in so many seconds, then it waits."""
MOST = 1000
"""Sessions and addresses that are remembered; the oldest are forgotten first."""


class Session(NamedTuple):
    token: str
    """The key that was typed, kept in memory alone: it is asked again whether it still opens."""
    until: float


class Door:
    """Sessions by the hash of their cookie. ``clock`` is monotonic seconds.

    ``opens`` tells whether a key does, now; GatewayError where nobody can tell.
    """

    def __init__(self, opens: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._opens = opens
        self._clock = clock
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def attempt(self, address: str) -> float:
        """Count an attempt as failed until it is known better; seconds to wait where there were too many."""
        failed = self._failed.setdefault(address, deque())
        self._failed.move_to_end(address)
        _trim(self._failed)
        while failed and failed[0] <= self._clock() - WITHIN:
            failed.popleft()
        if len(failed) >= ATTEMPTS:
            return failed[0] + WITHIN - self._clock()
        failed.append(self._clock())
        return 0.0

    def enter(self, token: str, address: str) -> str | None:
        """A cookie for a key that opens, else None; GatewayError where nobody can tell."""
        if not (token.isascii() and token.isprintable() and token) or not self._opens(token):
            return None
        self._failed.pop(address, None)
        cookie = secrets.token_urlsafe(32)
        self._sessions[_digest(cookie)] = Session(token, self._clock() + LASTS)
        _trim(self._sessions)
        return cookie

    def session(self, cookie: str) -> Session | None:
        """What a cookie stands for, as long as that counts."""
        found = self._sessions.get(_digest(cookie))
        return None if found is None or found.until <= self._clock() else found

    def admits(self, cookie: str) -> bool:
        """Whether a cookie counts and its key still opens; one that did does while nobody can tell."""
        found = self.session(cookie)
        if found is None:
            return False
        try:
            opens = self._opens(found.token)
        except GatewayError:
            return True
        if not opens:
            self.leave(cookie)
        return opens

    def leave(self, cookie: str) -> None:
        self._sessions.pop(_digest(cookie), None)


def known_host(host: str, names: frozenset[str]) -> bool:
    """Whether a Host header names this machine: by a number or one of its names.

    A page elsewhere whose own name is made to point here, so that it may speak to us as itself, names neither.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in names:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def same_origin(origin: str | None, host: str) -> bool:
    """Whether a request comes from a page of ours."""
    if origin is None:
        return False
    parts = urlsplit(origin)
    return parts.scheme in {"http", "https"} and parts.netloc == host


def _digest(cookie: str) -> bytes:
    """A cookie is looked up by its hash, so how long that takes tells nothing of it."""
    return sha256(cookie.encode()).digest()


def _trim(remembered: OrderedDict[bytes, Session] | OrderedDict[str, deque[float]]) -> None:
    while len(remembered) > MOST:
        remembered.popitem(last=False)
