"""Where a request may go: tiers, targets and the route that orders them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


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
