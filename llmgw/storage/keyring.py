"""Every key, kept at hand: what has changed is read again, not ten thousand others with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmgw.domain.identity import Key
    from llmgw.storage.control import Control


class Keys:
    """The keys of a database as they stand at each call."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._keys: dict[int, Key] = {}
        self._seen = -1

    def __call__(self) -> dict[int, Key]:
        """By id, the same object as long as nothing has changed."""
        changed, seen, count = self._control.changed_keys(self._seen)
        if (
            len(self._keys | changed) != count or seen < self._seen
        ):  # taken away, or another file in its place
            self._keys = {}
            changed, seen, _ = self._control.changed_keys(-1)
        if changed:
            self._keys = self._keys | changed
        self._seen = seen
        return self._keys
