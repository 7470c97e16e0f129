"""The doctor of prompt caching."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from support.beats import canned

from llmgw.desk.models import ModelView
from llmgw.domain.pulse import History, Seen
from llmgw.tui.doctoring import examine

_history = canned(seconds=0)[0]
assert isinstance(_history, History)
SOME = replace(
    next(each for each in _history.seen if each.model and not each.error), key="me", tags="", model="m", provider="p",
    cache="miss", cache_read_tokens=0, cache_write_tokens=0, conversation=0,
)  # fmt: skip
MODEL = ModelView(
    name="p/m", provider="p", model="m", tier="premium", price="listed", input_nanousd=3_000_000_000,  # type: ignore[arg-type]
    output_nanousd=15_000_000_000, cache_read_nanousd=300_000_000, cache_write_nanousd=3_750_000_000, context_window=None,
)  # fmt: skip
SECOND = 10**9


def calls(*told: tuple[int, int, int, int], **fields: Any) -> list[Seen]:
    """Requests of one conversation: second, input, read and written tokens."""
    return [
        replace(
            SOME, id=f"req_{at}", started_at=at * SECOND, input_tokens=tokens, cache_read_tokens=read,
            cache_write_tokens=written, **fields,
        )
        for at, tokens, read, written in told
    ]  # fmt: skip


def test_what_is_read_back_is_well() -> None:
    """Each call reads what the one before wrote: nothing is lost."""
    (found,) = examine(
        calls((0, 10_000, 0, 9_000), (9, 11_000, 9_000, 1_500), (20, 12_000, 10_500, 1_000)), {"p/m": MODEL}
    )

    assert (found.verdict, found.lost, found.burnt, found.diverged) == ("well", 0, 0, None)
    assert found.read == 19_500
    assert found.ratio == 19_500 / 11_500


def test_a_prefix_that_parts_is_found_and_priced() -> None:
    """The second call reads 2,000 of the 9,000 tokens that were there: the rest is written again, which costs."""
    (found,) = examine(calls((0, 10_000, 0, 9_000), (9, 11_000, 2_000, 8_000)), {"p/m": MODEL})

    assert (found.verdict, found.diverged, found.lost) == ("prefix parts", 2_000, 7_000)
    assert found.burnt == 7_000 * (3_750_000_000 - 300_000_000) // 1_000_000


def test_a_prefix_that_was_forgotten_is_told_from_one_that_parts() -> None:
    """More than five minutes between two calls: the provider has forgotten it."""
    (found,) = examine(calls((0, 10_000, 5_000, 4_000), (400, 11_000, 0, 9_000)), {})

    assert (found.verdict, found.diverged, found.burnt) == ("forgotten", None, None)


def test_a_cache_that_is_never_used_is_told() -> None:
    """Long prompts that begin alike and read nothing: each pays the whole; what is written and never read, more."""
    (found,) = examine(calls((0, 10_000, 0, 0), (9, 11_000, 0, 0)), {"p/m": MODEL})
    (written,) = examine(calls((0, 10_000, 0, 9_000), (9, 11_000, 0, 9_000)), {})

    assert (found.verdict, found.lost) == ("not cached", 10_000)
    assert found.burnt == 10_000 * (3_000_000_000 - 300_000_000) // 1_000_000
    assert written.verdict == "written, never read"


def test_conversations_are_kept_apart() -> None:
    """By the router's number, else by key, tags and target; one call is none, answers of our caches are not counted."""
    first = calls((0, 2_000, 0, 0), (5, 2_100, 0, 0), conversation=7)
    second = calls((1, 2_000, 0, 0), (6, 2_100, 0, 0), conversation=8)
    tagged = calls((2, 2_000, 0, 0), (7, 2_100, 0, 0), tags="batch")
    alone = calls((3, 2_000, 0, 0), key="ci")
    ours = calls((4, 2_000, 0, 0), (8, 2_000, 0, 0), key="bot", cache="exact")

    found = examine([*first, *second, *tagged, *alone, *ours], {})

    assert sorted(each.calls for each in found) == [2, 2, 2]


def test_short_prompts_are_left_alone() -> None:
    """Below 1,024 tokens no provider caches."""
    (found,) = examine(calls((0, 300, 0, 0), (5, 320, 0, 0)), {})

    assert found.verdict == "too short"
