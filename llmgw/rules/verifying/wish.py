"""What an answer has to look like, as its request says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.domain.chat import Json, Role, Text
from llmgw.rules.verifying.finals import choices_of, wants_yes_no
from llmgw.rules.verifying.languages import language_of, names_language

if TYPE_CHECKING:
    from llmgw.domain.chat import ChatRequest

_ANSWERING = (
    r"\b(?:answer|respond|reply|return|output|produce|give|write|provide|format|antwort\w*|gib|liefere|ausgabe|erzeuge|"
    r"réponds?|répondez|renvoie|responde|devuelve|rispondi|restituisci|antwoord)\b"
)
_JSON = re.compile(
    rf"{_ANSWERING}[^.?!\n]{{0,60}}\bjson\b|\b(?:only|just|valid|nur|ausschließlich|gültiges|uniquement|sólo|solo|alleen)"
    r"\b[^.?!\n]{0,30}\bjson\b|\bjson (?:only|object|array|format)\b|\b(?:in|as|als|im|en|como|come) json\b",
    re.IGNORECASE,
)
_BLOCK = re.compile(
    r"\b(?:in|inside|within|as|using) (?:a |one |single |fenced |markdown )*code ?(?:block|fence)|"
    r"\b(?:in einem|als|im) (?:einzigen |markdown-?)?code-?block|\bbloc de code|\bbloque de código",
    re.IGNORECASE,
)
_ONLY = r"(?:only|just|nothing but|nur|ausschließlich|lediglich|uniquement|seulement|sólo|solo|solamente|soltanto|apenas|alleen)"
_BEFORE = rf"(?:{_ANSWERING}[^.?!\n]{{0,60}}|(?:^|[.?!:]\s+|\n))"
_NUMBER = re.compile(
    rf"{_BEFORE}\b{_ONLY}\b[^.?!\n]{{0,30}}\b(?:number|digits?|integer|zahl|ziffern?|nombre|chiffre|número|numero|getal)\b|"
    rf"{_ANSWERING}[^.?!\n]{{0,60}}\b(?:single|einzige[rn]?) (?:number|integer|zahl)\b",
    re.IGNORECASE,
)
_LETTER = re.compile(
    rf"{_BEFORE}\b{_ONLY}\b[^.?!\n]{{0,30}}\b(?:letter|buchstaben?|lettre|letra|lettera)\b|"
    rf"{_ANSWERING}[^.?!\n]{{0,60}}\b(?:single|one|einzelnen?|einen) (?:letter|buchstaben)\b",
    re.IGNORECASE,
)
_LONG = re.compile(
    r"\b(?:explain|describe|write|essay|summari[sz]e|compare|list|elaborate|discuss|in detail|step by step|erkläre|erläutere|"
    r"beschreibe|schreibe|aufsatz|fasse|vergleiche|liste|ausführlich|explique|décris|écris|résume|compare|describe|escribe|"
    r"resume|spiega|descrivi|scrivi|riassumi|descreva|escreva|leg uit|beschrijf|schrijf)\b",
    re.IGNORECASE,
)
_BLOCKS = ("code", "código")
_NUMBERS = ("number", "digit", "integer", "zahl", "ziffer", "nombre", "chiffre", "número", "numero", "getal")
_LETTERS = ("letter", "buchstabe", "lettre", "letra")
"""Without one of these words the pattern of that name, which takes longer, need not be tried."""
READ = 4000
"""Characters of the last words that are looked at, half of them from the end."""


class Wish(Struct, frozen=True, kw_only=True):
    """What is asked; ``text`` is the user's last words, cut in the middle where they are long. ``raw`` means that the whole answer has to be JSON, which a schema may describe.

    ``form`` is letter, number or yes/no, ``choices`` the letters that are offered. ``language`` is what an answer has to be
    in, empty where that is open; ``tools`` are schemas by name, ``must_call`` the tool or ``*`` for any. ``limited`` tells
    that the caller bounds the answer's length.
    """

    text: str = ""
    raw: bool = False
    json: bool = False
    schema: Json = {}
    block: bool = False
    form: str = ""
    choices: frozenset[str] = frozenset()
    wordy: bool = False
    language: str = ""
    tools: dict[str, Json] = {}
    must_call: str = ""
    limited: bool = False


def wish_of(request: ChatRequest) -> Wish:
    """What a request asks for."""
    text, told = _last(request), _told(request)
    asked = text if len(text) <= READ else f"{text[: READ // 2]}\n{text[-READ // 2 :]}"
    instructions = f"{told[-READ:]}\n{asked}"
    form = request.response_format
    kind = "" if form is None else form.kind
    choices = choices_of(asked)
    choice = request.tool_choice
    mode = "" if choice is None else choice.mode
    must = {"required": "*", "named": "" if choice is None else choice.name}.get(mode, "")
    low = instructions.lower()
    asks_json = "json" in low and _JSON.search(instructions) is not None
    wanted = _form(instructions, low, asked, choices)
    return Wish(
        text=asked,
        raw=kind in {"json_object", "json_schema"},
        json=asks_json,
        schema=form.schema if form is not None and kind == "json_schema" else {},
        block=any(word in low for word in _BLOCKS) and _BLOCK.search(instructions) is not None,
        form=wanted,
        choices=choices,
        wordy=not (wanted or kind or asks_json) and _LONG.search(asked) is not None,
        language="" if names_language(instructions) else language_of(asked),
        tools={tool.name: tool.schema for tool in request.tools if tool.opaque is None},
        must_call=must,
        limited=request.max_tokens is not None or bool(request.stop),
    )


def _form(instructions: str, low: str, asked: str, choices: frozenset[str]) -> str:
    if choices and any(word in low for word in _LETTERS) and _LETTER.search(instructions):
        return "letter"
    if any(word in low for word in _NUMBERS) and _NUMBER.search(instructions):
        return "number"
    return "yes or no" if wants_yes_no(asked) else ""


def _last(request: ChatRequest) -> str:
    for message in reversed(request.messages):
        if message.role is Role.USER:
            said = "\n".join(part.text for part in message.parts if isinstance(part, Text))
            if said:
                return said
    return ""


def _told(request: ChatRequest) -> str:
    return "\n".join(
        part.text
        for message in request.messages
        if message.role is Role.SYSTEM
        for part in message.parts
        if isinstance(part, Text)
    )
