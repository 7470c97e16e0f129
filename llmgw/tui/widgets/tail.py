"""Requests one below the other, the newest first: thousands are kept, those in sight are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmgw.domain import spelling
from llmgw.rules.picture import HERE, SEEN
from llmgw.tui.filter import Filter
from llmgw.tui.widgets.drawing import line
from llmgw.tui.widgets.table import Column, Table

if TYPE_CHECKING:
    from typing import Any
    from zoneinfo import ZoneInfo

    from rich.text import Text

    from llmgw.domain.pulse import Seen
    from llmgw.rules.picture import Picture

COLUMNS = (
    Column("TIME", least=8),
    Column("KEY", least=4),
    Column("MODEL → TARGET", grow=True, least=14),
    Column("TIER", wide=True, least=7),
    Column("CACHE", wide=True, least=6),
    Column("IN/OUT", right=True, wide=True, least=9),
    Column("TTFT", right=True, wide=True, least=5),
    Column("COST", right=True, least=9),
    Column("STATUS", right=True, least=6),
)
REFUSED = 402


class Entry(NamedTuple):
    """A request as a row: its cells are made when they are looked at."""

    seen: Seen
    zone: ZoneInfo
    plain: bool
    found: bool

    @property
    def key(self) -> str:
        return self.seen.id

    @property
    def values(self) -> tuple[Any, ...]:
        seen = self.seen
        return (
            seen.started_at, seen.key, seen.model or seen.model_asked, seen.tier, seen.cache,
            seen.input_tokens + seen.output_tokens, seen.ttft_us, seen.cost, seen.status,
        )  # fmt: skip

    @property
    def cells(self) -> tuple[Text | str, ...]:
        seen = self.seen
        estimated = "~" if seen.estimated else ""
        io = f"{spelling.tokens(seen.input_tokens)}/{spelling.tokens(seen.output_tokens)}"
        return (
            line((spelling.clock(seen.started_at, self.zone), "mark" if self.found else "dim")),
            line((seen.key or spelling.DASH, "id")),
            model(seen, plain=self.plain),
            line(
                (
                    seen.tier or spelling.DASH,
                    seen.tier if seen.tier in {"local", "cheap", "premium"} else "dim",
                )
            ),
            cache(seen),
            io if seen.input_tokens or seen.output_tokens else spelling.DASH,
            spelling.DASH if seen.ttft_us is None else f"{seen.ttft_us / 1000:,.0f}",
            spelling.DASH if seen.cost is None else estimated + spelling.usd(seen.cost),
            status(seen),
        )


class Tail(Table):
    """Follows a picture: what has come since the last look is filtered and put on top."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(columns=COLUMNS, empty="no request fits", id=id)
        self.filter = Filter()
        self.following = True
        self.older: tuple[Seen, ...] = ()
        """Requests from before the feed, which the ledger was asked for."""
        self._seen: list[Entry] = []
        self._newest: Seen | None = None
        self._picture: tuple[object, object] = (None, None)

    def look(self, picture: Picture) -> None:
        """Take what is new."""
        whole = picture.history, self.filter
        if whole != self._picture:
            self._picture, self._seen, self._newest = whole, [], None
        fresh = []
        for seen in reversed(picture.seen):
            if seen is self._newest:
                break
            fresh.append(seen)
        if fresh:
            self._newest = fresh[0]
            zone, plain = picture.zone, self.dash.plain
            kept = [
                Entry(seen, zone, plain, self.filter.finds(seen)) for seen in fresh if self.filter.shows(seen)
            ]
            self._seen = (kept + self._seen)[:SEEN]
        if self.following and self.sorted_by is None:
            self.cursor, self.rows = 0, []
        self.fill([*self._seen, *self._before(picture)])  # type: ignore[list-item]

    def _before(self, picture: Picture) -> list[Entry]:
        """The older ones that fit and that the feed has not told."""
        if not self.older:
            return []
        known = {each.seen.id for each in self._seen}
        zone, plain, wanted = picture.zone, self.dash.plain, self.filter
        return [
            Entry(seen, zone, plain, wanted.finds(seen))
            for seen in self.older
            if seen.id not in known and wanted.shows(seen)
        ]

    def go_to_match(self, step: int) -> bool:
        """To the next row that holds the words looked for; False where there is none."""
        count = len(self.rows)
        for away in range(1, count + 1):
            at = (self.cursor + step * away) % count
            if self.rows[at].found:  # type: ignore[attr-defined]
                self._move(at)
                return True
        return False

    def _move(self, place: int) -> None:
        """At the top the newest stays in sight, elsewhere the cursor stays on its request."""
        self.following = place <= 0 and self.sorted_by is None
        super()._move(place)


def model(seen: Seen, *, plain: bool) -> Text:
    """What was asked for and where it went, with how often it was tried again."""
    target = f"{seen.provider}/{seen.model}" if seen.model else ""
    then, again = ("->", "x") if plain else ("→", "↻")
    tried = (f" {again}{seen.attempts - 1}", "warn") if seen.attempts > 1 else ""
    if not target or seen.model_asked in {seen.model, target}:
        return line((seen.model_asked or seen.model or spelling.DASH, ""), tried)
    return line((f"{seen.model_asked.removeprefix('gateway-')} {then} ", "dim"), target, tried)


def cache(seen: Seen) -> Text:
    """Which cache answered: one of ours, else the provider's own for a part."""
    if seen.cache in HERE:
        return line((seen.cache, "good"))
    if seen.cache_read_tokens:
        return line(("prov", "id"))
    return line((spelling.DASH if seen.cache == "bypass" else seen.cache, "dim"))


def status(seen: Seen) -> Text:
    """The status, marked where it is an error: ``$`` where a budget refused."""
    if not seen.error:
        return line((str(seen.status), "good"))
    mark = "$" if seen.status == REFUSED else "!"
    return line((f"{seen.status} {mark}", "warn" if seen.status < 500 else "bad"))
