"""A fingerprint holds everything that can change an answer, whatever the JSON looks like. # D-13"""

from __future__ import annotations

import itertools
import json
import random
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.rules.fingerprint import MARK, Asked, Unclear, fingerprint, read

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text() | TREES}
    ),
    min_size=1,
    max_size=3,
)
BODIES = st.fixed_dictionaries({"model": st.text(min_size=1), "messages": MESSAGES}).flatmap(
    lambda base: st.dictionaries(st.text(), TREES, max_size=3).map(lambda more: more | base)
)


def of(body: dict[str, Any] | bytes, dialect: str = "openai_chat", apart: tuple[str, ...] = ("t",)) -> Asked:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return fingerprint(dialect, read(raw), apart)


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        members = [(name, shuffled(each, chance)) for name, each in value.items()]
        chance.shuffle(members)
        return dict(members)
    return [shuffled(each, chance) for each in value] if isinstance(value, list) else value


@given(BODIES, st.randoms(use_true_random=False))
def test_order_and_spelling_do_not_matter(body: dict[str, Any], chance: random.Random) -> None:
    """Members in any order, with any white space and escapes, are the same request."""
    other = json.dumps(shuffled(body, chance), indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert of(body).fingerprint == of(other).fingerprint


@given(BODIES, BODIES)
def test_two_requests_that_differ_have_two_fingerprints(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Whatever the members are, equal fingerprints mean equal canonical requests."""
    if of(one).fingerprint == of(other).fingerprint:
        assert read(json.dumps(one).encode()) == read(json.dumps(other).encode())


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_context_is_all_but_the_wording_of_the_last_turn(one: str, other: str) -> None:
    """Another last user turn keeps the context and changes the fingerprint; another history changes both."""
    base = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    first, second = (
        of({"model": "m", "messages": [*base, {"role": "user", "content": text}]}) for text in (one, other)
    )
    assert first.context == second.context
    assert (first.fingerprint == second.fingerprint) == (one == other)
    assert (first.prompt, first.reworded) == (one, True)
    moved = of({"model": "m", "messages": [*base[:1], {"role": "user", "content": one}]})
    assert moved.context != first.context


@pytest.mark.parametrize(
    "raw", [b'{"a": 1, "a": 1}', b'{"a": {"b": 1, "b": 2}}', b'{"a": 1e999}', b'{"a": NaN}']
)
def test_a_body_with_more_than_one_reading_has_no_fingerprint(raw: bytes) -> None:
    """Members that stand twice at any depth, and numbers that are none."""
    with pytest.raises(Unclear):
        read(raw)


def test_a_mark_for_a_prompt_cache_is_not_a_member_of_that_name() -> None:
    """Only a true mark is left out: a tool's parameter that is called so counts."""

    def tool(value: Any) -> dict[str, Any]:
        schema = {"type": "object", "properties": {"cache_control": value}}
        return {"model": "m", "messages": [], "tools": [{"name": "f", "input_schema": schema}]}

    assert of(tool({"type": "string"})).fingerprint != of(tool({"type": "number"})).fingerprint

    def given(value: Any) -> dict[str, Any]:
        used = {"type": "tool_use", "id": "1", "name": "f", "input": {"cache_control": value}}
        return {"model": "m", "messages": [{"role": "assistant", "content": [used]}]}

    mark = {"type": "ephemeral"}
    assert of(given(mark)).fingerprint != of(given({**mark, "ttl": "1h"})).fingerprint
    assert of(tool(mark)).fingerprint != of(tool({**mark, "ttl": "1h"})).fingerprint
    assert of({**given(1), "metadata": {"cache_control": mark}}).fingerprint != of(given(1)).fingerprint
    marked = [{"type": "text", "text": "x", "cache_control": mark}]
    body = {"model": "m", "messages": [{"role": "user", "content": marked}]}
    assert (
        of(body).fingerprint == of({"model": "m", "messages": [{"role": "user", "content": "x"}]}).fingerprint
    )


def test_what_stands_apart_is_part_of_it() -> None:
    """Tenant, routes and headers part requests whose bodies are equal, and cannot run into each other."""
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    seen = {
        of(body, apart=apart).fingerprint for apart in (("a",), ("b",), ("a", "b"), ("ab",), ("a,b",), ("",))
    }
    assert len(seen) == 6
    rich = body | {"seed": 1}
    assert of(rich, "anthropic").fingerprint != of(rich).fingerprint
    assert of(body, "anthropic").fingerprint == of(body).fingerprint


def test_two_names_of_a_limit_are_two_requests() -> None:
    """Some servers know only one of them."""
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    one, other = of(body | {"max_tokens": 5}), of(body | {"max_completion_tokens": 5})
    assert one.fingerprint != other.fingerprint


def test_a_long_text_counts_to_its_last_letter() -> None:
    """Its hash stands for it: another letter makes another request, and no short text is taken for that hash."""
    long = "a word and another " * 5000
    hashed = MARK + blake2b(long.encode(), digest_size=32).hexdigest()
    texts = {long, long + ".", hashed, MARK + hashed, MARK + long, "", MARK, MARK * 2, MARK * 3}
    assert len({of(asking(text)).fingerprint for text in texts}) == len(texts)


def test_turns_do_not_flow_into_each_other() -> None:
    """Where one turn ends and the next begins makes a difference, and so does which of them is the last."""
    said = ["a", "b", "ab", "", '"},{"']
    bodies = [
        {"model": "m", "messages": [{"role": "user", "content": text} for text in texts]}
        for count in (1, 2, 3)
        for texts in itertools.product(said, repeat=count)
    ]
    found = [of(body) for body in bodies]
    assert len({each.fingerprint for each in found}) == len(bodies)
    assert len({each.context for each in found}) == 1 + len(said) + len(said) ** 2
    assert not {each.context for each in found} & {each.fingerprint for each in found}


def asking(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}
