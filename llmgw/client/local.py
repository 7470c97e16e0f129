"""The gateway of this machine, up or down: its front doors read and write what it stores, it sees every change at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from llmgw.storage.control import Control
from llmgw.storage.database import Database
from llmgw.storage.reports import Reports
from llmgw.storage.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmgw.config.paths import Paths


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
