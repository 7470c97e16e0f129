"""What makes prompts alike: 48 numbers of what they are about and 12 of what they look like, a byte each.

They are too few to tell a prompt's words from, so they may be kept where its text may not. The axes of meaning are the
main ones of the training prompts (``tests/bench/router/train.py`` writes them), as distances along those say more than
along all that the embedding has.
"""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files
from math import log1p
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

MEANING, FORM = 48, 12
WIDTH = MEANING + FORM

HEAD = TAIL = 1000
"""Characters that are looked at."""

STEPS = 127
"""What the largest number of a meaning becomes."""
SPREAD = 42.0
"""What one standard deviation of a form becomes; three are the most."""

_OPERATORS, _BRACKETS = "=+*/^<>\\", "{}();[]"
_DIGITS, _CAPITALS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LINE = re.compile(r"[^\n]+")


class Likeness:
    """Turns prompts into vectors; immutable, used from any thread."""

    def __init__(self, embed: Callable[[str], Vector]) -> None:
        """``embed`` gives vectors of the static table, for which the axes are made."""
        import numpy as np  # noqa: PLC0415 - loaded only where something is learnt

        self._numpy = np
        self._embed = embed
        with (files("llmgw.rules.tiering") / "likeness.npz").open("rb") as file, np.load(file) as stored:
            self._mean, self._axes, self._usual, self._deviation = (
                stored[name].astype(np.float32) for name in ("mean", "axes", "usual", "deviation")
            )

    def of(self, text: str) -> bytes:
        """``WIDTH`` signed bytes; some 0.1 ms of processor time, whatever the text's length."""
        numpy, seen = self._numpy, part(text)
        meaning = (self._embed(seen) - self._mean) @ self._axes
        meaning *= STEPS / max(float(numpy.abs(meaning).max()), 1e-6)
        form = (numpy.asarray(look(seen), numpy.float32) - self._usual) / self._deviation
        form = numpy.clip(form, -3.0, 3.0) * SPREAD
        return bytes(numpy.rint(numpy.concatenate((meaning, form))).astype(numpy.int8).tobytes())


def part(text: str) -> str:
    """The beginning and the end of a text."""
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


def look(text: str) -> Sequence[float]:
    """What a text looks like, ``FORM`` numbers: its lines, digits, words, marks."""
    counts, words = Counter(text), text.split()
    size = max(1, len(text))

    def share(characters: str) -> float:
        return sum(map(counts.__getitem__, characters)) / size

    longest = max(map(len, _LINE.findall(text)), default=0)
    return (
        log1p(counts["\n"]),
        share(_DIGITS),
        share(_CAPITALS),
        sum(map(len, words)) / max(1, len(words)),
        10 * share(_OPERATORS),
        10 * share(_BRACKETS),
        log1p(counts["?"]),
        log1p(counts[","]),
        len({word.lower() for word in words}) / max(1, len(words)),
        float(not text.isascii()),
        log1p(longest) - log1p(size),
        float("$" in counts),
    )
