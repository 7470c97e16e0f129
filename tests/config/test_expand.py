"""References to variables in values of the file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.expand import expand, refers
from llmgw.errors import ConfigInvalid

NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
TEXT = st.text(st.characters(exclude_characters="$", exclude_categories=["Cs"]))


@given(TEXT)
def test_text_without_references_stays_as_it_is(text):
    """Whatever holds no dollar comes back unchanged and refers to nothing."""
    assert expand(text, {}, "here") == text
    assert not refers(text)


@given(TEXT, NAMES, st.text(), TEXT)
def test_a_reference_is_replaced_once(before, name, value, after):
    """The value is put in as it is: what it holds is not read as a reference again."""
    assert expand(f"{before}${{{name}}}{after}", {name: value}, "here") == before + value + after


@given(NAMES, st.text(st.characters(exclude_characters="}$", exclude_categories=["Cs"])), st.text(min_size=1))
def test_a_default_stands_in_for_unset_and_empty(name, default, value):
    """As in a shell ``:-`` counts for a variable that is unset or empty, and yields to any other."""
    text = f"${{{name}:-{default}}}"
    assert expand(text, {}, "here") == default
    assert expand(text, {name: ""}, "here") == default
    assert expand(text, {name: value}, "here") == value


@given(NAMES, TEXT)
def test_an_unset_reference_names_itself(name, before):
    """Without a default the variable and the place are named, and nothing else is returned."""
    with pytest.raises(ConfigInvalid, match=name):
        expand(f"{before}${{{name}}}", {}, "here")


@given(NAMES)
def test_two_dollars_escape(name):
    """``$${X}`` is ``${X}`` itself, needing no variable."""
    assert expand(f"$${{{name}}}", {}, "here") == f"${{{name}}}"
    assert not refers(f"$${{{name}}}")


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A-B}", "a ${A B}"])
def test_a_broken_reference_is_refused(text):
    """What looks like a reference and is none is an error, never the literal. # D-28"""
    with pytest.raises(ConfigInvalid, match="broken reference in here"):
        expand(text, {"A": "x"}, "here")


@pytest.mark.parametrize("text", ["$", "$5", "a$b", "100$", "$$"])
def test_a_lone_dollar_is_just_a_dollar(text):
    """Passwords may hold dollars."""
    assert expand(text, {}, "here") == text
