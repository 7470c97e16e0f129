"""One thing an operator asks, as a Struct: where it is found over HTTP, what it needs, what it does, what it answers.

The commands of this machine do it straight on the database, the admin API does it for a caller, the remote client
sends it to that API, and the OpenAPI document describes it; each reads the same declaration.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

from msgspec import Struct

from llmgw.config.caching import Cache
from llmgw.config.zones import read_zone
from llmgw.domain.clock import SYSTEM_CLOCK, Clock
from llmgw.storage.control import Control
from llmgw.storage.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self
    from zoneinfo import ZoneInfo

    from llmgw.config.control import KeyDefaults
    from llmgw.config.pricebook import PriceBook
    from llmgw.domain.limit import Limit
    from llmgw.gates.tiering import Tiering
    from llmgw.providers.base import Upstream
    from llmgw.rules.planning import Plan

A = TypeVar("A")


class Place(NamedTuple):
    """Method and path of an ask. ``{name}`` in the path is a field; the others travel in the query of GET and DELETE."""

    method: str
    path: str

    @property
    def in_query(self) -> bool:
        return self.method in {"GET", "DELETE"}


class Ask(Struct, Generic[A], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something an operator asks; the first line of a subclass's docstring says what."""

    at: ClassVar[Place]
    answer: ClassVar[object]
    """The type of what ``do`` returns."""

    @abstractmethod
    def do(self, desk: Desk) -> A:
        """Do it where the gateway's files are; GatewayError when it cannot be done."""


class Declared(NamedTuple):
    """What the configuration says that asks want to know."""

    timezone: str
    limits: tuple[Limit, ...]
    keys: KeyDefaults
    cache: Cache = Cache()


class Offer(NamedTuple):
    """What a gateway offers: its upstreams by name, the plan that routes to them, prices, where credentials came from."""

    upstreams: dict[str, Upstream]
    plan: Plan
    book: PriceBook
    sources: dict[str, str]
    tiering: Tiering | None = None
    """What decides on tiers, where there is anything to decide."""


class Process(Struct, frozen=True, kw_only=True):
    """What is known of the gateway's process; all but ``state`` and ``log_file`` is None where there is none."""

    state: str
    log_file: str
    url: str | None = None
    pid: int | None = None
    version: str | None = None
    started_at: int | None = None
    lost: tuple[str, ...] = ()
    """In words, which names of its configuration lead nowhere."""


class Desk:
    """Where asks are done: the database of one gateway, opened when first needed, and what lies outside of it."""

    def __init__(
        self,
        path: Path,
        by: str,
        *,
        declared: Callable[[], Declared],
        offer: Callable[[], Offer],
        process: Callable[[], Process],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """``by`` is who asks."""
        self.path = path
        self.by = by
        self.offer = offer
        self.process = process
        self.clock = clock
        self._declared = declared

    @cached_property
    def declared(self) -> Declared:
        return self._declared()

    @cached_property
    def control(self) -> Control:
        return Control(self.path, self.clock)

    @cached_property
    def database(self) -> Database:
        return Database.open(self.path)

    def zone(self, name: str | None = None) -> ZoneInfo:
        """The time zone of that name, the gateway's own without one."""
        return read_zone(name or self.declared.timezone)

    def ask(self, ask: Ask[A]) -> A:
        """Do it here."""
        return ask.do(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in ("control", "database"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()
