"""The language of ``/``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.domain.pulse import Seen
from llmgw.errors import BadRequest
from llmgw.tui.filter import FIELDS, NUMBERS, TEXTS, read_filter


def seen(**fields: Any) -> Seen:
    known = {
        "id": "req_1", "started_at": 0, "tenant": "ml", "key": "ci", "tags": "batch,night", "surface": "openai",
        "stream": True, "model_asked": "gateway-auto", "provider": "openai", "model": "gpt-5-nano", "tier": "cheap",
        "cache": "miss", "status": 200, "error": "", "attempts": 1, "input_tokens": 1200, "output_tokens": 90,
        "cache_read_tokens": 0, "cache_write_tokens": 0, "estimated": False, "cost": 20_000_000, "saved": 0,
        "ttft_us": 600_000, "latency_us": 2_000_000, "rule": "short",
    }  # fmt: skip
    return Seen(**(known | fields))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("model:gpt", {"model": "llama", "model_asked": "llama"}),
        ("model:gpt-5-*", {"model": "gpt-4o"}),
        ("target:openai/gpt", {"provider": "groq"}),
        ("target=openai/gpt-5-nano", {"model": "gpt-5-nano-2"}),
        ("status=200", {"status": 201}),
        ("status:ok", {"error": "overloaded", "status": 503}),
        ("status:2xx", {"status": 404}),
        ("status:200,201", {"status": 204}),
        ("key:ci", {"key": "me"}),
        ("tenant:ml", {"tenant": "default"}),
        ("tag:batch", {"tags": ""}),
        ("tier:cheap", {"tier": "premium"}),
        ("cache:miss", {"cache": "exact"}),
        ("rule:short", {"rule": ""}),
        ("stream:yes", {"stream": False}),
        ("cost>0.01", {"cost": 10_000_000}),
        ("cost>=$0.02", {"cost": None}),
        ("cost<1", {"cost": 2 * 10**9}),
        ("ttft>500ms", {"ttft_us": 500_000}),
        ("ttft>=600", {"ttft_us": None}),
        ("latency<=2s", {"latency_us": 2_000_001}),
        ("in>1k", {"input_tokens": 1000}),
        ("tokens:1290", {"input_tokens": 1}),
        ("attempts<2", {"attempts": 2}),
        ("status<400", {"status": 502}),
        ("!key:me", {"key": "me"}),
        ("-error:overloaded", {"error": "overloaded"}),
        ("error:none", {"error": "timeout"}),
        ("key:ci tier:cheap", {"tier": "local"}),
        ('key:"ci"', {"key": "me"}),
    ],
)
def test_a_term_shows_what_fits_and_hides_the_rest(text: str, other: dict[str, Any]) -> None:
    """Each kind of term holds for one request and not for another that differs in that point."""
    wanted = read_filter(text)

    assert wanted.shows(seen())
    assert not wanted.shows(seen(**other))


def test_cache_names_what_answered() -> None:
    """``hit`` is any cache of ours, ``provider`` a prefix read from the provider's."""
    assert read_filter("cache:hit").shows(seen(cache="joined"))
    assert not read_filter("cache:hit").shows(seen(cache_read_tokens=9))
    assert read_filter("cache:provider").shows(seen(cache_read_tokens=9))


def test_any_is_no_condition() -> None:
    """``status:any key:any`` shows everything."""
    assert read_filter("status:any key:any").tests == ()


def test_words_are_looked_for_and_hide_nothing() -> None:
    """A word without a field marks rows; all words must be in one."""
    wanted = read_filter("nano CI")

    assert wanted.shows(seen(key="me"))
    assert wanted.finds(seen())
    assert not wanted.finds(seen(key="me", model="gpt-5-mini", tags=""))
    assert not read_filter("").finds(seen())


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("modle:gpt", "`modle` is nothing that a request has", "did you mean `model`?"),
        ("zzz:1", "`zzz` is nothing that a request has", "there are model, "),
        ("key:", "`key:` says no value", "write it as key:NAME"),
        ("cost>lots", "`lots` is no value of `cost`", "write it as cost>0.01"),
        ("ttft>5 parsecs", "`5` is no value", ""),
        ("ttft>5parsecs", "`5parsecs` is no value of `ttft`", "write it as ttft>500ms"),
        ("in>many", "`many` is no value of `in`", "write it as in>1k"),
        ("key>ci", "`key` holds words, which are not more or less", "write it as key:ci"),
        ('key:"ci', "a quotation mark is not closed", ""),
    ],
)
def test_a_term_that_makes_no_sense_is_told(text: str, message: str, hint: str) -> None:
    """The error names the term, and says what would do."""
    if text == "ttft>5 parsecs":  # a number without a unit is milliseconds, the rest is a word
        assert read_filter(text).words == ("parsecs",)
        return
    with pytest.raises(BadRequest, match=message) as refused:
        read_filter(text)

    assert (refused.value.hint or "").startswith(hint)


def test_a_filter_is_spelled_as_options_of_request_list() -> None:
    """What the command line can say too is copied with its command."""
    wanted = read_filter("model:gpt status:error key:ci tier:cheap tag:batch cost>=0.01 ttft>1s")

    assert wanted.options == (
        "--model", "*gpt*", "--status", "error", "--key", "ci", "--tier", "cheap", "--tag", "batch", "--min-cost", "0.01",
    )  # fmt: skip


@pytest.mark.parametrize("field", ["model", "provider", "tier", "key", "tag"])
def test_nothing_has_no_option(field: str) -> None:
    """`request list` would look for something of the name `none`, and show nothing."""
    assert (read_filter(f"{field}:none").options, read_filter(f"{field}:none").whole) == ((), False)


def test_every_field_can_be_asked_for() -> None:
    """Each documented field reads something of a request."""
    assert set(FIELDS) == set(TEXTS) | set(NUMBERS)
    for field in TEXTS:
        assert all(isinstance(each, str) for each in TEXTS[field](seen()))


@given(st.text(max_size=40))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    """No text breaks the reader: it is a filter or a BadRequest."""
    with suppress(BadRequest):
        wanted = read_filter(text)
        wanted.shows(seen())
        wanted.finds(seen())
