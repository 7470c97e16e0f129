"""Which language a text is in, by its script and its commonest words; silent where that is not clear."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]+")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)

_COMMON = {
    "en": "the a and or but not no you he she we they it is are was were will how why which what who when on for with"
    " of to by from about my your can could would should this that there have has if then because as at be an",
    "de": "der die das den dem des ein eine einen einem einer und oder aber nicht kein keine ich du er wir ihr sie es"
    " ist sind war wird werden wie warum welche was wer wann auf für mit von zu zum zur bei nach aus über kann können"
    " dass wenn weil auch noch nur hat haben im am",
    "fr": "le la les un une des du et ou mais pas ne je tu il elle nous vous ils est sont était sera comment pourquoi"
    " quel quelle que qui quand sur pour avec de à au aux par dans ce cette ces peut avoir être plus aussi si en se",
    "es": "el la los las un una unos y o pero no yo tú él ella nosotros es son era será cómo por qué cuál que quién"
    " cuando sobre para con de a al del en este esta estos puede hay más también si se su como lo",
    "it": "il lo la i gli le un una e o ma non io tu lui lei noi voi è sono era sarà come perché quale che chi quando"
    " su per con di a da dal della del nel in questo questa può anche se si più ha hanno",
    "pt": "o a os as um uma e ou mas não eu tu ele ela nós é são era será como por que qual quem quando sobre para com"
    " de do da dos das em no na este esta pode há mais também se seu sua ao",
    "nl": "de het een en of maar niet geen ik jij hij zij wij is zijn was wordt worden hoe waarom welke wat wie wanneer"
    " op voor met van naar bij uit over kan kunnen dat als ook nog heeft hebben te om er deze dit",
}
_WORDS = {language: frozenset(words.split()) for language, words in _COMMON.items()}

_SCRIPTS = {
    "zh": re.compile(r"[\u4e00-\u9fff]"),
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "el": re.compile(r"[\u0370-\u03ff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
}

_NAMED = re.compile(
    r"\b(translat|übersetz|uebersetz|tradu[iczs]|vertaal|language|sprache|langue|idioma|lingua|"
    r"english|englisch|anglais|inglés|ingles|inglese|inglês|engels|german|deutsch|allemand|alemán|tedesco|alemão|duits|"
    r"french|französisch|français|francés|francese|francês|frans|spanish|spanisch|espagnol|español|spagnolo|espanhol|"
    r"italian|italienisch|italien|italiano|portugu|dutch|niederländisch|néerlandais|nederlands|"
    r"chinese|chinesisch|chinois|chino|mandarin|japan|korean|koreanisch|russian|russisch|russe|ruso|arab|greek|griech|"
    r"latin|latein|polish|polnisch|turkish|türkisch|hebrew|hindi|thai)|[\u4e2d\u82f1\u65e5]\u6587|\u7ffb\u8bd1|\u7ffb\u8a33",
    re.IGNORECASE,
)

FEWEST = 6
"""Common words, or letters of a script, below which a text does not tell its language."""
CLEARER = 2.0
"""How many times as many common words the language must have as the next."""
SCRIPT_SHARE = 0.3
"""Share of a text's letters in another script that makes it a text in that script."""
READ = 4000
"""Characters that are looked at."""


def language_of(text: str) -> str:
    """The code of a language; empty where the text is short, mixed, mostly code or in one that is not known here."""
    text = _CODE.sub(" ", text[:READ])
    letters = sum(map(str.isalpha, text))
    for name in ("ja", *_SCRIPTS):  # Japanese before Chinese, whose characters it shares
        found = len(_SCRIPTS[name].findall(text))
        if found >= FEWEST and found >= SCRIPT_SHARE * letters * (0.3 if name == "ja" else 1):
            return name
    words = [word.lower() for word in _WORD.findall(text)]
    counts = sorted(
        ((sum(word in known for word in words), name) for name, known in _WORDS.items()), reverse=True
    )
    (most, name), (next_, _) = counts[:2]
    return name if most >= FEWEST and most >= CLEARER * next_ else ""


def names_language(text: str) -> bool:
    """Whether a text speaks of languages or of translating, so that an answer in another one may be what is wanted."""
    return _NAMED.search(text) is not None
