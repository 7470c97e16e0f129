"""What every way to a gateway has in common, so that a command is written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from llmgw.desk.asking import A, Ask


class Gateway(Protocol):
    """A gateway here or elsewhere."""

    def ask(self, ask: Ask[A]) -> A:
        """Have it done and answered; GatewayError when it cannot be."""

    def zone(self, name: str | None = None) -> ZoneInfo:
        """The time zone of that name, the gateway's own without one."""
