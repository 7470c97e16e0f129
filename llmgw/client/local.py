"""The gateway of this machine, up or down: its front doors read and write what it stores, it sees every change at once."""

from __future__ import annotations

import getpass
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llmgw.desk.asking import Declared, Desk, Offer, Process
from llmgw.storage.control import Control
from llmgw.storage.database import Database
from llmgw.storage.reports import Reports
from llmgw.storage.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmgw.config.paths import Paths


def desk(paths: Paths, offer: Callable[[], Offer], process: Callable[[], Process]) -> Desk:
    """Where asks are done on this machine; the configuration is read when one needs it."""

    def declared() -> Declared:
        from llmgw.config.limits import default_limits  # noqa: PLC0415  a switch is thrown without it
        from llmgw.config.load import effective_config  # noqa: PLC0415

        settings = effective_config(paths, secrets=False)
        zone = settings.server.timezone
        return Declared(
            timezone=zone,
            limits=default_limits(settings),
            keys=settings.keys.defaults,
            cache=settings.cache,
        )

    return Desk(paths.database, _whoever(), declared=declared, offer=offer, process=process)


def control(paths: Paths) -> Control:
    """Keys and settings, to be closed by the caller; the database is made where there is none."""
    return Control(paths.database)


@contextmanager
def requests(paths: Paths) -> Iterator[Requests]:
    """Single requests; the database is made where there is none."""
    with Database.open(paths.database) as database:
        yield Requests(database)


@contextmanager
def reports(paths: Paths) -> Iterator[Reports]:
    """Sums of requests; the database is made where there is none."""
    with Database.open(paths.database) as database:
        yield Reports(database)


@contextmanager
def database(paths: Paths) -> Iterator[Database]:
    """The file itself; it is made where there is none."""
    with Database.open(paths.database) as opened:
        yield opened


def _whoever() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"uid {os.getuid()}"
