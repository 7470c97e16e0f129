"""What every screen is built on: a header, a body of panes that are drawn once a beat, a footer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from msgspec.structs import replace
from textual.containers import Container
from textual.screen import Screen
from textual.worker import get_current_worker

from llmgw.domain.budget import Unit
from llmgw.domain.money import parse_usd
from llmgw.errors import BadRequest, GatewayError
from llmgw.tui.actions import bindings
from llmgw.tui.widgets.bars import Footer, Header
from llmgw.tui.widgets.pane import Pane
from llmgw.tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.app import ComposeResult

    from llmgw.desk.asking import A, Ask
    from llmgw.desk.budget_shapes import BudgetView
    from llmgw.rules.picture import Picture
    from llmgw.tui.app import Dash


RAISED = 1.5
"""What the ceiling of a budget is proposed to be raised by."""


class Frame(Screen[None]):
    """A screen. Subclasses yield their panes in ``body`` and fill them in ``draw``."""

    AUTO_FOCUS = "Table"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-compact"), (100, "-normal"), (150, "-wide")]  # noqa: RUF012 (Textual declares them so)
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-low"), (29, "-high"), (42, "-tall")]  # noqa: RUF012
    ALLOW_IN_MAXIMIZED_VIEW = "Header, Footer, .-textual-system"
    foot_screens: ClassVar = False
    """Whether the footer names the screens, not what can be done on this one."""

    def __init_subclass__(cls, **options: Any) -> None:
        if "name" not in cls.__dict__:
            cls.BINDINGS = bindings(cls.place())
        super().__init_subclass__(**options)

    def __init__(self) -> None:
        super().__init__(id=self.place(), classes="frame")

    @classmethod
    def place(cls) -> str:
        """Its name among the screens."""
        return cls.__name__.lower()

    @property
    def dash(self) -> Dash:
        return cast("Dash", self.app)

    @property
    def crumbs(self) -> tuple[str, ...]:
        """Where one is, from the outermost."""
        return (type(self).__name__,)

    @property
    def aside(self) -> str:
        """What the header says beside the crumbs."""
        return ""

    @property
    def command(self) -> str:
        """What prints the same in a shell."""
        return "llmgw status"

    @property
    def copied(self) -> str:
        """What ``y`` copies: a command or a curl for what is under the cursor."""
        return self.command

    def compose(self) -> ComposeResult:
        yield Header()
        yield Pane(id="card")
        with Container(id="body"):
            yield from self.body()
        yield Footer()

    def body(self) -> ComposeResult:
        """Panes and tables, to be laid out by a style sheet; a screen has none unless it says so."""
        return ()

    def draw(self, picture: Picture) -> None:
        """Fill the panes, where there are any."""

    def pane(self, name: str) -> Pane:
        return self.query_one(f"#{name}", Pane)

    def table(self, name: str) -> Table:
        return self.query_one(f"#{name}", Table)

    def repaint(self) -> None:
        """Draw all that there is to see."""
        if not self.is_mounted:
            return
        self.repaint_bars()
        card = self.dash.card()
        self.pane("card").display = card is not None
        if card is not None:
            self.pane("card").show(card)
        self.draw(self.dash.picture)

    def repaint_bars(self) -> None:
        """Draw the header anew."""
        for bar in self.query(Header):
            bar.redraw()

    def on_screen_resume(self) -> None:
        self.call_after_refresh(self.repaint)

    def drill(self, terms: str) -> None:
        """Open the requests behind a figure: `terms` of the filter language."""
        self.dash.show_requests(terms)

    def asking(
        self, ask: Ask[A], then: Callable[[A], None], failed: Callable[[str], None] | None = None
    ) -> None:
        """Ask the gateway in a thread; ``then`` is called with its answer, ``failed`` with what went wrong."""
        report = failed or partial(self.notify, severity="error", markup=False)

        def work() -> None:
            worker = get_current_worker()
            try:
                with self.dash.reach() as gateway:
                    answer = gateway.ask(ask)
            except GatewayError as error:
                words = error.message + (f"\n{error.hint}" if error.hint else "")
                if not worker.is_cancelled:
                    self.app.call_from_thread(report, words)
                return
            if not worker.is_cancelled:
                self.app.call_from_thread(then, answer)

        self.run_worker(work, thread=True, exclusive=True, group=type(ask).__name__)

    def change(
        self,
        ask: Ask[Any] | Callable[[str], Ask[Any]],
        command: str,
        then: Callable[[Any], None] | None = None,
        value: str = "",
    ) -> None:
        """Change something once it was confirmed; ``command`` is what would do the same, and is shown first.

        With a ``value`` to be edited, ``command`` holds ``{}`` in its place and ``ask`` is made of it.
        """
        if not self.dash.options.write:
            self.tell(
                f"the dashboard only looks; begin it with --write, or run\n{command.replace('{}', value)}"
            )
            return

        def agreed(said: str) -> None:
            try:
                wanted = ask(said) if callable(ask) else ask
            except GatewayError as error:
                self.tell(error.message)
            else:
                self.asking(wanted, then or (lambda _: self.notify("done")))

        self.confirm(command, agreed, value)

    def confirm(self, command: str, then: Callable[[str], object], value: str = "") -> None:
        """Show a command, and do what it would once that was agreed to."""
        from llmgw.tui.screens.confirm import Confirm  # noqa: PLC0415  most people only look

        def said(value: str | None) -> None:
            if value is not None:
                then(value)

        self.app.push_screen(Confirm(command, value), said)

    def tell(self, words: str) -> None:
        """Say why something is not done."""
        self.notify(words, severity="warning", markup=False)

    def end_call(self, name: str) -> None:
        """End a single call as `request stop` does, which leaves no switch thrown."""
        from llmgw.desk.requests import EndRequest  # noqa: PLC0415  most people only look

        ask = EndRequest(id=name, reason="ended from the dashboard")
        self.change(ask, f"llmgw request stop {name}", lambda _: self.notify(f"{name} is ended"))

    def raise_budget(self, key: str) -> None:
        """Raise the budget that leaves a key least, to an amount that can be edited."""
        from llmgw.desk.budgets import ListBudgets  # noqa: PLC0415  most people only look

        self.asking(ListBudgets(holding=f"key:{key}"), lambda found: self._raise(found.budgets))

    def _raise(self, budgets: Iterable[BudgetView]) -> None:
        from llmgw.desk.budget_shapes import amounts_of, type_amount  # noqa: PLC0415
        from llmgw.desk.budgets import SetBudget  # noqa: PLC0415

        capped = [each for each in budgets if each.of("hard")]
        if not capped:
            self.tell("no budget caps it")
            return
        tightest = max(capped, key=lambda each: each.used or 0.0)
        budget = tightest.budget
        proposed = round((budget.hard or 0) * RAISED)

        def ask(amount: str) -> SetBudget:
            after = replace(budget, hard=parse_amount(amount, budget.unit))
            return SetBudget(scope=tightest.scope, **amounts_of(after))

        command = f"llmgw budget set {tightest.scope} {{}}/{budget.window}"
        self.change(
            ask,
            command,
            lambda row: self.notify(f"{row.scope} {row.amount}"),
            type_amount(budget.unit, proposed),
        )


def parse_amount(text: str, unit: Unit) -> int:
    """Nano-dollars or tokens of what was typed; BadRequest where it is no amount."""
    try:
        amount = parse_usd(text) if unit is Unit.MONEY else int(text.removesuffix("-tokens").replace("_", ""))
    except ValueError:
        amount = -1
    if amount < 0:
        raise BadRequest(f"`{text}` is not an amount")
    return amount
