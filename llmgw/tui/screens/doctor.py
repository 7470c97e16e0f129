"""What does prompt caching do for each conversation? What is read back, where prefixes part, what that burns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical

from llmgw.desk.models import ListModels
from llmgw.domain import spelling
from llmgw.tui.doctoring import examine
from llmgw.tui.frame import Frame
from llmgw.tui.widgets.drawing import fold, hits, line
from llmgw.tui.widgets.pane import Pane
from llmgw.tui.widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from rich.text import Text
    from textual.app import ComposeResult

    from llmgw.desk.models import Models, ModelView
    from llmgw.rules.picture import Picture
    from llmgw.tui.doctoring import Conversation
    from llmgw.tui.widgets.drawing import Paper

COLUMNS = (
    Column("KEY", least=4),
    Column("TAGS", wide=True),
    Column("TARGET", grow=True, least=14),
    Column("CALLS", right=True),
    Column("IN", right=True, wide=True),
    Column("READ", right=True),
    Column("R/W", right=True, wide=True),
    Column("PARTS AT", right=True),
    Column("BURNT", right=True),
    Column("VERDICT"),
)


class Doctor(Frame):
    """Of the requests that the tail remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[str, ModelView] = {}
        self.found: list[Conversation] = []
        self._seq = -1

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("Requests", "Prompt caching")

    @property
    def command(self) -> str:
        return "llmgw request list --sort tokens"

    def body(self) -> ComposeResult:
        with Vertical():
            yield Table(
                "Conversations", columns=COLUMNS, empty="no conversation of two calls yet", id="conversations"
            )
            yield Pane("What to make of it", id="advice")

    def on_mount(self) -> None:
        self.asking(ListModels(all=True), self._priced, lambda _: None)

    def draw(self, picture: Picture) -> None:
        if picture.seq != self._seq:
            self._seq = picture.seq
            self.found = examine(picture.seen, self.models)
        self.table("conversations").fill([_row(each) for each in self.found])
        row = self.table("conversations").row
        chosen = next((each for each in self.found if row is not None and each.newest == row.key), None)
        remembered = len(picture.seen)
        self.pane("advice").show(lambda paper: _advice(chosen, remembered, paper))

    def on_table_chosen(self, chosen: Table.Chosen) -> None:
        self.dash.show_request(chosen.row.key)

    def on_key(self) -> None:
        """What is advised follows the cursor."""
        self.call_after_refresh(self.repaint)

    def _priced(self, models: Models) -> None:
        self.models, self._seq = {each.name: each for each in models.models}, -1
        self.repaint()


def _row(found: Conversation) -> Row:
    verdict = {"well": "good", "too short": "dim", "nothing repeats": "dim"}.get(found.verdict, "warn")
    mark = "! " if verdict == "warn" else ""
    ratio = found.ratio
    burnt = (
        spelling.DASH
        if found.burnt is None
        else f"~{spelling.usd(found.burnt)}"
        if found.lost
        else spelling.usd(0)
    )
    return Row(
        found.newest,
        (
            line((found.key, "id")),
            line((found.tags or spelling.DASH, "dim")),
            found.target,
            spelling.count(found.calls),
            spelling.tokens(found.input_tokens),
            line((spelling.percent(found.hit), hits(found.hit))),
            spelling.DASH if ratio is None else f"{ratio:.1f}",
            spelling.DASH if found.diverged is None else f"~{spelling.tokens(found.diverged)}",
            burnt,
            line((mark + found.verdict, verdict)),
        ),
        (
            found.key, found.tags, found.target, found.calls, found.input_tokens, found.hit, ratio, found.diverged,
            found.burnt, found.verdict,
        ),
    )  # fmt: skip


def _advice(found: Conversation | None, remembered: int, paper: Paper) -> list[Text]:
    lines = []
    if found is not None:
        lines += fold(f"{found.verdict}: {found.advice}", paper.width, "strong")
        counts = f"{found.read:,} of {found.input_tokens:,} input tokens were read from the cache, {found.written:,} written to it"
        if found.lost and not (found.read or found.written):
            counts += f"; up to {found.lost:,} could have been, as far as its prompts begin alike"
        elif found.lost:
            counts += f", about {found.lost:,} that had been cached were paid for again"
        lines += fold(counts, paper.width)
    lines += fold(
        f"Over the last {remembered:,} requests. A conversation is what the router calls one, else the calls of a key with"
        " the same tags to one target. ~ is an estimate: the ledger knows how many tokens were read, not the prompts;"
        " BURNT is by the model's listed price.",
        paper.width,
        "dim",
    )
    return lines
