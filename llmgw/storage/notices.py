"""What the gateway noticed and people should know, each thing once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.domain.clock import Nanoseconds

if TYPE_CHECKING:
    from llmgw.storage.control import Control


class Notice(Struct, frozen=True):
    """``kind`` is a word such as ``budget``; ``name`` is unique, so that a thing is said once, also after a restart."""

    at: Nanoseconds
    kind: str
    name: str
    message: str


class Notices:
    """The notices in a database."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def add(self, notice: Notice) -> bool:
        """Keep a notice; False when one of its name is there already."""
        with self._control.change(quiet=True) as connection:
            return (
                connection.execute(
                    "INSERT INTO notices (at, kind, name, message) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (notice.at, notice.kind, notice.name, notice.message),
                ).rowcount
                == 1
            )

    def list(self, most: int = 100) -> tuple[Notice, ...]:
        """The newest notices, newest first."""
        with self._control.moment() as connection:
            rows = connection.execute(
                "SELECT at, kind, name, message FROM notices ORDER BY id DESC LIMIT ?", (most,)
            )
            return tuple(Notice(*row) for row in rows)
