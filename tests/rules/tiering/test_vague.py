"""Too vague to answer (D-08): nothing to work on in the text, in the conversation, or beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.rules.tiering.vague import LONGEST, too_vague


@pytest.mark.parametrize(
    "text",
    ["fix", "Fix it!", "help", "Hilfe", "kannst du mir bitte helfen?", "code review?", "mach das", "do it", "please", "?",
     "can you help me with my code?", "debug this", "was ist das", "weiter", "explain", "..."],
)  # fmt: skip
def test_a_request_without_matter_is_vague(text: str) -> None:
    """A bare verb, a plea or a mark names nothing to work on."""
    assert too_vague(text)


@pytest.mark.parametrize(
    "text",
    ["fix the login page", "help me cook rice", "helpful tips", "What is fullness?", "2+2", "hi", "danke", "code review?\nx = 1",
     "fix `parse`", "review src/app.py", "explain recursion", "mach mir einen Plan", "修复", "write a haiku", "test"],
)  # fmt: skip
def test_a_request_with_matter_is_not(text: str) -> None:
    """One word of substance, a number, code, a path, a greeting, or a language that is not known, is enough."""
    assert not too_vague(text)


@given(st.sampled_from(["fix", "code review?", "?"]), st.booleans())
def test_nothing_is_vague_with_history_or_a_document(text: str, history: bool) -> None:
    """What came before, or what is attached, is the matter."""
    assert not too_vague(text, history=history, attachments=not history)


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_any_text_is_judged(text: str) -> None:
    """Garbage never fails, and nothing long is vague."""
    assert not (too_vague(text) and len(text.strip()) > LONGEST)
