"""Scopes as people write them."""

import pytest

from llmgw.domain.scope import parse_scope


@pytest.mark.parametrize("text", ["key:", "all:x", "team:x", "key:\0", "tag:a\nb", "model:\x1b[2J"])
def test_what_is_no_scope(text: str) -> None:
    """A kind there is not, a name that is missing, and one that would move a terminal's cursor are refused."""
    with pytest.raises(ValueError, match="not a scope"):
        parse_scope(text)


@pytest.mark.parametrize("text", ["all", "key:ci", "model:openrouter/a/b:free", "user:jürgen", "tag:a b"])
def test_a_scope_reads_as_it_is_written(text: str) -> None:
    """Whatever can be printed may be a name."""
    assert str(parse_scope(text)) == text
