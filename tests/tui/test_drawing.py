"""Pictures of figures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from llmgw.tui.themes import NAMES
from llmgw.tui.widgets.drawing import Paper, bar, chart, fit, fold, packed, shares, spread

values = st.lists(st.floats(0, 1e9, allow_nan=False), max_size=300)


def test_a_curve_is_drawn_with_its_scale_and_moments() -> None:
    """The scale stands at the left, moments below, the highest value at the top."""
    drawn = chart(
        [0, 1, 2, 4], Paper(24, 7, plain=True), label=lambda value: f"{value:.0f}", ends=("13:00", "14:00")
    )

    assert [line.plain.rstrip() for line in drawn] == [
        "4+                 *****",
        " |",
        "2+           ******",
        " |      *****",
        "0+******",
        " +----------------------",
        "13:00              14:00",
    ]


@given(values, st.integers(1, 200), st.integers(1, 40), st.booleans())
def test_a_curve_fits_its_paper(found: list[float], width: int, height: int, plain: bool) -> None:
    """Whatever the values and the size, a curve has so many lines and is no wider."""
    drawn = chart(found, Paper(width + 10, height, plain), label=lambda value: f"{value:.1e}"[:6])

    assert len(drawn) == height
    assert all(line.cell_len <= width + 10 for line in drawn)
    if plain:
        assert all(line.plain.isascii() for line in drawn)


@given(st.floats(0, 2), st.integers(1, 60), st.booleans())
def test_a_bar_has_its_width(part: float, width: int, plain: bool) -> None:
    """A bar takes all its cells, and something shows for anything above nothing."""
    drawn = bar(part, Paper(width, 1, plain))

    assert drawn.cell_len == width
    assert (part == 0) == (not {"▓", "#"} & set(drawn.plain))


def test_shares_stand_below_each_other() -> None:
    """Names, bars, percentages and notes are in columns."""
    parts = [("local", 0.71, "$0.61", "local"), ("cheap", 0.29, "$1.40", "cheap")]
    drawn = [line.plain for line in shares(parts, Paper(40, 2, plain=True), name=8, note=6)]

    assert drawn == ["local    ############        71 %  $0.61", "cheap    #####               29 %  $1.40"]


@given(st.text(max_size=60), st.integers(0, 80), st.booleans())
def test_fitted_text_is_exactly_so_wide(text: str, width: int, right: bool) -> None:
    """Cut or filled up, also with characters of two cells."""
    assert fit(Text(text.replace("\n", "").replace("\t", "")), width, right=right).cell_len == width


def test_words_are_folded_between_them() -> None:
    """A paragraph is broken at blanks and at its own line ends."""
    assert [line.plain for line in fold("one two three\nfour", 8)] == ["one two", "three", "four"]


def test_parts_are_packed_and_spread() -> None:
    """As many as fit go on a line; the right part of a spread line stands at its end."""
    assert [each.plain for each in packed([Text("aaa"), Text("bbb"), Text("ccc")], Paper(9, 3))] == [
        "aaa  bbb",
        " ccc",
    ]
    assert spread(Paper(12, 1), Text("left and more"), Text("right")).plain == "left a…right"


def test_styles_are_names() -> None:
    """A drawing never says a colour: each style is a name that every theme knows."""
    drawn = [
        *chart([1, 2], Paper(20, 5), label=str),
        bar(0.9, Paper(9, 1)),
        *shares([("a", 1, "", "local")], Paper(30, 1), name=3, note=0),
    ]

    used = {str(span.style) for line in drawn for span in line.spans} - {""}
    assert used <= set(NAMES)
