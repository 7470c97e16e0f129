"""The result at the end of an answer: a choice, a number, a yes or no; two answers agree where it is the same."""

from __future__ import annotations

import re
from fractions import Fraction

_CHOICES = re.compile(r"^[ \t]*\(?([A-J])[.):][ \t]+\S", re.MULTILINE)
_YES_NO = re.compile(
    r"\b(?:yes or no|yes/no|true or false|true/false|ja oder nein|wahr oder falsch|richtig oder falsch|oui ou non|"
    r"sí o no|si o no|sì o no|sim ou não|ja of nee)\b",
    re.IGNORECASE,
)
_COUNTING = re.compile(
    r"\b(?:how (?:many|much|old|far|long|tall|fast|often)|what (?:is|are|was|will be) the (?:total|sum|number|amount|average|"
    r"value|product|difference|remainder|percentage|area|volume|probability)|calculate|compute|"
    r"wie ?(?:viele?|lange?|alt|weit|hoch|schnell|groß|oft)|berechne|rechne|combien|cuánt[oa]s?|quant[ioae]s?|hoeveel)\b",
    re.IGNORECASE,
)
_SAID_LETTER = (
    re.compile(r"\\boxed\{\s*(?:\\text\{)?\(?([A-J])\)?\}?\s*\}"),
    re.compile(
        r"(?:answer|antwort|option|choice|lösung|réponse|respuesta|risposta|resposta|antwoord)\b[^A-Za-z\n]{0,6}"
        r"(?:is|ist|est|es|è|é|:)?[^A-Za-z\n]{0,6}(?:option )?\(?\b([A-J])\b",
        re.IGNORECASE,
    ),
    re.compile(r"^[ \t*(]*([A-J])(?:[.):*\s]|$)", re.MULTILINE),
)
_POSITIVE = frozenset({"yes", "ja", "oui", "sí", "si", "sì", "sim", "true", "wahr", "richtig"})
_NEGATIVE = frozenset({"no", "nein", "non", "não", "nee", "false", "falsch"})
_SAID_NUMBER = (
    re.compile(r"####\s*[$€£]?\s*(-?\d[\d,]*(?:\.\d+)?(?:/\d+)?)"),
    re.compile(r"\\boxed\{[^{}\d-]*(-?\d[\d,]*(?:\.\d+)?(?:/\d+)?)"),
    re.compile(
        r"(?:answer|antwort|total|result|ergebnis|réponse|respuesta|risposta|resposta)\b[^\d\n-]{0,40}[$€£]?"
        r"(-?\d[\d,]*(?:\.\d+)?)",
        re.IGNORECASE,
    ),
)
_DENIALS = _NEGATIVE | {
    "not",
    "never",
    "nicht",
    "kein",
    "keine",
    "nie",
    "pas",
    "jamais",
    "nunca",
    "niet",
    "geen",
}
_MARKED = re.compile(
    r"^[ \t*#>-]*(?:a|answer|final answer|antwort|ergebnis|lösung|réponse|respuesta|risposta|resposta|antwoord|ans)"
    r"[ \t*]*[:=][ \t*]*([^\n]{1,80})$|\\boxed\{([^{}\n]{1,80})\}",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")
_WORD = re.compile(r"[^\W_]+")

SHORT = 60
"""Characters of an answer that is its own result."""
END = 4000
"""Characters from the end among which a result is looked for."""


def choices_of(prompt: str) -> frozenset[str]:
    """The letters that a prompt offers, where it offers them in order: ``A. ... B. ...``."""
    found = _CHOICES.findall(prompt)
    wanted = [chr(ord("A") + at) for at in range(len(found))]
    return frozenset(found) if len(found) > 1 and found == wanted else frozenset()


def wants_yes_no(prompt: str) -> bool:
    return _YES_NO.search(prompt) is not None


def result_of(prompt: str, text: str) -> str | None:
    """The choice, the yes or no or the number that a prompt asks for, else what an answer itself calls its result.

    None where there is no such thing.
    """
    text = text[-END:]
    choices = choices_of(prompt)
    if choices:
        return _letter(text, choices)
    if wants_yes_no(prompt):
        return _yes_no(text)
    if _COUNTING.search(prompt):
        return _number(text)
    marked = _MARKED.findall(text)
    return " ".join("".join(marked[-1]).casefold().strip(" *.$").split()) or None if marked else None


def is_short(text: str) -> bool:
    """Whether an answer is nothing but its result."""
    return 0 < len(text.strip()) <= SHORT and "\n" not in text.strip()


def same_result(prompt: str, one: str, other: str) -> bool | None:
    """Whether two answers come to the same; None where they have nothing that could be compared.

    Of two short ones the words of one have to be among those of the other.
    """
    first, second = result_of(prompt, one), result_of(prompt, other)
    if first is not None or second is not None:
        return None if first is None or second is None else first == second
    if not (is_short(one) or is_short(other)) or max(len(one), len(other)) > END:
        return None
    mine, theirs = (frozenset(_WORD.findall(text.casefold())) for text in (one, other))
    within = bool(mine and theirs) and (mine <= theirs or theirs <= mine)
    return within and not (mine ^ theirs) & _DENIALS


def _letter(text: str, choices: frozenset[str]) -> str | None:
    for pattern in _SAID_LETTER:
        said: list[str] = [letter.upper() for letter in pattern.findall(text)]
        if said and said[-1] in choices:
            return said[-1]
    return None


def _yes_no(text: str) -> str | None:
    words = [word.casefold() for word in _WORD.findall(text)]
    for word in (*words[:1], *reversed(words)):
        if word in _POSITIVE or word in _NEGATIVE:
            return "yes" if word in _POSITIVE else "no"
    return None


def _number(text: str) -> str | None:
    for pattern in _SAID_NUMBER:
        said = pattern.findall(text)
        if said:
            return _plain_number(said[-1])
    found = _NUMBER.findall(text)
    return _plain_number(found[-1]) if found else None


def _plain_number(text: str) -> str | None:
    try:
        value = Fraction(text.replace(",", "").rstrip("."))
    except (ValueError, ZeroDivisionError):
        return None
    return str(value)
