"""Moments along the window that is looked at."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from llmgw.domain import spelling
from llmgw.domain.money import NANO
from llmgw.rules.picture import WINDOWS

if TYPE_CHECKING:
    from llmgw.rules.picture import Picture

PARTS = (3, 2, 1, 0)
DAY = 86_400 * NANO


def ends(picture: Picture) -> tuple[str, ...]:
    """Four of them, from its beginning to now: the time of day, or the date where it is longer than one."""
    length, zone = WINDOWS[picture.window][0], picture.zone
    moments = [picture.now - length * part // 3 for part in PARTS]
    if length > DAY:
        return tuple(datetime.fromtimestamp(each // NANO, zone).strftime("%d %b") for each in moments)
    return tuple(spelling.clock(each, zone, seconds=False) for each in moments)
