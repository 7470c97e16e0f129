"""Asks before something is changed, and shows the command that would do the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

if TYPE_CHECKING:
    from textual.app import ComposeResult

VALUE = "{}"
"""Where in a command a value stands that can still be changed."""


class Confirm(ModalScreen[str | None]):
    """The value that was agreed to, empty for a command without one; None where it was refused."""

    BINDINGS: ClassVar = [
        Binding("y,enter", "agree", "do it"),
        Binding("n,escape,q", "refuse", "leave it"),
    ]

    def __init__(self, command: str, value: str = "") -> None:
        """``command`` holds `VALUE` where a ``value`` is proposed."""
        super().__init__()
        self.command, self.value = command, value

    def compose(self) -> ComposeResult:
        with Vertical(id="asked") as box:
            box.border_title = "Do this?"
            yield Static(self._spelt(self.value), markup=False, id="command")
            if self.value:
                yield Input(self.value, compact=True, select_on_focus=True)
                yield Static("enter  do it    esc  leave it", classes="keys", markup=False)
            else:
                yield Static("y  do it    n  leave it", classes="keys", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one("#command", Static).update(self._spelt(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)

    def action_agree(self) -> None:
        self.dismiss("")

    def action_refuse(self) -> None:
        self.dismiss(None)

    def _spelt(self, value: str) -> str:
        return f"$ {self.command.replace(VALUE, value)}"
