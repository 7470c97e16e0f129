"""How large a context Ollama must open for a prompt, since it cuts whatever does not fit without a word.

Ollama reloads the model whenever ``num_ctx`` changes. So the size climbs in powers of two, and a model keeps the
largest that its last calls needed: a short title between two long turns costs no reload.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

SMALLEST = 4_096
MARGIN = 512
"""Tokens of templates and tool instructions that no estimate sees; measured up to 250."""
USUAL_OUTPUT = 4_096
LARGEST_OUTPUT = 8_192
"""Callers name 32,000 to 128,000 as their ceiling; to open that much would push most models out of the GPU."""
REMEMBERED_CALLS = 16
REMEMBERED_MODELS = 256


class Window(NamedTuple):
    """``size`` is the ``num_ctx`` to send; ``fits`` is False when the cap leaves too little for the prompt."""

    size: int
    fits: bool


class Windows:
    """The sizes lately needed, for each model at each upstream."""

    def __init__(self) -> None:
        self._needs: dict[tuple[str, str], deque[int]] = {}

    def choose(
        self, upstream: str, model: str, prompt: int, max_tokens: int | None, floor: int, cap: int | None
    ) -> Window:
        """The window for an estimated prompt; ``floor`` and ``cap`` are the operator's limits, the cap wins."""
        wanted = prompt + prompt // 4 + MARGIN
        room = USUAL_OUTPUT if max_tokens is None else min(max_tokens, LARGEST_OUTPUT)
        needs = self._needs.pop((upstream, model), None) or deque(maxlen=REMEMBERED_CALLS)
        needs.append(rung(wanted + room))
        self._needs[upstream, model] = needs
        if len(self._needs) > REMEMBERED_MODELS:
            del self._needs[next(iter(self._needs))]
        size = max(floor, *needs)
        if cap is None or size <= cap:
            return Window(size, fits=True)
        return Window(cap, fits=wanted <= cap)


def rung(tokens: int) -> int:
    """The next power of two, not below ``SMALLEST``."""
    return max(SMALLEST, 1 << (tokens - 1).bit_length())
