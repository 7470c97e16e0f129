"""What speaks against an answer is found in several languages, and a good answer passes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.domain.chat import (
    ChatAnswer,
    ChatRequest,
    Choice,
    FinishReason,
    Message,
    Refusal,
    ResponseFormat,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
)
from llmgw.rules.verifying.agreement import comparable, disagreement
from llmgw.rules.verifying.checks import begin, examine, loop_in
from llmgw.rules.verifying.finals import result_of, same_result
from llmgw.rules.verifying.languages import language_of
from llmgw.rules.verifying.shapes import misfit
from llmgw.rules.verifying.sums import false_sums
from llmgw.rules.verifying.wish import wish_of

WEATHER = Tool(
    "weather", schema={"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}
)
STORY = (
    "Once upon a time there was a fisherman who lived with his wife in a small house by the sea, and every day he went"
    " out to fish, and he fished and fished until one day the line went down deep below."
)
GESCHICHTE = (
    "Es war einmal ein Fischer, der wohnte mit seiner Frau in einem kleinen Haus an der See, und jeden Tag ging er hin und"
    " angelte, und er angelte und angelte, bis die Angel eines Tages tief auf den Grund ging."
)


def found(prompt: str, *said: Any, finish: FinishReason = FinishReason.STOP, **fields: Any) -> list[str]:
    """The names of the checks that speak against an answer; a text stands for itself."""
    request = ChatRequest(model="m", messages=(Message(Role.USER, (Text(prompt),)),), **fields)
    parts = tuple(Text(each) if isinstance(each, str) else each for each in said)
    answer = ChatAnswer(id="1", model="m", choices=(Choice(0, parts, finish),), usage=None)
    return [finding.check for finding in examine(wish_of(request), answer)]


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("What is the capital of France?", "Paris."),
        ("hi", "Hello! How can I help you today?"),
        ("Was ist die Hauptstadt von Frankreich?", "Die Hauptstadt von Frankreich ist Paris."),
        ("Write a haiku about rain.", "Soft rain on the roof\nthe frogs begin their old song\nnight forgets its name"),
        ("Translate to German: I'm not sure about this, and neither is she.", "Ich bin mir nicht sicher, sie auch nicht."),
        ("Translate 'good morning' into Japanese.", "おはようございます"),
        ("What does 'je ne sais pas' mean?", 'It means "I do not know".'),
        ("What is 12 * 12?", "12 * 12 = 144"),
        ("How much is 1/3 as a decimal?", "1 / 3 = 0.333, or about one third."),
        ("Write a python function that adds.", "```python\ndef add(a, b):\n    return a + b\n```"),
        ("Write a story about a fisherman.", STORY),
        ("Schreib eine Geschichte von einem Fischer, der an der See wohnt und von der Frau.", GESCHICHTE),
        ("Return the result as JSON.", 'Here it is:\n```json\n{"ok": true}\n```'),
        ("Print a matrix of zeros.", "0 0 0 0 0 0 0 0\n" * 8),
        ("Explain recursion.", "Recursion is when a function calls itself with a smaller problem. " + STORY),
        ("If x = 3, what is 2x + 1 = ?", "2x + 1 = 7 because x = 3."),
        ("What is 20% of 50?", "20% * 50 = 10"),
    ],
)  # fmt: skip
def test_good_answers_pass(prompt: str, answer: str) -> None:
    """Short ones, long ones, those in another language that was asked for, code, sums that are right."""
    assert found(prompt, answer) == []


@pytest.mark.parametrize(
    ("answer", "check"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I\u2019m unable to provide that information.", "refusal"),
        ("As an AI language model, I have no opinions.", "refusal"),
        ("Es tut mir leid, aber dabei kann ich nicht helfen.", "refusal"),
        ("Als KI-Modell habe ich dazu nichts zu sagen.", "refusal"),
        ("Je suis désolé, mais je ne peux pas vous aider.", "refusal"),
        ("Lo siento, no puedo ayudar con eso.", "refusal"),
        ("Mi dispiace, ma non posso aiutarti.", "refusal"),
        ("Desculpe, mas não posso ajudar.", "refusal"),
        ("Het spijt me, maar dat kan ik niet.", "refusal"),
        ("对不起,我无法回答这个问题。", "refusal"),
        ("I'm not sure what you mean.", "unsure"),
        ("I don't know.", "unsure"),
        ("Could you please clarify the question?", "unsure"),
        ("Ich bin mir nicht sicher, was gemeint ist.", "unsure"),
        ("Das weiß ich leider auch nicht, ich weiß es nicht.", "unsure"),
        ("Je ne sais pas.", "unsure"),
        ("No lo sé.", "unsure"),
        ("Non lo so.", "unsure"),
        ("Não sei a resposta.", "unsure"),
        ("Ik weet het niet.", "unsure"),
        ("我不知道。", "unsure"),
        ("the same again and " * 20, "loop"),
        ("再说一遍。" * 30, "loop"),
        ("We have 17 + 25 = 52 apples.", "sum"),
        ("```python\ndef add(a, b):", "cut off"),
    ],
)  # fmt: skip
def test_bad_answers_do_not(answer: str, check: str) -> None:
    """Nothing, a refusal or a doubt in one of nine languages, a loop, a wrong sum, a block of code that does not end."""
    assert check in found("Tell me something about it.", answer)


def test_what_stands_deep_in_a_long_answer_is_part_of_it() -> None:
    """A story in which somebody does not know something is no doubt of the model's."""
    assert found("Write a story.", f'{STORY} {STORY} "I don\'t know," said the fish. {STORY}') == []


def test_the_model_says_itself_that_it_declines() -> None:
    """A refusal part and a finish reason that says so are refusals, whatever the text."""
    assert found("Write it.", Refusal("No.")) == ["refusal"]
    assert found("Write it.", "Here", finish=FinishReason.CONTENT_FILTER) == ["refusal"]


def test_thinking_is_no_answer() -> None:
    """A model that only thinks has said nothing; what it thinks is not looked at."""
    assert found("Tell me.", Thinking("I'm not sure.")) == ["empty"]
    assert found("Which city?", Thinking("I'm not sure."), "Paris.") == []


def test_what_ran_into_a_limit() -> None:
    """An answer that the model's own limit cut counts as cut off, one that its caller's limit did does not."""
    assert found("Write a story.", STORY, finish=FinishReason.LENGTH) == ["cut off"]
    assert found("Write a story.", STORY, finish=FinishReason.LENGTH, max_tokens=50) == []


@pytest.mark.parametrize(
    ("prompt", "answer", "language"),
    [
        (STORY, GESCHICHTE, "de"),
        (GESCHICHTE, STORY, "en"),
        ("Tell me how the weather is going to be in the next days and what I should take with me.", "今天天气很好,明天也会很好,您可以带一件外套。", "zh"),
    ],
)  # fmt: skip
def test_the_wrong_language(prompt: str, answer: str, language: str) -> None:
    """An answer in another language than the question's is one to replace, unless languages are spoken of."""
    assert language_of(answer) == language
    assert found(prompt, answer) == ["language"]
    assert found(f"{prompt} Translate it.", answer) == []


JSON_ASKED = "List three colours. Respond only with JSON."


@pytest.mark.parametrize(
    ("answer", "fields", "fits"),
    [
        ('["red", "green", "blue"]', {}, True),
        ("red, green and blue", {}, False),
        ('{"a": 1}', {"response_format": ResponseFormat("json_object")}, True),
        ('Sure! {"a": 1}', {"response_format": ResponseFormat("json_object")}, False),
        ("42", {"response_format": ResponseFormat("json_object")}, False),
        ('{"a": "x"}', {"response_format": ResponseFormat("json_schema", schema={"properties": {"a": {"type": "integer"}}})}, False),
        ('{"a": 1}', {"response_format": ResponseFormat("json_schema", schema={"properties": {"a": {"type": "integer"}}})}, True),
    ],
)  # fmt: skip
def test_json(answer: str, fields: dict[str, Any], fits: bool) -> None:
    """Where JSON is asked for the answer has to hold some, with a response format be some, and fit its schema."""
    assert found(JSON_ASKED, answer, **fields) == ([] if fits else ["format"])


@pytest.mark.parametrize(
    ("prompt", "answer", "fits"),
    [
        ("How many? Answer with only a number.", "42", True),
        ("How many? Answer with only a number.", "There are a lot of them", False),
        ("Antworte nur mit einer Zahl: wie viele?", "ungefähr viele", False),
        ("Which?\nA. one\nB. two\nReply with only the letter.", "B", True),
        ("Which?\nA. one\nB. two\nReply with only the letter.", "C", False),
        ("Which?\nA. one\nB. two\nReply with only the letter.", "Well, that depends on how you look at it and what", False),
        ("Is it so? Answer yes or no.", "Yes.", True),
        ("Is it so? Answer yes or no.", "Perhaps.", False),
        ("Stimmt das? Antworte mit ja oder nein.", "Nein.", True),
        ("Put the script in a code block.", "```\nls\n```", True),
        ("Put the script in a code block.", "ls", False),
    ],
)  # fmt: skip
def test_forms(prompt: str, answer: str, fits: bool) -> None:
    """One number, one letter of those offered, yes or no, a block of code."""
    assert ("format" not in found(prompt, answer)) is fits


@pytest.mark.parametrize(
    ("call", "fits"),
    [
        (ToolCall("1", "weather", '{"city": "Paris"}'), True),
        (ToolCall("1", "weather", '{"city": 7}'), False),
        (ToolCall("1", "weather", "{}"), False),
        (ToolCall("1", "weather", '{"city": '), False),
        (ToolCall("1", "weather", "[]"), False),
        (ToolCall("1", "forecast", '{"city": "Paris"}'), False),
        ('<tool_call>{"name": "weather"}</tool_call>', False),
        ('{"name": "weather", "arguments": {"city": "Paris"}}', False),
        ('{"name": "Paul", "arguments": {}}', True),
    ],
)
def test_tools(call: Any, fits: bool) -> None:
    """A call has to name a tool that is offered with arguments that fit, and be a call."""
    assert found("How is the weather?", call, tools=(WEATHER,)) == ([] if fits else ["tool"])


def test_a_tool_that_had_to_be_called() -> None:
    """A text where a call was demanded does not do."""
    must = {"tools": (WEATHER,), "tool_choice": ToolChoice("named", "weather")}
    assert found("How is the weather?", "Fine.", **must) == ["tool"]
    assert found("How is the weather?", ToolCall("1", "weather", '{"city": "Rome"}'), **must) == []


@pytest.mark.parametrize(
    ("prompt", "text", "result"),
    [
        ("Which?\nA. one\nB. two\nC. three", "The answer is (B) because", "B"),
        ("Which?\nA. one\nB. two", "Die Antwort ist B.", "B"),
        ("Which?\nA. one\nB. two", "\\boxed{A}", "A"),
        ("How many apples?", "So 3 + 4 = 7.\n#### 7", "7"),
        ("How many apples?", "The answer is 1,200 apples.", "1200"),
        ("How much is it?", "It is $2.50 in total.", "5/2"),
        ("Wie viele?", "Es sind 12.", "12"),
        ("Yes or no?", "Well, I would say no", "no"),
        ("Tell me.", "Paris", None),
        ("What is the date?", "Explain: it is May Day.\nA: 05/01/2021", "05/01/2021"),
        ("Welcher Tag ist das?", "Also dann.\n**Antwort:** Montag.", "montag"),
        ("Solve it.", "Thus \\boxed{x + 1}", "x + 1"),
        ("How many apples?", "several", None),
    ],
)
def test_results(prompt: str, text: str, result: str | None) -> None:
    """The choice, number or yes that an answer ends in, in a form in which equal ones are equal."""
    assert result_of(prompt, text) == result


@pytest.mark.parametrize(
    ("prompt", "one", "other", "same"),
    [
        ("Which city?", "Paris", "The capital of France is Paris.", True),
        ("Which city?", "Paris", "Lyon", False),
        ("Which city?", "Paris", "Not Paris", False),
        ("How many?", "3 + 4 = 7", "the total is 7.0", True),
        ("How many?", "7", "8", False),
        ("Explain it.", STORY, STORY, None),
    ],
)
def test_same_results(prompt: str, one: str, other: str, same: bool | None) -> None:
    """Two answers come to the same, to something else, or have nothing to compare; which one comes first is no matter."""
    assert same_result(prompt, one, other) is same
    assert same_result(prompt, other, one) is same


def test_half_of_the_samples_have_to_agree() -> None:
    """One of two that agrees is enough, none of one is not; what cannot be compared is not asked for again."""
    wish = wish_of(ChatRequest(model="m", messages=(Message(Role.USER, (Text("How many apples?"),)),)))
    assert comparable(wish, "7")
    assert disagreement(wish, "7", ["7", "8"]) is None
    assert disagreement(wish, "7", ["6", "8"]) is not None
    assert disagreement(wish, "7", []) is None
    essay = wish_of(ChatRequest(model="m", messages=(Message(Role.USER, (Text("Write an essay."),)),)))
    assert not comparable(essay, STORY)


def test_the_beginning_alone() -> None:
    """A refusal and a doubt show in the first words; what is only missing yet does not count."""
    wish = wish_of(ChatRequest(model="m", messages=(Message(Role.USER, (Text(JSON_ASKED),)),)))
    assert begin(wish, '["red", "gr') == ()
    assert [each.check for each in begin(wish, "I'm sorry, but I cannot")] == ["refusal"]


@pytest.mark.parametrize(
    ("value", "schema", "fits"),
    [
        ({"a": 1}, {"type": "object", "required": ["a"]}, True),
        ({}, {"type": "object", "required": ["a"]}, False),
        (
            {"a": {"b": ["x", 1]}},
            {"properties": {"a": {"properties": {"b": {"items": {"type": "string"}}}}}},
            False,
        ),
        ({"a": 1, "b": 2}, {"properties": {"a": {}}, "additionalProperties": False}, False),
        ("x", {"enum": ["x", "y"]}, True),
        ("z", {"enum": ["x", "y"]}, False),
        (True, {"type": "integer"}, False),
        (1.0, {"type": "integer"}, True),
        (None, {"type": ["string", "null"]}, True),
        (3, {"anyOf": [{"type": "string"}, {"type": "number"}]}, True),
        ([], {"anyOf": [{"type": "string"}, {"type": "number"}]}, False),
        ([1, 2], {"$ref": "#/somewhere"}, True),
    ],
)
def test_shapes(value: Any, schema: dict[str, Any], fits: bool) -> None:
    """The common words of JSON schema; unknown ones are taken as kept."""
    assert (misfit(value, schema) == "") is fits


numbers = st.integers(1, 10**6)


@settings(deadline=None)
@given(numbers, numbers, st.sampled_from("+-*"), st.integers(-(10**6), 10**6).filter(bool))
def test_sums_are_right_or_wrong(one: int, other: int, sign: str, off: int) -> None:
    """A right equation is never found, one that is off by more than one in a hundred always is."""
    value = {"+": one + other, "-": one - other, "*": one * other}[sign]
    assert false_sums(f"so {one} {sign} {other} = {value}.") == []
    wrong = value + off
    if abs(off) > abs(value) / 50 + 1:
        assert false_sums(f"so {one:,} {sign} {other:,} = {wrong}.") != []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(json_values, json_values)
def test_any_schema_will_do(value: Any, schema: Any) -> None:
    """Whatever a caller calls a schema is no reason to fail."""
    assert isinstance(misfit(value, schema), str)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_what_was_asked_for_as_json_is_found(value: dict[str, Any]) -> None:
    """Any JSON object passes, alone where a format demands it and within words where it was only asked for."""
    text = json.dumps(value)
    assert "format" not in found(JSON_ASKED, text, response_format=ResponseFormat("json_object"))
    assert "format" not in found(JSON_ASKED, f"Here you are: {text} That was it")


@settings(deadline=None)
@given(st.lists(st.sampled_from(["red", "green", "blue"]), min_size=1, max_size=8), st.integers(12, 30))
def test_any_loop_is_found(period: list[str], times: int) -> None:
    """Words that come again often enough are a loop, whatever they are."""
    assert loop_in("Well then, " + " ".join(period * max(times, 40 // len(period)))) != ""


@settings(deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_nothing_makes_it_fail(prompt: str, answer: str) -> None:
    """Any text can be asked and answered."""
    found(prompt, answer)
    found(prompt, answer, response_format=ResponseFormat("json_object"))


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        " ",
        "\n",
        "1",
        "1 + ",
        "1,",
        "{",
        "[",
        "```",
        "A. x\n",
        "only ",
        "ich kann dir ",
        '{"name": "',
        "\\boxed{",
        "((",
        "é",
        "中",
    ],
)
def test_hostile_texts_take_no_time(piece: str) -> None:
    """A hundred thousand times the same piece, in the question and in the answer, is looked at within half a second."""
    text = piece * (100_000 // len(piece))
    began = time.process_time()
    found(text, text, tools=(WEATHER,))
    result_of(text, text)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("prompt", "answer", "fields"),
    [
        ("Answer as json.", "```" + "a" * 10**6, {}),
        ("Answer as json.", "```a```\n" * 125_000, {}),
        ("Add it up.", "1+1=" + "1" * 10**6 + "a1", {}),
        ("Add it up.", "1.1*1.1=1" + "1" * 50 + "b9 " * 10_000, {}),
        ("Answer with only a number.", "1" * 10**6 + "a" * 9, {}),
        ("Explain it.", "word " * 200_000, {}),
        ("Say it.", "<" * 10**6, {"tools": (WEATHER,)}),
        ("Say it.", "[" + "0," * 500_000 + "0]", {"response_format": ResponseFormat("json_object")}),
    ],
)
def test_a_large_hostile_answer_takes_no_time(prompt: str, answer: str, fields: dict[str, Any]) -> None:
    """A megabyte that was made to keep the checks busy takes as long as any other."""
    began = time.process_time()
    found(prompt, answer, **fields)
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ([0] * 20_000, {"items": {"enum": ["a"] * 20_000 + [0]}}),
        ([0] * 20_000, {"items": {"anyOf": [{"type": "string"}] * 20_000 + [{}]}}),
        ([{"a": 1}] * 20_000, {"items": {"required": ["a"] * 20_000}}),
        ([[0] * 100] * 1000, {"items": {"items": {"anyOf": [{"anyOf": [{"const": 1}] * 300}] * 300}}}),
    ],
)
def test_a_schema_cannot_be_a_bomb(value: Any, schema: dict[str, Any]) -> None:
    """Of what both a caller and a model can make large no more is compared than a bounded number of times."""
    began = time.process_time()
    assert misfit(value, schema) == ""
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize(
    "schema", [{"required": [["a"], {}, 1]}, {"properties": ["a"]}, {"type": [{}, ["a"]]}]
)
def test_a_schema_that_is_none_fits(schema: dict[str, Any]) -> None:
    """Words of a schema that hold something else than they should are taken as kept."""
    assert misfit({"a": 1}, schema) == ""


def test_a_long_text_tells_nothing_of_a_short_one() -> None:
    """Words of a short answer are looked for in what is not too long to be one."""
    assert same_result("Where?", "Paris", "It is Paris") is True
    assert same_result("Where?", "Paris", "It is Paris " * 1000) is None
