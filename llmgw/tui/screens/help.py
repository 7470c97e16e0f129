"""What can be pressed, from the registry: what works on the screen one came from stands first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.tui.actions import EVERYWHERE, TABLES, actions, places
from llmgw.tui.frame import Frame
from llmgw.tui.widgets.drawing import line
from llmgw.tui.widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from llmgw.rules.picture import Picture
    from llmgw.tui.actions import Action


class Help(Frame):
    """Keys of ``behind``, the screen that help was asked for on."""

    def __init__(self, behind: Frame) -> None:
        super().__init__()
        self.behind = behind
        self.active = {each.binding.id: each for each in behind.active_bindings.values() if each.binding.id}

    @property
    def crumbs(self) -> tuple[str, ...]:
        return (*self.behind.crumbs, "Help")

    @property
    def command(self) -> str:
        return "llmgw help"

    def body(self) -> ComposeResult:
        columns = (
            Column("KEY", least=9),
            Column("ACTION"),
            Column("ID", wide=True),
            Column("WHAT IT DOES", grow=True),
        )
        yield Table("Keys", columns=columns, id="keys")

    def draw(self, picture: Picture) -> None:  # noqa: ARG002 (the same at every beat)
        place = self.behind.place()
        sections = (
            (place.capitalize(), [each for each in actions() if place in each.where]),
            ("Tables", [each for each in actions() if TABLES in each.where]),
            ("Screens", [each for each in actions() if each.id in places().values()]),
            (
                "Everywhere",
                [each for each in actions() if EVERYWHERE in each.where and each.id not in places().values()],
            ),
        )
        rows = []
        for title, found in sections:
            if found:
                rows.append(Row(title, (line((title, "strong")), "", "", "")))
                rows += [self._row(action) for action in found]
        self.table("keys").fill(rows)

    def on_table_chosen(self, chosen: Table.Chosen) -> None:
        """Do it where one came from."""
        active = self.active.get(chosen.row.key)
        self.app.pop_screen()
        if active is not None and active.enabled:
            self.app.call_later(self.app.run_action, active.binding.action, active.node)

    def _row(self, action: Action) -> Row:
        active = self.active.get(action.id)
        keys = self.dash.options.keymap.get(action.id, action.keys)
        shown = " ".join(self.dash.spell_key(key) for key in keys.split(","))
        does = action.does + (" (needs --write)" if action.writes else "")
        style = "" if active is not None and active.enabled else "dim"
        return Row(
            action.id,
            (
                line((f"  {shown}", "id")),
                line((action.label, style)),
                line((action.id, "dim")),
                line((does, style)),
            ),
        )
