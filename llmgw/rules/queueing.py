"""Who is next where an upstream has only so many slots: the better plan, then each key in turn, and nobody too late."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmgw.domain.clock import Nanoseconds

SECOND = 1_000_000_000

LEVELS = {"enterprise": 0, "unlimited": 0, "pro": 1}
"""Plans that go first; every other one, and a key without a plan, comes after them."""
LOWEST = 2

AGING = 10 * SECOND
"""A call that has waited so long stands beside new ones of the next better plan."""

SWAP_PATIENCE = 10 * SECOND
"""How long a call may be passed over by others whose model is loaded already."""


def level_of(plan: str) -> int:
    """The level of a plan, 0 first."""
    return LEVELS.get(plan, LOWEST)


class Ticket:
    """One call in line. ``position`` is how many were in line once it came, itself included; 0: it had not to wait."""

    __slots__ = ("begun", "came", "key", "level", "model", "position", "turn")

    def __init__(self, level: int, key: int, model: str, came: Nanoseconds) -> None:
        self.level = level
        self.key = key
        self.model = model
        self.came = came
        self.begun: Nanoseconds = came
        self.position = 0
        self.turn = 0
        """Which round of its key's calls it belongs to: all calls of a round go before those of the next."""

    @property
    def due(self) -> Nanoseconds:
        """What decides between plans: when it came, later by a constant for each level."""
        return self.came + self.level * AGING


class Queue:
    """The slots of one upstream and those who wait for one.

    Within a level the keys take turns, so that a hundred calls of one do not keep back the first of another. Between
    levels the better one goes first, except past those who have waited longer by ``AGING`` a level: the lowest one
    waits no longer than that and what was in line by then. With ``swaps`` calls of the loaded model go first within
    a level, past nobody who has waited for ``SWAP_PATIENCE``.
    """

    def __init__(self, slots: int, *, swaps: bool = False) -> None:
        self.slots = slots
        self._swaps = swaps
        self._running: set[Ticket] = set()
        self._line: list[Ticket] = []
        self._turns: dict[tuple[int, int], int] = {}
        self._round = [0] * (LOWEST + 1)
        self._loaded = ""
        self._span = 0.0
        """Mean nanoseconds that a call keeps its slot."""

    def __len__(self) -> int:
        return len(self._line)

    @property
    def running(self) -> int:
        """How many have a slot."""
        return len(self._running)

    @property
    def idle(self) -> bool:
        """Whether nobody has a slot or waits for one."""
        return not (self._running or self._line)

    def enter(self, ticket: Ticket) -> bool:
        """Whether a call has a slot at once; else it stands in line."""
        if len(self._running) < self.slots and not self._line:
            self._begin(ticket, ticket.came)
            return True
        name = ticket.level, ticket.key
        ticket.turn = max(self._turns.get(name, 0) + 1, self._round[ticket.level])
        self._turns[name] = ticket.turn
        self._line.append(ticket)
        ticket.position = self.place_of(ticket)
        return False

    def place_of(self, ticket: Ticket) -> int:
        """The place in line of a call that stands there, 1 for the next."""
        return len(self._line) - sum(self._order(each) > self._order(ticket) for each in self._line)

    def wait_of(self, ticket: Ticket) -> Nanoseconds:
        """About how long a call that has just come will stand in line; 0 as long as nothing has ended here."""
        return int(ticket.position * self._span / self.slots)

    def leave(self, ticket: Ticket) -> None:
        """Who stands in line does so no longer; the calls of the same key behind it move up by a turn."""
        self._line.remove(ticket)
        name = ticket.level, ticket.key
        self._turns[name] -= 1
        for each in self._line:
            if (each.level, each.key) == name and each.turn > ticket.turn:
                each.turn -= 1
        self._forget()

    def end(self, ticket: Ticket, now: Nanoseconds) -> Ticket | None:
        """A call gives its slot back; whose turn it is now, if anybody waits."""
        self._running.discard(ticket)
        span = now - ticket.begun
        self._span = 0.8 * self._span + 0.2 * span if self._span else float(span)
        if not self._line or len(self._running) >= self.slots:
            return None
        following = self._next(now)
        self._line.remove(following)
        self._round[following.level] = max(self._round[following.level], following.turn)
        self._begin(following, now)
        self._forget()
        return following

    def _begin(self, ticket: Ticket, now: Nanoseconds) -> None:
        ticket.begun = now
        self._running.add(ticket)
        self._loaded = ticket.model

    def _forget(self) -> None:
        if not self._line:
            self._turns.clear()
            self._round = [0] * (LOWEST + 1)

    def _order(self, ticket: Ticket) -> tuple[int, int, Nanoseconds]:
        return ticket.level, ticket.turn, ticket.came

    def _next(self, now: Nanoseconds) -> Ticket:
        first: dict[int, Ticket] = {}
        loaded: dict[int, Ticket] = {}
        for ticket in self._line:
            known = first.get(ticket.level)
            if known is None or self._order(ticket) < self._order(known):
                first[ticket.level] = ticket
            if self._swaps and ticket.model == self._loaded:
                known = loaded.get(ticket.level)
                if known is None or self._order(ticket) < self._order(known):
                    loaded[ticket.level] = ticket
        chosen = min(first.values(), key=lambda ticket: ticket.due)
        if now - chosen.came < SWAP_PATIENCE:
            return loaded.get(chosen.level, chosen)
        return chosen
