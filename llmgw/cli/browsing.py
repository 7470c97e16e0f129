"""The dashboard in a browser: who may see it, and how the one behind it is started."""

from __future__ import annotations

import secrets
import time
from hmac import compare_digest
from typing import TYPE_CHECKING, NamedTuple

from llmgw.cli import notices, options, output
from llmgw.cli.options import given
from llmgw.errors import NotAllowed, Refused, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmgw.domain.identity import Key

LOOPBACK = "127.0.0.1"
PORT = 8001


class Place(NamedTuple):
    """Where it is served."""

    host: str = LOOPBACK
    port: int = PORT


def browse(words: Sequence[str], place: Place, *, demo: bool = False) -> None:
    """Serve dashboards, each started with those words, until interrupted; Refused where no key could open one."""
    from llmgw.service.prepare import loopback
    from llmgw.tui.web.server import Web, command, serve

    address = options.url()
    shown = ["--home", given.home] if given.home else []
    shown += ["--config", given.config] if given.config else []
    shown += ["--url", address] if address else []
    if demo:
        opens, hint = _once()
    elif address:
        opens, hint = _elsewhere(address), "it opens with an admin key of that gateway"
    else:
        opens, hint = _here(), "it opens with an admin key of this gateway"
    if not loopback(place.host):
        notices.warn("what travels is not encrypted: beyond this machine put it behind TLS or an SSH tunnel")
    credential = "LLMGW_ADMIN_KEY" if address else None
    web = Web(command(*words, *shown), opens, credential=credential, names=frozenset({place.host.lower()}))
    serve(
        web,
        place.host,
        place.port,
        lambda url: output.text(f"the dashboard is at {url}\n{hint}; Ctrl-C ends it"),
    )


def _here() -> Callable[[str], bool]:
    """By the keys of this machine, with or without a running gateway; Refused where none of them is an admin's."""
    from llmgw.client import local
    from llmgw.config.load import effective_config
    from llmgw.gates.authenticate import KeyRing

    paths = options.paths()
    secret = effective_config(paths).server.secret

    def keys() -> dict[int, Key]:
        with local.control(paths) as control:
            return {key.id: key for key in control.load_keys()}

    def opens(token: str) -> bool:
        if secret and compare_digest(token.encode(), secret.encode()):
            return True
        try:
            return KeyRing(keys, time.monotonic_ns).find(token.encode(), time.time_ns()).admin
        except Unauthenticated:
            return False

    if not secret and not any(key.admin and key.revoked_at is None for key in keys().values()):
        raise Refused("no key could open it", hint="`llmgw key create NAME --admin` makes one that does")
    return opens


def _elsewhere(address: str) -> Callable[[str], bool]:
    """By the word of the gateway itself."""
    from llmgw.cli.reaching import insecure
    from llmgw.client.remote import Remote, check_address
    from llmgw.desk.status import ShowStatus

    check_address(address, insecure=insecure())

    def opens(token: str) -> bool:
        try:
            with Remote(address, token, insecure=insecure()) as there:
                there.ask(ShowStatus())
        except (Unauthenticated, NotAllowed):
            return False
        return True

    return opens


def _once() -> tuple[Callable[[str], bool], str]:
    """By a key that is made up for this run alone, as a simulated gateway has none that anybody knows."""
    made = secrets.token_urlsafe(12)
    return lambda token: compare_digest(token.encode(), made.encode()), f"it opens with the key {made}"
