"""The line above a screen and the one below it: where one is and how the gateway is; what can be pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from llmgw.client.feed import State
from llmgw.domain import spelling
from llmgw.tui import actions
from llmgw.tui.widgets.drawing import Paper, fit, line
from llmgw.tui.widgets.pane import Pane

if TYPE_CHECKING:
    from llmgw.tui.frame import Frame


LAST = ("back", "help", "quit")
"""Keys that stand at the end of the footer."""


class Header(Pane):
    """Where one is at the left; how the gateway is, the window, the interval and the time at the right."""

    DEFAULT_CLASSES = "pane header"

    def on_mount(self) -> None:
        self.show(self._lines)

    def _lines(self, paper: Paper) -> list[Text]:
        frame: Frame = self.screen  # type: ignore[assignment]
        dash = self.dash
        then = ">" if paper.plain else "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
        crumbs = line((" llmgw", "strong"), *((f" {then} {each}", "") for each in frame.crumbs))
        picture = dash.picture
        replayed = dash.feed.state in {State.REPLAY, State.ENDED}
        clock = "" if replayed else spelling.clock(picture.now, picture.zone) if picture.now else "--:--:--"
        held = line((f"paused +{dash.missed:,}  ", "mark")) if dash.paused else line()
        every = line((f"window {dash.window}  {dash.interval:g} s  ", "dim"))
        right = line(held, dash.state_words(short=False), "  ", every, clock, " ")
        aside = line((f"    {frame.aside}", "id")) if frame.aside else line()
        if crumbs.cell_len + aside.cell_len + right.cell_len + 1 > paper.width:
            right = line(held, dash.state_words(short=True), " ", clock, " ")
        room = max(0, paper.width - crumbs.cell_len - right.cell_len - 1)
        crumbs = line(crumbs, fit(aside, min(room, aside.cell_len)))
        gap = paper.width - crumbs.cell_len - right.cell_len
        if gap < 1:
            return [fit(line(" ", right), paper.width)]
        return [line(crumbs, " " * gap, right)]


class Footer(Pane):
    """What can be done now, from the registry; a click does it."""

    DEFAULT_CLASSES = "pane footer"

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.redraw())
        self.show(self._lines)

    def _lines(self, paper: Paper) -> list[Text]:
        frame: Frame = self.screen  # type: ignore[assignment]
        usable = {active.binding.id: active for active in frame.active_bindings.values() if active.binding.id}
        writes = self.dash.options.write
        found = [
            action
            for action in actions.actions()
            if action.shown and action.id in usable and (writes or not action.writes)
        ]
        screens = [each for each in found if each.id in actions.places().values()]
        last = [each for each in found if each.id in LAST]
        own = [each for each in found if each not in screens and each not in last]
        if frame.foot_screens:
            own = [each for each in own if each.id == "filter"]
            last = [each for each in last if each.id != "back"]
        left = screens + own if frame.foot_screens else own
        right = last if frame.foot_screens else [each for each in last if each.id != "quit"]

        def words(chosen: list[actions.Action], *, labels: bool) -> Text:
            text = Text(end="")
            for action in chosen:
                active = usable[action.id]
                click = Style(meta={"@click": f"app.simulate_key({active.binding.key!r})"})
                key = Text(
                    f" {self.app.get_key_display(active.binding)}", "id" if active.enabled else "strong"
                )
                bare = not labels and action in screens
                name = "Resume" if action.id == "pause" and self.dash.held else action.label
                label = Text("" if bare else f" {name} ", "" if active.enabled else "strong")
                both = Text.assemble(key, label, end="")
                both.stylize(click)
                text.append_text(both)
            return text

        whole = line(words(left, labels=True), words(right, labels=True))
        if whole.cell_len <= paper.width:
            gap = "" if frame.foot_screens else " " * (paper.width - whole.cell_len)
            return [line(words(left, labels=True), gap, words(right, labels=True))]
        left_end = words(left, labels=False)
        right_end = words(right, labels=False)
        return [line(fit(left_end, max(0, paper.width - right_end.cell_len)), right_end)]
