"""Where a request may go: tiers, targets and the route that orders them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

DOWNGRADED = "downgraded by "
"""How the reason begins of a request that went to a lower tier than its caller wanted."""
ESCALATED = "escalated"
"""How the reason begins of a request that a cascade passed upwards, and the error code of each answer it held back."""


class Tier(StrEnum):
    """The three price classes, cheapest first."""

    LOCAL = "local"
    CHEAP = "cheap"
    PREMIUM = "premium"


class Target(Struct, frozen=True):
    """One model at one upstream: ``name`` is ``provider/model``, the form people write in configs."""

    provider: str
    model: str
    tier: Tier

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"


class Route(Struct, frozen=True):
    """The ordered targets for what a caller asked, and in a few words why they were chosen."""

    asked: str
    targets: tuple[Target, ...]
    reason: str


class Verdict(Struct, frozen=True):
    """What was made of a target's answer before it was passed on: whether it was, and in words what was seen of it."""

    target: str
    passed: bool
    seen: tuple[str, ...]


class Decision(Struct, frozen=True, kw_only=True):
    """Why a request that named no model went where it did.

    ``gain`` is by how much a premium model was expected to answer better, the sum of ``terms``; ``premium`` the chance
    that it answers well; ``quality`` what the owner's dial stood at. They are None where something else than the score
    decided alone. ``features`` are what learning needs to know of the prompt, ``rule`` the declared route that fitted,
    ``classifier`` the model that was asked, ``trimmed`` the tokens that were left behind. ``conversation`` is a number that
    requests of one conversation share. ``verdicts`` are those on answers of a cascade, in their order. ``vector`` is what the prompt was like, where
    outcomes are learnt from.
    """

    tier: str = ""
    target: str = ""
    reason: str = ""
    rule: str = ""
    sticky: bool = False
    explored: bool = False
    classifier: str = ""
    gain: float | None = None
    premium: float | None = None
    quality: float | None = None
    terms: tuple[tuple[str, float], ...] = ()
    features: tuple[float, float, float, float] | None = None
    trimmed: int = 0
    conversation: int = 0
    verdicts: tuple[Verdict, ...] = ()
    vector: bytes | None = None
