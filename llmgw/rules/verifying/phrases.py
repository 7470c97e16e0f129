"""Words by which a model says that it will not answer, cannot, or does not know."""

from __future__ import annotations

import re

_REFUSING = (
    # English
    r"i(?:'m| am) (?:sorry|afraid),? (?:but )?(?:i|that)\b",
    (r"\bi (?:can(?:'|no)t|can not|am (?:not able|unable) to|won't|will not|must decline)"
    r" (?:help|assist|answer|provide|do|fulfil+|comply|complete|create|generate|write|access|browse|open|see|process|"
    r"offer|engage|discuss|support|perform|continue)"),
    r"\bi'm (?:not able|unable) to",
    r"\bas an? (?:ai|artificial intelligence|large)(?: language)? (?:model|assistant)",
    r"\bi do(?:n't| not) have (?:access|the ability|real-time|enough (?:information|context))",
    # German
    r"\b(?:es tut mir leid|tut mir leid|entschuldigung),? (?:aber|ich|dass)",
    r"\bich (?:kann|darf|möchte|werde) (?:dir|ihnen|das|dies|diese[rsmn]?|dabei|damit|hier|leider)[^.\n]{0,60}\bnicht",
    r"\bich bin (?:leider )?nicht in der lage",
    r"\bals (?:ki|ki-modell|sprachmodell|künstliche intelligenz|ki-assistent)",
    r"\bich habe (?:leider )?keinen zugriff",
    # French
    r"\bje suis désolée?,? mais", r"\bje ne peux pas (?:vous |t')?(?:aider|répondre|fournir|faire|créer|accéder)",
    r"\ben tant qu(?:e modèle|'ia|'intelligence|'assistant)", r"\bje n'ai pas accès",
    # Spanish
    r"\blo siento,? (?:pero|no)", r"\bno puedo (?:ayudar|responder|proporcionar|hacer|acceder|cumplir)",
    r"\bcomo (?:modelo de lenguaje|una? (?:ia|inteligencia))", r"\bno tengo acceso",
    # Italian
    r"\bmi dispiace,? (?:ma|non)", r"\bnon posso (?:aiutar|risponder|fornir|accedere)",
    r"\bcome (?:modello linguistico|intelligenza artificiale)",
    # Portuguese
    r"\b(?:desculpe|sinto muito|lamento),? (?:mas|não)", r"\bnão posso (?:ajudar|responder|fornecer|acessar|aceder)",
    r"\bcomo (?:um )?modelo de linguagem",
    # Dutch
    r"\bhet spijt me,? (?:maar|dat)", r"\bik kan (?:je|u|dat|dit|hier|daar)[^.\n]{0,40}\bniet (?:helpen|beantwoorden|geven)",
    r"\bals (?:een )?(?:ai-)?taalmodel",
    # Chinese, Japanese
    r"(?:抱歉|对不起)[,\uff0c]?.{0,6}(?:我|无法|不能)", r"作为(?:一个)?(?:人工智能|语言模型|AI)", r"申し訳(?:ありません|ございません)",
)  # fmt: skip

_UNSURE = (
    # English
    r"\bi(?:'m| am) (?:really )?not (?:entirely |completely |quite |100% )?(?:sure|certain|familiar)",
    r"\bi do(?:n't| not) (?:actually )?(?:know|understand|have (?:any )?information|recognize)",
    r"\bi(?:'m| am) unsure", r"\bit(?:'s| is) (?:unclear|not clear) (?:what|which|to me)",
    r"\b(?:could|can) you (?:please )?(?:clarify|provide (?:more|the|additional))", r"\bi would need more (?:information|context)",
    r"\bi may be (?:wrong|mistaken)", r"\bi might be (?:wrong|mistaken)",
    # German
    r"\bich bin (?:mir )?(?:da |hier |leider )?nicht (?:ganz |völlig |hundertprozentig )?sicher", r"\bich weiß (?:es |das |leider )*nicht",
    r"\bich weiss (?:es |das |leider )*nicht", r"\bich verstehe (?:die frage|das|dich|sie) nicht", r"\bmir ist nicht klar",
    r"\bdazu habe ich (?:leider )?keine informationen", r"\bkönn(?:test du|ten sie) (?:bitte |das )*(?:genauer|präzisieren|mehr)",
    # French, Spanish, Italian, Portuguese, Dutch
    r"\bje ne (?:suis pas (?:sûre?|certaine?)|sais pas|comprends pas)", r"\bno (?:estoy segur[oa]|lo sé|sé (?:la|el|qué|cuál))",
    r"\bnon (?:sono sicur[oa]|lo so|so (?:quale|che|come))", r"\bnão (?:tenho certeza|sei (?:a|o|qual|se)\b)",
    r"\bik (?:weet het niet|ben (?:er )?niet zeker)", r"我不(?:确定|知道|清楚)", r"わかりません|分かりません",
)  # fmt: skip

_REFUSAL = re.compile("|".join(_REFUSING), re.IGNORECASE)
_DOUBT = re.compile("|".join(_UNSURE), re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'"})

OPENING = 240
"""Characters from the beginning in which such words are the answer, further on they may be part of one."""
SHORT = 400
"""An answer no longer than this is looked at as a whole."""


def refusal_in(text: str, prompt: str) -> str:
    """The words by which an answer declines; empty where it does not, or where the prompt has such words itself."""
    return _find(_REFUSAL, text, prompt)


def doubt_in(text: str, prompt: str) -> str:
    """The words by which an answer says that it does not know or asks for more; empty as above."""
    return _find(_DOUBT, text, prompt)


def _find(pattern: re.Pattern[str], text: str, prompt: str) -> str:
    text = _plain(text[: SHORT + 1])
    found = pattern.search(text if len(text) <= SHORT else text[:OPENING])
    return "" if found is None or pattern.search(_plain(prompt)) else found.group()


def _plain(text: str) -> str:
    return _SPACE.sub(" ", text.translate(_APOSTROPHES))
