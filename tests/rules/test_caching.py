"""Which requests the caches answer and which answers they keep. # D-13"""

from __future__ import annotations

import time
from typing import Any

import pytest

from llmgw.domain.cache import CacheControl
from llmgw.domain.chat import (
    ChatAnswer,
    Choice,
    FinishReason,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from llmgw.domain.usage import Usage
from llmgw.errors import BadRequest
from llmgw.rules.caching import DATED, USUAL, Rules, kind_of, may_keep, passes_by, read_control

RULES = Rules(ttl=3, ttl_deterministic=9, ttl_dated=1, max_temperature=1.0, tools=False, images=True)
TOOLS = Rules(ttl=3, ttl_deterministic=9, ttl_dated=1, max_temperature=1.0, tools=True, images=False)


def asked(content: Any = "hi", **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


def part(kind: str, **more: Any) -> list[dict[str, Any]]:
    return [{"type": kind, **more}]


DATA = {"image_url": {"url": "data:image/png;base64,xx"}}


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        (asked(), ""),
        (asked(temperature=1.0), ""),
        (asked(temperature=1.1), "temperature"),
        (asked(n=1), ""),
        (asked(n=2), "n"),
        (asked(modalities=["text"]), ""),
        (asked(modalities=["text", "audio"]), "modalities"),
        (asked(logprobs=False), ""),
        (asked(logprobs=True), "logprobs"),
        (asked(store=True), "store"),
        (asked(store=False), ""),
        (asked(mcp_servers=[]), "mcp_servers"),
        (asked(tools=[{"type": "function"}]), "tools"),
        (asked(functions=[{"name": "f"}]), "tools"),
        (asked(tools=[]), ""),
        (asked(part("image_url", **DATA)), ""),
        (asked(part("image_url", image_url={"url": "https://x/y.png"})), "remote"),
        (asked(part("image", source={"type": "url", "url": "http://x"})), "remote"),
        (asked(part("file", file={"file_id": "file-1"})), "remote"),
        (asked(part("text", text="see https://x")), ""),
        (asked(part("image_url", image_url={"url": "HTTPS://x/y.png"})), "remote"),
        (asked(part("image_url", image_url={"url": " gs://x/y.png"})), "remote"),
        (asked(enable_search=True), "enable_search"),
        (
            asked(part("tool_result", content=part("image", source={"type": "url", "url": "http://x"}))),
            "remote",
        ),
    ],
    ids=str,
)
def test_a_request_passes_by_for_a_reason(tree: dict[str, Any], why: str) -> None:
    """What samples wildly, looks things up, leans on a provider's memory or on other servers is never cached."""
    assert passes_by(tree, RULES) == why


def test_the_operator_decides_about_tools_and_pictures() -> None:
    """Functions may be allowed, tools that run at the provider never; pictures may be kept out."""
    assert passes_by(asked(tools=[{"type": "function"}, {"name": "f", "input_schema": {}}]), TOOLS) == ""
    assert passes_by(asked(tools=[{"type": "web_search_20250305"}]), TOOLS) == "tools"
    assert passes_by(asked(part("image_url", **DATA)), TOOLS) == "images"


@pytest.mark.parametrize(
    ("tree", "kind"),
    [
        (asked("Name a colour"), "usual"),
        (asked("Name a colour", temperature=0), "deterministic"),
        (asked("What is the LATEST version?", temperature=0), "dated"),
        (asked("Wie ist das Wetter heute?"), "dated"),
        (asked(part("text", text="What time is it now?")), "dated"),
        (asked("What did I miss last night?"), "dated"),
        (asked("Which films start next weekend?"), "dated"),
        (asked("How many days until Easter?"), "dated"),
        (asked("Welche Filme kommen nächsten Monat?"), "dated"),
        (asked("Who won in the year 1954?"), "usual"),
        (asked("Knowledge is actually known"), "usual"),
    ],
    ids=str,
)
def test_a_prompt_that_speaks_of_today_is_dated(tree: dict[str, Any], kind: str) -> None:
    """Its answer lives shortest, even where nothing is left to chance."""
    assert kind_of(tree) == kind


def answer(*parts: Part, finish: FinishReason | None = FinishReason.STOP, **more: Any) -> ChatAnswer:
    fields: dict[str, Any] = {
        "id": "a",
        "model": "m",
        "usage": Usage(),
        "choices": (Choice(0, parts, finish),),
    }
    return ChatAnswer(**(fields | more))


CALL = ToolCall("id", "f", "{}")


@pytest.mark.parametrize(
    ("given", "kept", "kept_with_tools"),
    [
        (answer(Text("x")), True, True),
        (answer(Thinking("hm", "sig"), Text("x")), True, True),
        (answer(Text("x"), finish=FinishReason.LENGTH), False, False),
        (answer(Text("x"), finish=FinishReason.CONTENT_FILTER), False, False),
        (answer(Text("x"), finish=FinishReason.REFUSAL), False, False),
        (answer(Text("x"), finish=None), False, False),
        (answer(Refusal("no")), False, False),
        (answer(Opaque("openai_chat", {"audio": 1}), Text("x")), False, False),
        (answer(CALL, finish=FinishReason.TOOL_CALLS), False, True),
        (answer(Text("x"), CALL), False, True),
        (answer(), False, False),
        (answer(Text("x"), choices=()), False, False),
        (answer(Text("x"), usage=Usage(searches=1)), False, False),
        (answer(Text("x"), extra={"citations": ["https://x"]}), False, False),
        (answer(Text("x"), extra={"system_fingerprint": "fp"}), True, True),
    ],
    ids=lambda value: None if isinstance(value, bool) else str(value)[:80],
)
def test_only_a_whole_and_good_answer_is_kept(given: ChatAnswer, kept: bool, kept_with_tools: bool) -> None:
    """Cut, refused, filtered, empty and looked-up answers are not."""
    assert may_keep(given, RULES) is kept
    assert may_keep(given, TOOLS) is kept_with_tools


@pytest.mark.parametrize(
    ("headers", "control"),
    [
        ({}, CacheControl()),
        ({b"cache-control": b"no-cache"}, CacheControl(read=False)),
        ({b"cache-control": b"No-Store, max-age=5"}, CacheControl(False, False, False, 5 * 10**9)),
        ({b"cache-control": b'max-age="7"'}, CacheControl(max_age=7 * 10**9)),
        ({b"cache-control": b"max-age=soon, something-new"}, CacheControl()),
        ({b"cache-control": b"only-if-cached"}, CacheControl(only=True)),
        ({b"x-llmgw-cache": b" REFRESH "}, CacheControl(read=False)),
        ({b"cache-control": b"no-cache", b"x-llmgw-cache": b"only"}, CacheControl(only=True)),
        ({b"cache-control": b"no-store, no-cache"}, CacheControl(False, False)),
        ({b"cache-control": b"max-age=9, max-age=7"}, CacheControl(max_age=7 * 10**9)),
        ({b"x-llmgw-cache": b"refresh, no-store"}, CacheControl(False, False)),
        ({b"x-llmgw-cache": b"no-store,,refresh"}, CacheControl(False, False)),
        ({b"cache-control": b"no-store", b"x-llmgw-cache": b"refresh"}, CacheControl(False, False)),
        ({b"x-llmgw-cache": b"refresh, only"}, CacheControl(False, only=True)),
        ({b"cache-control": b"no-store", b"x-llmgw-cache": b"only"}, CacheControl(False, False, True)),
    ],
    ids=str,
)
def test_control_headers_are_read_as_the_standard_has_them(
    headers: dict[bytes, bytes], control: CacheControl
) -> None:
    """Unknown directives are overlooked, the gateway's own header wins, and `no-store` holds wherever it stands."""
    assert read_control(headers) == control


def test_an_unknown_word_of_our_own_is_refused() -> None:
    """A typing error must not cost a call."""
    with pytest.raises(BadRequest, match="no-store, only or refresh"):
        read_control({b"x-llmgw-cache": b"onyl"})


def test_a_long_document_costs_no_time() -> None:
    """Words of time count at the ends of a text, where a question stands, and a megabyte between is not searched."""
    document = "the quick brown fox " * 50_000

    def asked(text: str) -> str:
        return kind_of({"messages": [{"role": "user", "content": text}]})

    began = time.process_time()
    assert asked(document) == USUAL
    assert time.process_time() - began < 0.02
    assert asked(document + "What is new today?") == asked("What is new today? " + document) == DATED
