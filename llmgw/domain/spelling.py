"""How figures are written for people, the same words wherever they stand: commands, `watch`, the dashboard.

    money      `usd` $0.0123 (`domain.money.format_usd`), `short_usd` $118, `per_hour` $0.52/h, `amount` of a budget
    counts     `count` 1,204   `tokens` 1.2k   `rate` 12.4/s   `percent` 49 %   `size` 41 MB
    time       `took` 420 ms   `lasting` 3 h 12 m   `relative` in 14 h   `uptime` 3d 04h   `clock` 14:02:31   `day_clock`
    pictures   `bar` ▓▓▓░░   `sparkline` ▁▂▃▅▆▇█   `trend` ▲ ▼ ·   each also in plain ASCII
    words      `printable` of somebody else, with nothing in them that a terminal would obey

Pure text without colour. None is unknown or absent, and a dash everywhere.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from llmgw.domain.money import NANO, format_usd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from llmgw.domain.budget import Unit
    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.money import NanoUSD

DASH = "\N{EN DASH}"
MONEY = "money"
"""`budget.Unit.MONEY`, without whose module the status line does."""
HIGH = 0.8
"""From this part of a ceiling on it is marked: amber, and with a `!`."""
OBEYED = (*range(9), *range(11, 32), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
"""What a terminal acts upon instead of showing it, blanks and ends of lines aside; also what turns the order of text."""
ESCAPED = {code: f"\\u{code:04x}" for code in OBEYED}
"""As JSON writes them, so that a text stays what it is inside JSON."""
STEPS = " ▁▂▃▄▅▆▇█"
PLAIN_STEPS = " .:-=+*#@"


def printable(words: str) -> str:
    """Words as a terminal may have them."""
    return words.translate(ESCAPED)


def usd(nano: NanoUSD | None) -> str:
    """``$0.0123``: cents above one cent, four digits below, never rounded to nothing."""
    return DASH if nano is None else format_usd(nano)


def short_usd(nano: NanoUSD | None) -> str:
    """``$118``, ``$2.1k``, ``$4.12``: where cents of hundreds of dollars would not fit."""
    if nano is None:
        return DASH
    dollars = abs(nano) / NANO
    if dollars < 99.995:
        return format_usd(nano)
    return f"{'-' if nano < 0 else ''}${_short(dollars)}"


def per_hour(nano: NanoUSD | None) -> str:
    """``$0.52/h``: how fast money goes."""
    return DASH if nano is None else f"{format_usd(nano)}/h"


def amount(unit: Unit | str, value: int | None) -> str:
    """What a budget counts, by its unit: ``$5.00``, ``250,000 tokens``."""
    if value is None:
        return DASH
    return format_usd(value) if unit == MONEY else f"{value:,} tokens"


def count(value: int | None) -> str:
    """``1,204``."""
    return DASH if value is None else f"{value:,}"


def tokens(value: int | None) -> str:
    """``640``, ``1.2k``, ``48k``, ``1.1M``: four characters at most up to a billion."""
    return DASH if value is None else _short(value)


def rate(per_second: float) -> str:
    """``12.4/s``."""
    return f"{per_second:,.0f}/s" if per_second >= 99.95 else f"{per_second:.1f}/s"


def percent(part: float | None) -> str:
    """``49 %``; a tenth more below ten, ``0.3 %``, and never nothing for something."""
    if part is None:
        return DASH
    hundredths = 100 * part
    if 0 < hundredths < 0.05:
        return "<0.1 %"
    return f"{hundredths:.1f} %" if 0 < hundredths < 9.95 else f"{hundredths:.0f} %"


def size(octets: int | None) -> str:
    """``41 MB``, in powers of 1,024."""
    if octets is None:
        return DASH
    for limit, unit in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if octets >= limit:
            return (
                f"{octets / limit:.3g} {unit}" if octets < 1000 * limit else f"{octets / limit:,.0f} {unit}"
            )
    return f"{octets} B"


def took(microseconds: int | None) -> str:
    """``0.4 ms``, ``420 ms``, ``1,204 ms``: how long a call took."""
    if microseconds is None:
        return DASH
    milliseconds = microseconds / 1000
    return f"{milliseconds:,.0f} ms" if microseconds >= 10_000 else f"{milliseconds:,.2g} ms"


def lasting(microseconds: int | None) -> str:
    """``4.2 s``, ``5 m 12 s``, ``3 h 12 m``: waiting that adds up."""
    if microseconds is None:
        return DASH
    seconds = microseconds // 1_000_000
    if seconds < 60:
        return f"{microseconds / 1e6:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60} m {seconds % 60} s"
    return f"{seconds // 3600:,} h {seconds % 3600 // 60} m"


def relative(moment: Nanoseconds, now: Nanoseconds) -> str:
    """How long ago or ahead, in the largest unit that fits: ``3 m ago``, ``in 90 d``."""
    seconds = abs(now - moment) // NANO
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        if seconds >= length:
            span = f"{seconds // length} {unit}"
            return f"{span} ago" if moment < now else f"in {span}"
    return "now"


def runs_out(moment: Nanoseconds | None, left: int | None, now: Nanoseconds) -> str:
    """When a budget meets its ceiling: ``now``, ``in 14 h``, or a dash where it does not in this window."""
    if left == 0:
        return "now"
    return DASH if moment is None or moment <= now else relative(moment, now)


def uptime(since: Nanoseconds, now: Nanoseconds) -> str:
    """``3d 04h``, ``5h 07m``, ``12m 03s``."""
    seconds = max(0, now - since) // NANO
    if seconds >= 86_400:
        return f"{seconds // 86_400}d {seconds % 86_400 // 3600:02d}h"
    if seconds >= 3600:
        return f"{seconds // 3600}h {seconds % 3600 // 60:02d}m"
    return f"{seconds // 60}m {seconds % 60:02d}s"


def clock(moment: Nanoseconds, zone: ZoneInfo, *, seconds: bool = True) -> str:
    """``14:02:31`` or ``14:02``, in that zone."""
    return datetime.fromtimestamp(moment // NANO, zone).strftime("%H:%M:%S" if seconds else "%H:%M")


def day_clock(moment: Nanoseconds, zone: ZoneInfo) -> str:
    """``2026-11-21 14:02``, in that zone."""
    return datetime.fromtimestamp(moment // NANO, zone).strftime("%Y-%m-%d %H:%M")


def bar(part: float | None, width: int, *, plain: bool = False, rest: bool = True, mark: bool = False) -> str:
    """``▓▓▓░░`` of so many cells; something shows for any part above nothing.

    Without ``rest`` only the full cells are drawn. With ``mark`` `` !`` follows from `HIGH` on.
    """
    if part is None:
        return DASH
    full, empty = ("#", "-") if plain else ("▓", "░")
    cells = min(width, max(round(part * width), 1 if part > 0 else 0))
    drawn = full * cells + (empty * (width - cells) if rest else "")
    return drawn + (" !" if mark and part >= HIGH else "")


def sparkline(values: Sequence[float], width: int | None = None, *, plain: bool = False) -> str:
    """One character a value, ``▁▂▃▅▆▇█`` against the largest; values are averaged to fit ``width``, never repeated.

    A value above nothing is never drawn as nothing, one of nothing is the lowest step.
    """
    if width is not None and len(values) > width > 0:
        edges = [place * len(values) // width for place in range(width + 1)]
        values = [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
    steps = (PLAIN_STEPS if plain else STEPS)[1:]
    most = max(values, default=0)
    if most <= 0:
        return steps[0] * len(values)
    top = len(steps) - 1
    return "".join(
        steps[0] if value <= 0 else steps[max(1, min(top, round(value / most * top)))] for value in values
    )


def trend(now: float, before: float, *, plain: bool = False) -> str:
    """Whether it goes up or down by more than a tenth: ``▲ ▼ ·``."""
    up, down, level = ("^", "v", ".") if plain else ("▲", "▼", "·")
    if abs(now - before) <= 0.1 * max(abs(now), abs(before)):
        return level
    return up if now > before else down


def _short(value: float) -> str:
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= limit * 0.9995:
            scaled = value / limit
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
    return f"{value:.0f}"
