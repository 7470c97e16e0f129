"""The gateway that a command is about: the one of this machine, or with ``--url`` one elsewhere."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmgw.cli import notices, options, prompts
from llmgw.errors import NotFound, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmgw.client.gateway import Gateway
    from llmgw.desk.asking import Offer, Process

VARIABLES = ("LLMGW_ADMIN_KEY", "LLMGW_KEY")
INSECURE = "LLMGW_INSECURE_HTTP"
GIVEN, KEPT, TYPED = "given", "kept", "typed"
_typed: dict[str, str] = {}
"""Keys that were typed, by the host that they are for."""
ANSWER_SECONDS = 2.0
"""How long a gateway of this machine may take to say that it is well."""


@contextmanager
def gateway() -> Iterator[Gateway]:
    """Where to ask, closed with the block. BadRequest and Unauthenticated where an address or its key will not do."""
    if address := options.url():
        with _elsewhere(address) as remote:
            yield remote
        return
    from llmgw.client import local

    with local.desk(options.paths(), offer, _process) as desk:
        yield desk


def known_key(there: Gateway, name: str) -> bool:
    """Whether there is, or was, a key of that name."""
    from llmgw.desk.keys import ShowKey

    try:
        there.ask(ShowKey(name=name))
    except NotFound:
        return False
    return True


@contextmanager
def _elsewhere(address: str) -> Iterator[Gateway]:
    from llmgw.client.remote import Remote, check_address
    from llmgw.desk.status import ShowStatus
    from llmgw.storage.secrets import forget, store_in_keyring

    check_address(address, insecure=insecure())
    name, paths = urlsplit(address).netloc, options.paths()
    source, key = key_of(address, name)
    with Remote(address, key, insecure=insecure()) as remote:
        if source == TYPED and prompts.agreed("Keep it in this machine's keyring?"):
            remote.ask(ShowStatus())  # only one that opens something is kept
            store_in_keyring(name, key, paths)
        try:
            yield remote
        except Unauthenticated:
            if source == KEPT and forget(name, paths):
                notices.note(f"the key that was kept for {name} is forgotten")
            raise


def insecure() -> bool:
    """Whether a key may travel unencrypted to another machine."""
    return os.environ.get(INSECURE, "") not in {"", "0", "false"}


def key_of(address: str, name: str) -> tuple[str, str]:
    """Where the admin key for a gateway elsewhere comes from, and the key."""
    from llmgw.storage.secrets import check_credential, find_credentials

    own = next((os.environ[variable] for variable in VARIABLES if os.environ.get(variable)), "")
    if own:
        return GIVEN, check_credential(own)
    findings = find_credentials({name: ()}, options.paths())
    for problem in findings.problems:
        notices.warn(problem)
    if found := findings.credentials.get(name):
        return KEPT, found.value
    if not prompts.interactive():
        raise Unauthenticated(
            f"no key for {address}", hint="put an admin key of that gateway into LLMGW_ADMIN_KEY"
        )
    if name in _typed:  # nobody is asked twice
        return GIVEN, _typed[name]
    _typed[name] = check_credential(prompts.hidden(f"Admin key of {address}", option="LLMGW_ADMIN_KEY"))
    return TYPED, _typed[name]


def offer() -> Offer:
    """What a gateway started now would offer."""
    from llmgw.config.load import effective_config
    from llmgw.config.prices import load_prices
    from llmgw.config.zones import read_zone
    from llmgw.desk.asking import Offer
    from llmgw.service.assemble import survey
    from llmgw.service.tiering import build_tiering, router_options
    from llmgw.storage.database import Database
    from llmgw.storage.decisions import Decisions

    paths = options.paths()
    settings = effective_config(paths)
    found = survey(settings, paths)
    for problem in (*found.problems, *found.lost):
        notices.warn(problem)
    book = load_prices(settings.prices, paths.prices)
    router, _ = router_options(settings, found.plan)
    with Database.open(paths.database) as database:
        zone = read_zone(settings.server.timezone)
        tiering = build_tiering(router, found.plan, found.upstreams, book, zone, Decisions(database))
    return Offer({each.name: each for each in found.upstreams}, found.plan, book, found.sources, tiering)


def _process() -> Process:
    """What is known of the gateway of this machine."""
    from llmgw.desk.asking import Process
    from llmgw.service import background

    paths = options.paths()
    running = background.find(paths)
    if running is None:
        return Process(state="down", log_file=str(paths.log))
    return Process(
        state=background.ask(running, ANSWER_SECONDS),
        log_file=running.log_file,
        url=running.url,
        pid=running.pid,
        version=running.version,
        started_at=running.started_at,
        lost=running.lost,
    )
