"""What speaks against an answer: it is empty, declines, repeats itself, breaks off or is not what was asked for.

Each check is silent where it cannot tell. What is found here costs a call to a better model and nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from llmgw.domain.chat import FinishReason, Refusal, Text, Thinking, ToolCall
from llmgw.rules.verifying.finals import result_of
from llmgw.rules.verifying.languages import language_of
from llmgw.rules.verifying.phrases import doubt_in, refusal_in
from llmgw.rules.verifying.shapes import misfit
from llmgw.rules.verifying.sums import false_sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmgw.domain.chat import ChatAnswer, Choice
    from llmgw.rules.verifying.wish import Wish

_WORD = re.compile(r"\w+")
_FENCED = re.compile(r"```\w*+\n?+(.*?)```", re.DOTALL)
_WRITTEN_CALL = re.compile(
    r'<tool_call>|<function=|<\|python_tag\|>|^\s*\{\s*"(?:name|function|tool)"\s*:\s*"(?P<name>[^"]+)"\s*,\s*'
    r'"(?:arguments|parameters|args)"'
)
_ONE_NUMBER = re.compile(r"^\D{0,4}-?\d[\d.,/ ]*+\D{0,4}$")

FEWEST_WORDS = 3
"""Words of an answer to a request to explain or to write."""
TAIL = 400
"""Words, or characters of a script without spaces, of the end in which a loop is looked for."""
LONGEST_PERIOD = 60
LEAST_RUN = 30
TURNS = 4
"""Times that words have to come again to be a loop."""
LONGEST_READ = 200_000
"""Characters of an answer, or of a tool's arguments, that are read as JSON; of more nothing is known."""
LONGEST_CHOICE = 40
"""Characters of an answer that is asked for as one letter, one number or yes or no."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that speaks against an answer: the name of the check, and in words what it saw."""

    check: str
    words: str


def examine(wish: Wish, answer: ChatAnswer) -> tuple[Finding, ...]:
    """Everything that speaks against a whole answer; nothing where it may pass."""
    if not answer.choices:
        return (Finding("empty", "there is no answer"),)
    return tuple(finding for choice in answer.choices for finding in _choice(wish, choice))


def begin(wish: Wish, text: str) -> tuple[Finding, ...]:
    """What speaks against an answer of which only the beginning is there."""
    return tuple(_wording(wish, text))


def text_of(choice: Choice) -> str:
    """What a choice says, its reasoning left out."""
    return "".join(part.text for part in choice.parts if isinstance(part, Text))


def _choice(wish: Wish, choice: Choice) -> Iterator[Finding]:
    text = text_of(choice)
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    declined = [part.text for part in choice.parts if isinstance(part, Refusal)]
    if declined or choice.finish_reason in {FinishReason.REFUSAL, FinishReason.CONTENT_FILTER}:
        yield Finding("refusal", "".join(declined)[:80] or "the model declines")
        return
    if choice.finish_reason is FinishReason.LENGTH and not wish.limited:
        yield Finding("cut off", "it ran into the model's limit")
    yield from _tools(wish, calls, text)
    if calls:
        return
    if not text.strip():
        thought = any(isinstance(part, Thinking) for part in choice.parts)
        yield Finding("empty", "it thinks and says nothing" if thought else "it says nothing")
        return
    yield from _wording(wish, text)
    yield from _format(wish, text)
    if (
        wish.wordy
        and not wish.limited
        and len(_WORD.findall(text.strip()[:TAIL])) < FEWEST_WORDS
        and text.isascii()
    ):
        yield Finding("short", f"no more than `{text.strip()[:40]}`")
    yield from (Finding("sum", words) for words in false_sums(text)[:1])


def _wording(wish: Wish, text: str) -> Iterator[Finding]:
    if words := refusal_in(text, wish.text):
        yield Finding("refusal", words)
    elif words := doubt_in(text, wish.text):
        yield Finding("unsure", words)
    if words := loop_in(text):
        yield Finding("loop", words)
    if wish.language and (language := language_of(text)) and language != wish.language:
        yield Finding("language", f"{language} where {wish.language} was spoken")


def _tools(wish: Wish, calls: Sequence[ToolCall], text: str) -> Iterator[Finding]:
    if wish.must_call and not any(wish.must_call in {"*", call.name} for call in calls):
        name = "a tool" if wish.must_call == "*" else f"`{wish.must_call}`"
        yield Finding("tool", f"{name} had to be called and was not")
    for call in calls:
        if call.name not in wish.tools:
            yield Finding("tool", f"there is no tool `{call.name[:60]}`")
            continue
        if len(call.arguments) > LONGEST_READ:
            continue
        given = _read(call.arguments or "{}")
        if not isinstance(given, dict):
            yield Finding("tool", f"the arguments of `{call.name}` are no JSON object")
        elif words := misfit(given, wish.tools[call.name], "arguments"):
            yield Finding("tool", f"`{call.name}`: {words}")
    written = _WRITTEN_CALL.search(text[:LONGEST_READ]) if wish.tools and not calls else None
    if written is not None and written["name"] in (None, *wish.tools):
        yield Finding("tool", "a tool's call is written as text")


def _format(wish: Wish, text: str) -> Iterator[Finding]:
    if (wish.raw or wish.json) and len(text) <= LONGEST_READ:
        value = _read(text) if wish.raw else _json_in(text)
        if value is _NONE:
            yield Finding("format", "JSON was asked for and this is none")
        elif wish.raw and not isinstance(value, (dict, list)):
            yield Finding("format", "a JSON object was asked for and this is another value")
        elif words := misfit(value, wish.schema):
            yield Finding("format", words)
    if text.count("```") % 2:
        yield Finding("cut off", "a block of code does not end")
    elif wish.block and "```" not in text:
        yield Finding("format", "a block of code was asked for and there is none")
    yield from _form(wish, text)


def _form(wish: Wish, text: str) -> Iterator[Finding]:
    plain = text.strip().strip("*_`\"'. ")
    if wish.form == "number":
        if not _ONE_NUMBER.match(plain):
            yield Finding("format", "one number was asked for and this is none")
    elif wish.form == "letter":
        if len(plain) > LONGEST_CHOICE or result_of(wish.text, text) is None:
            yield Finding("format", "one letter was asked for and this is none")
    elif (wish.form or wish.choices) and result_of(wish.text, text) is None:
        yield Finding("format", "none of the answers that were offered is given")


_NONE = object()


def _read(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _NONE


def _json_in(text: str) -> Any:
    """The value in a text that may say something around it, most willingly in a fence."""
    tries = [text.strip(), *_FENCED.findall(text)]
    for first, last in ("{}", "[]"):
        start, end = text.find(first), text.rfind(last)
        if 0 <= start < end:
            tries.append(text[start : end + 1])
    return next((value for each in tries if (value := _read(each)) is not _NONE), _NONE)


def loop_in(text: str) -> str:
    """What an answer keeps saying at its end; empty where it does not."""
    words = _WORD.findall(text[-TAIL * 20 :])[-TAIL:]
    if len(words) < LEAST_RUN or max(map(len, words)) > TAIL // 2:  # a script without spaces
        words = [char for char in text[-TAIL:] if char.isalpha()]
    for period in range(1, min(LONGEST_PERIOD, len(words) // TURNS) + 1):
        run = period
        while run < len(words) and words[-1 - run] == words[-1 - run + period]:
            run += 1
        if run >= max(LEAST_RUN, TURNS * period) and not all(map(str.isdigit, words[-period:])):
            return " ".join(words[-period:])[:60]
    return ""
