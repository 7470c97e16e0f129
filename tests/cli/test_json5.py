"""Settings files as people write them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.cli.json5 import loads
from llmgw.errors import ConfigInvalid

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.sampled_from([None, 1, "\t"]))
def test_json_is_read_as_json(value, indent):
    """Every JSON document means the same here as anywhere."""
    assert loads(json.dumps(value, indent=indent)) == value
    assert loads(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("// only words\n", {}),
        ("{a: 1, 'b-c': 2, $d: 3, \"e\": 4,}", {"a": 1, "b-c": 2, "$d": 3, "e": 4}),
        ("[1, +2, -3, .5, 5., 0x1F, -0xa, 1e3,]", [1, 2, -3, 0.5, 5.0, 31, -10, 1000.0]),
        ("{/* c */ a: 'it\\'s', // x\n b: \"//not\"}", {"a": "it's", "b": "//not"}),
        ("['say \"x\"', 'a\\\nb', '\\x41\\u0042\\v\\0\\n']", ['say "x"', "ab", "AB\v\0\n"]),
        ("{true: true, null: null, Infinity: [Infinity, -Infinity]}",
         {"true": True, "null": None, "Infinity": [float("inf"), float("-inf")]}),
    ],
)  # fmt: skip
def test_what_json5_adds(text, value):
    """Comments, bare and single-quoted names, trailing commas and other numbers are understood. # D-29"""
    assert loads(text) == value


@pytest.mark.parametrize("text", ["{", "{a}", "[1 2]", "{a: }", "{'a: 1}", "@", "{a: 08x}", "[,]"])
def test_what_is_neither_is_refused(text):
    """A file that cannot be understood is refused, so it is never overwritten by a guess."""
    with pytest.raises(ConfigInvalid, match="not JSON"):
        loads(text)
