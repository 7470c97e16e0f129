"""Answers found equivalent form a group; what is known of each group, and which groups are known to differ."""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct

MOST = 5_000
"""Groups remembered; the one unused longest is forgotten first."""
RIVALS = 16
"""Groups known to differ that one group remembers."""

Row = tuple[int, int, int, float, float, tuple[int, ...]]
"""A group and its record, in the order of its fields."""


class Record(Struct, gc=False):
    """How often a group's answer was right and wrong when compared, and whom it differs from.

    ``surplus`` is how much more often it was right than its scores promised, ``spread`` the variance of that by chance.
    There may be very many of them: the collector need not look at any.
    """

    right: int = 0
    wrong: int = 0
    surplus: float = 0.0
    spread: float = 0.0
    rivals: tuple[int, ...] = ()
    """The one that was met longest ago first."""


class Groups:
    """Records by group; a group unheard of has an empty one."""

    def __init__(self) -> None:
        self.records: OrderedDict[int, Record] = OrderedDict()

    def get(self, group: int) -> Record:
        """What is known, without keeping anything."""
        return self.records.get(group) or Record()

    def learn(self, group: int, *, right: bool, chance: float | None, rival: int | None = None) -> None:
        """A label for a group's answer, right with a ``chance`` where one was worked out.

        ``rival`` is the group that a wrong one turned out to belong to.
        """
        record = self._own(group)
        if chance is not None:
            record.surplus += right - chance
            record.spread += chance * (1 - chance)
        if right:
            record.right += 1
            return
        record.wrong += 1
        if rival is not None:
            for one, other in ((record, rival), (self._own(rival), group)):
                if other not in one.rivals:
                    one.rivals = (*one.rivals[1 - RIVALS :], other)

    def dump(self) -> list[Row]:
        """All records as plain figures, the one unused longest first."""
        return [
            (group, each.right, each.wrong, each.surplus, each.spread, each.rivals)
            for group, each in self.records.items()
        ]

    def load(self, rows: list[Row]) -> None:
        """Put records back as :meth:`dump` gave them."""
        self.records = OrderedDict(
            (group, Record(right, wrong, surplus, spread, rivals))
            for group, right, wrong, surplus, spread, rivals in rows
        )

    def _own(self, group: int) -> Record:
        record = self.records.setdefault(group, Record())
        self.records.move_to_end(group)
        if len(self.records) > MOST:
            self.records.popitem(last=False)
        return record
