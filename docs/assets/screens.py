"""Pictures of the dashboard: each screen, a short tour that moves, and the same in a browser.

Screens are drawn from a month of made-up requests, the same in every run, so a picture changes only with what it shows.
"""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.terminal_theme import TerminalTheme

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from msgspec.structs import replace  # noqa: E402  (the path comes first)
from support.beats import AT, MODELS, history, row, rows, under_way, whole  # noqa: E402
from support.browser import Browser  # noqa: E402
from support.screens import dashboard  # noqa: E402

from llmgw.domain.pulse import BudgetNow, History, Pulse, Standing  # noqa: E402
from llmgw.rules import picture  # noqa: E402
from llmgw.rules.picture import HOUR, Window, bucket  # noqa: E402
from llmgw.rules.tallying import lines_of, seen_of, spreads_of  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmgw.domain.ledger import RequestRow
    from llmgw.domain.pulse import Beat
    from llmgw.tui.app import Dash

SIZE = (100, 30)
SCREENS = ("overview", "requests", "routing", "cache", "spend", "keys", "providers")
TOUR = (
    ("", "", 2.0), ("", "tick", 1.0), ("", "tick", 1.5), ("requests", "2", 3.0), ("routing", "3", 3.0),
    ("cache", "4", 3.0), ("spend", "5", 3.0), ("providers", "7", 3.0),
)  # fmt: skip
"""What the tour shows: a screen, the key that leads there, how many seconds it stays."""
SPARE = "openrouter"
"""A model without a price has its place in tests, not in a picture."""
LAST_MONTH = 151_200_000_000
ZONE = ZoneInfo("UTC")
USED = {"all": 0.59, "tenant:ml": 0.88, "key:ci": 0.31}
"""Of each ceiling."""
HALF = 500_000_000
"""Ceilings are whole halves of a dollar."""
CELL = 12.2
"""Width of a character in the units of rich's SVG."""
LED = re.compile(r'x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>((?:&#160;)+)')
THEME = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [
        (72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65),
        (121, 192, 255), (210, 168, 255), (86, 212, 221), (201, 209, 217),
    ],
)  # fmt: skip
BODY = (
    '{styles}<!-- cut --><defs>{lines}</defs><!-- cut -->{backgrounds}<g class="{unique_id}-matrix">{matrix}</g>\
<!-- cut -->{width} {height} {char_height} {line_height}'
)
FRAME = """\
<svg viewBox="0 0 {width:g} {height:g}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>{title}</title>
<style>
text {{ font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace;
 font-size: {size}px; line-height: {leading}px; }}
{styles}
</style>
<rect fill="#0d1117" stroke="#30363d" x="1" y="1" width="{inner_width:g}" height="{inner_height:g}" rx="10" />
<g transform="translate(20,20)"><circle r="6" fill="#484f58" /><circle cx="20" r="6" fill="#484f58" />\
<circle cx="40" r="6" fill="#484f58" /></g>
<g transform="translate(9, 41)">
{frames}
</g>
</svg>
"""


@cache
def month() -> tuple[RequestRow, ...]:
    """Every request since the first of the month, closer together today; what a cache answered was once a model's."""
    day, first = (bucket(window, AT, ZONE).start_ns for window in (Window.DAY, Window.MONTH))
    found = (*rows(first, day, 6 * 10**9, 5), *rows(day, AT, 10**9 // 2))
    return tuple(_placed(each) for each in found if each.provider != SPARE)


def _placed(each: RequestRow) -> RequestRow:
    if each.cache not in picture.HERE:
        return each
    model = MODELS[(0, 1, 1, 3, 2)[each.id % 5]]
    return replace(each, provider=model.provider, model=model.model, tier=model.tier)


def beats(seconds: int) -> Iterator[Beat]:
    """A history of the month, then a pulse a second; budgets say what the requests come to."""
    yield past()
    dice, number = Random(11), len(month())  # noqa: S311 (a picture, not a secret)
    for second in range(1, seconds + 1):
        now = AT + second * 10**9
        new = [row(number + each, now - dice.randrange(10**9), dice) for each in range(dice.randint(1, 4))]
        new = [_placed(each) for each in new if each.provider != SPARE]
        number += len(new)
        yield Pulse(
            at=now, seq=number, span_us=1_000_000, lines=lines_of(new), spreads=spreads_of(new),
            seen=tuple(map(seen_of, new)), unseen=0, under_way=under_way(now), in_flight=3, gate_us=(380, 410),
        )  # fmt: skip


@cache
def past() -> History:
    """The history that they amount to."""
    found = history(month(), AT, standing=_agreeing(whole()))
    return replace(found, last_month=LAST_MONTH)


def _agreeing(standing: Standing) -> Standing:
    """The same with budgets spent as the requests were, under ceilings that are near, and a notice that says so."""
    budgets = tuple(map(_spent, standing.budgets or ()))
    tenant = next(each for each in budgets if each.scope == "tenant:ml")
    ceiling = (tenant.hard or 0) / 10**9
    said = f"tenant:ml at {100 * (tenant.used or 0):.0f} % of ${ceiling:g}/week"
    first, *others = standing.notices or ()
    first = replace(first, message=said, command=f"llmgw budget set tenant:ml {ceiling * 1.5:.0f}/week")
    upstreams = tuple(each for each in standing.upstreams or () if each.name != SPARE)
    return replace(standing, budgets=budgets, notices=(first, *others), upstreams=upstreams)


def _spent(budget: BudgetNow) -> BudgetNow:
    """A budget as the requests of its scope have left it."""
    since = 0 if budget.window == "total" else bucket(budget.window, AT, ZONE).start_ns
    scopes = ((each, ("all", f"key:{each.key_name}", f"tenant:{each.tenant}")) for each in month())
    mine = [each for each, held in scopes if budget.scope in held and each.started_at >= since]
    cost = sum(each.cost or 0 for each in mine)
    burn = sum(each.cost or 0 for each in mine if each.started_at > AT - HOUR)
    hard = -(-round(cost / USED.get(budget.scope, 0.12)) // HALF) * HALF
    end = AT + (hard - cost) * HOUR // max(1, burn)
    return replace(
        budget, spent=cost, hard=hard, left=hard - cost, used=cost / hard, burn=burn,
        runs_out_at=end if budget.ends_at is not None and end < budget.ends_at else None,
        tightest="tenant:ml week" if budget.scope == "key:ci" else None,
    )  # fmt: skip


def body(app: Dash, name: str) -> tuple[str, str, str, list[float]]:
    """What is on the screen as parts of an SVG: styles, definitions, drawing, and measures."""
    width, height = app.size
    console = Console(
        record=True,
        width=width,
        height=height,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(app.screen._compositor.render_update(full=True, screen_stack=app._background_screens))  # noqa: SLF001
    text = console.export_svg(theme=THEME, unique_id=name, code_format=BODY, clear=True)
    styles, defs, drawn, measures = text.split("<!-- cut -->")
    return styles, defs, LED.sub(shifted, drawn), [float(each) for each in measures.split()]


def shifted(match: re.Match[str]) -> str:
    """A text without its leading blanks, which some renderers swallow: it begins further right instead."""
    blanks = match[5].count("&") * CELL
    return f'x="{float(match[1]) + blanks:g}" y="{match[2]}" textLength="{float(match[3]) - blanks:g}"{match[4]}>'


def compose(
    title: str, parts: list[tuple[str, str, str, list[float]]], seconds: list[float] | None = None
) -> str:
    """One SVG of one frame, or of several that take turns, each for its seconds."""
    width, height, size, leading = parts[0][3]
    styles, frames = [], []
    whole_, at = sum(seconds or []), 0.0
    for number, (style, defs, drawn, _) in enumerate(parts):
        styles.append(style)
        if seconds is None:
            frames.append(f"<g>{defs}{drawn}</g>")
            continue
        begin, end = 100 * at / whole_, 100 * (at + seconds[number]) / whole_
        at += seconds[number]
        # before, during, after; the last one stays until all begins again
        steps = [f"0%,{begin:.3f}%{{visibility:hidden}}"] if number else []
        steps += [f"{begin + 0.001 * bool(number):.3f}%,{end:.3f}%{{visibility:visible}}"]
        steps += [f"{end + 0.001:.3f}%,100%{{visibility:hidden}}"] if number < len(parts) - 1 else []
        styles.append(
            f"@keyframes f{number}{{{''.join(steps)}}}"
            f".f{number}{{visibility:{'hidden' if number else 'visible'};animation:f{number} {whole_:g}s step-end infinite}}"
        )
        frames.append(f'<g class="f{number}">{defs}{drawn}</g>')
    if seconds is not None:
        styles.append("@media (prefers-reduced-motion:reduce){g{animation:none!important}}")
    text = FRAME.format(
        width=width, height=height, inner_width=width - 2, inner_height=height - 2, title=title, size=size, leading=leading,
        styles="\n".join(styles), frames="\n".join(frames),
    )  # fmt: skip
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


async def screen(name: str, size: tuple[int, int] = SIZE) -> str:
    """A screen as SVG."""
    async with dashboard(list(beats(60)), screen=name, size=size) as (app, pilot):
        await pilot.pause()
        return compose(f"llmgw dash, {name}", [body(app, f"dash-{name}")])


async def tour() -> str:
    """A walk through the dashboard."""
    found = list(beats(64))
    parts = []
    async with dashboard(found[:61], size=SIZE) as (app, pilot):
        more = iter(found[61:])
        for number, (_, deed, _) in enumerate(TOUR):
            if deed == "tick":
                app.take(next(more))
                app.repaint()
            elif deed:
                await pilot.press(deed)
            await pilot.pause(0.2)
            parts.append(body(app, f"t{number}"))
    return compose("llmgw dash", parts, [seconds for _, _, seconds in TOUR])


@contextmanager
def browser_dash() -> Iterator[tuple[str, str]]:
    """Address and key of a dashboard of a simulated gateway, served to browsers."""
    ours = [sys.executable, "-m", "llmgw", "dash", "--demo", "--web", "--port", "0"]
    process = subprocess.Popen(ours, stdout=subprocess.PIPE, text=True, cwd=ROOT)  # noqa: S603
    try:
        assert process.stdout is not None  # noqa: S101
        url, key = (
            re.search(pattern, process.stdout.readline()) for pattern in (r"http://\S+", r"key (\S+);")
        )
        assert url is not None  # noqa: S101
        assert key is not None  # noqa: S101
        yield url[0], key[1]
    finally:
        process.send_signal(2)
        process.wait(20)


def in_browser() -> bytes:
    """The dashboard in headless Chromium, as PNG."""
    with browser_dash() as (url, key), Browser.start(1120, 640) as browser:
        browser.open(url)
        browser.run(f"document.forms[0].key.value = {key!r}; document.forms[0].submit()")
        browser.until("document.querySelector('.xterm-screen') !== null")
        time.sleep(20)  # some traffic to look at
        return browser.picture()


def draw(*, browser: bool = True) -> None:
    """Write all of them."""
    for name in SCREENS:
        (HERE / f"dash-{name}.svg").write_text(asyncio.run(screen(name)), encoding="utf-8")
        print(f"dash-{name}.svg")
    (HERE / "dash.svg").write_text(asyncio.run(tour()), encoding="utf-8")
    print("dash.svg")
    if browser:
        (HERE / "dash-web.png").write_bytes(in_browser())
        print("dash-web.png")


if __name__ == "__main__":
    draw(browser="--no-browser" not in sys.argv)
