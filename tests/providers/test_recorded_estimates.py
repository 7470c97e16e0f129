"""Estimates of whole calls against what providers billed for them: the bound always holds, the guess comes near."""

from __future__ import annotations

import json
import re
import statistics
from collections import defaultdict

import pytest
from support.recorded import ANTHROPIC, OPENAI, Exchange, recorded

from llmgw.domain.chat import Audio, Document, Image, Opaque
from llmgw.errors import BadRequest
from llmgw.providers.registry import caller_dialect
from llmgw.rules.estimating import estimate_request, upper_bound_tokens

USAGE = re.compile(rb'"usage":\s*(\{(?:[^{}]|\{[^{}]*\})*\})')
SEARCH = re.compile(
    rb"web_search|web_fetch|code_execution|mcp_servers|perplexity|sonar|:online|compound|file_id|search_parameters"
)
"""Calls whose input the provider itself enlarges, by what it searches, runs or fetches."""


def billed(exchange: Exchange) -> int | None:
    """Input tokens that the provider counted, cached ones included; None where it told none."""
    told = [json.loads(found) for found in USAGE.findall(exchange.reply)]
    told = [usage for usage in told if usage.get("prompt_tokens") or usage.get("input_tokens")]
    if not told or exchange.status != 200:
        return None
    usage = told[-1]
    if "prompt_tokens" in usage:
        return usage["prompt_tokens"]
    cached = (usage.get(f"cache_{kind}_input_tokens") or 0 for kind in ("read", "creation"))
    return usage["input_tokens"] + sum(cached)


CALLS = [
    ("openai_chat", "chat", tuple(name for name in OPENAI if name != "perplexity")),
    ("anthropic", "messages", ANTHROPIC),
]


@pytest.mark.parametrize(("dialect", "surface", "providers"), CALLS)
def test_no_recorded_call_exceeds_its_bound(dialect, surface, providers):
    """A reservation made from the peek alone covers every recorded prompt that no server-side tool enlarged."""
    seen = 0
    for exchange in recorded(surface, *providers):
        counted = billed(exchange)
        if not exchange.request or counted is None or SEARCH.search(exchange.request):
            continue
        try:
            peek = caller_dialect(dialect).peek(exchange.request)
        except BadRequest:
            continue
        assert counted <= upper_bound_tokens(peek.prompt_bytes, peek.attachments), exchange.name
        seen += 1
    print(f"{dialect}: {seen} calls within their bound")
    assert seen > 600


@pytest.mark.parametrize(("dialect", "surface", "providers"), CALLS)
def test_whole_calls_are_met(dialect, surface, providers):
    """The median ratio to what was billed is near one for calls of text; tools are rendered as each provider likes."""
    ratios: dict[tuple[str, str], list[float]] = defaultdict(list)
    for provider in providers:
        for exchange in recorded(surface, provider):
            counted = billed(exchange)
            if not exchange.request or counted is None or SEARCH.search(exchange.request):
                continue
            try:
                request = caller_dialect(dialect).parse_request(exchange.request)
            except BadRequest:
                continue
            parts = {type(part) for message in request.messages for part in message.parts}
            if not parts & {Image, Document, Audio, Opaque}:
                kind = "tools" if request.tools else "text"
                ratios[provider, kind].append(estimate_request(request) / counted)
    for (provider, kind), found in sorted(ratios.items()):
        spread = statistics.pstdev(found)
        print(
            f"{provider:16} {kind:5} {len(found):4} calls, mean {statistics.mean(found):.2f}, "
            f"median {statistics.median(found):.2f}, deviation {spread:.2f}"
        )
    main = "openai" if dialect == "openai_chat" else "anthropic"
    assert 0.85 < statistics.median(ratios[main, "text"]) < 1.1
    assert 0.25 < statistics.median(ratios[main, "tools"]) < 1.8
