"""Why this one? The way of one request through the gates, its attempts, tokens and cost as arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Horizontal

from llmgw.client.feed_live import Live
from llmgw.desk.requests import Done, InFlight
from llmgw.desk.routes import ExplainRequest
from llmgw.tui.frame import Frame
from llmgw.tui.journey import budgets, decision, facts, journey
from llmgw.tui.widgets.drawing import fold
from llmgw.tui.widgets.page import Page
from llmgw.tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from llmgw.desk.routes import Why
    from llmgw.rules.picture import Picture

AGAIN_SECONDS = 1.0
"""How often a request that is under way is asked for."""


KEPT = 20_000
"""Characters of an answer under way that are kept, those at its end."""


class Request(Frame):
    """One request, of which only the id is known at first."""

    AUTO_FOCUS = "#journey"

    def __init__(self, name: str) -> None:
        super().__init__()
        self.request_id = name
        self.why: Why | None = None
        self.told = ""
        """What went wrong, where something did."""
        self.live = ""
        """The end of the text so far of a call that is under way, at most `KEPT` of it."""

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("Requests", self.request_id)

    @property
    def command(self) -> str:
        return f"llmgw request show {self.request_id}"

    @property
    def copied(self) -> str:
        process = self.dash.picture.standing.process
        url = process.url if process else "http://127.0.0.1:8000"
        return f'curl {url}/admin/requests/{self.request_id}/why -H "authorization: Bearer $LLMGW_ADMIN_KEY"'

    def body(self) -> ComposeResult:
        yield Pane(id="facts")
        yield Page("Journey", id="journey")
        yield Page("Answer so far", id="live", at_end=True)
        with Horizontal(id="reasons"):
            yield Page("Why this route", id="decision")
            yield Page("Limits and budgets of the key, now", id="budgets")

    def on_mount(self) -> None:
        self._ask()
        self.set_interval(AGAIN_SECONDS, self._ask_again)
        if isinstance(self.dash.feed, Live):
            self.run_worker(self._overhear(self.dash.feed), group="live")

    def draw(self, picture: Picture) -> None:
        why = self.why
        if why is None:
            told = self.told or f"asking for {self.request_id}"
            self.pane("facts").show(
                lambda paper: fold(f" {told}", paper.width, "warn" if self.told else "dim")
            )
            return
        under = next((each for each in picture.under_way if each.id == self.request_id), None)
        request, now, zone = why.request, picture.now, picture.zone
        self.pane("facts").show(lambda paper: facts(request, under, now, zone, paper))
        self.pane("journey").show(lambda paper: journey(why, now, paper))
        self.pane("decision").show(lambda paper: decision(why, paper))
        self.pane("budgets").show(lambda paper: budgets(why, now, paper))
        streams = isinstance(request, InFlight)
        self.pane("live").display = streams
        if streams:
            said = self.live or "nothing yet; of a call that is no stream there is nothing before its end"
            self.pane("live").show(lambda paper: fold(said, paper.width, "" if self.live else "dim"))

    def action_why(self) -> None:
        """The decision over the whole screen, and back."""
        if self.maximized:
            self.minimize()
        else:
            self.maximize(self.pane("decision"), container=False)

    def action_raise_budget(self) -> None:
        """Raise the budget that leaves this request's key least."""
        if self.key is not None:
            self.raise_budget(self.key)

    def action_end_call(self) -> None:
        """End the call while it is under way."""
        if self.why is not None and isinstance(self.why.request, InFlight):
            self.end_call(self.request_id)
        else:
            self.tell("this request has ended")

    @property
    def key(self) -> str | None:
        """Whose request it is; None where that is not known yet."""
        if self.why is not None and isinstance(self.why.request, Done):
            return self.why.request.key
        return next((each.key for each in self.dash.picture.under_way if each.id == self.request_id), None)

    async def _overhear(self, feed: Live) -> None:
        """Keep what the call writes; of one that has ended there is nothing."""
        async for piece in feed.overhear(self.request_id):
            self.live = (self.live + piece)[-KEPT:]
            self.repaint()

    def _ask(self) -> None:
        self.asking(ExplainRequest(id=self.request_id), self._answered, self._failed)

    def _ask_again(self) -> None:
        if self.is_current and self.why is not None and isinstance(self.why.request, InFlight):
            self._ask()

    def _answered(self, why: Why) -> None:
        self.why, self.told = why, ""
        self.repaint()
        self.refresh_bindings()

    def _failed(self, words: str) -> None:
        self.told = words
        self.repaint()
