"""What the palette offers: every action that can be done now, and every theme."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Provider

from llmgw.tui.actions import actions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.command import Hits


class Palette(Provider):
    async def discover(self) -> Hits:
        for name, help_, run in self._entries():
            yield DiscoveryHit(name, run, help=help_)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, help_, run in self._entries():
            score = max(matcher.match(name), matcher.match(help_) * 0.8)
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, help=help_)

    def _entries(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        """Names, what they do, and what does it."""
        active = {each.binding.id: each for each in self.screen.active_bindings.values() if each.enabled}
        for action in actions():
            if action.id in active and action.id != "palette":
                found = active[action.id]
                key = self.app.get_key_display(found.binding)
                run = partial(self.app.run_action, found.binding.action, found.node)
                yield f"{action.label} ({key})", action.does, run
        for theme in sorted(self.app.available_themes):
            yield f"Theme {theme}", "colours", partial(setattr, self.app, "theme", theme)
