"""The budget that the configuration declares: what everybody together may spend a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.domain.budget import Budget, Window
from llmgw.domain.money import NANO
from llmgw.domain.scope import ALL
from llmgw.errors import ConfigInvalid

if TYPE_CHECKING:
    from llmgw.config.model import Config

SOFT, MEDIUM, HARD = 5.0, 15.0, 50.0
"""Dollars a day of LLM Gateway v2.0, where one of the three is declared and this one is not."""


def daily_budget(config: Config) -> Budget | None:
    """The options of ``[budgets]`` as one budget, None where all are 0; ConfigInvalid when they are out of order.

    An option that is 0 takes the usual amount, moved as far as the others ask. From the medium mark on a call that
    asks for a premium model goes to the cheap tier.
    """
    soft, medium, hard = config.budgets.daily_soft, config.budgets.daily_medium, config.budgets.daily_hard
    amounts = [amount for amount in (soft, medium, hard) if amount]
    if not amounts:
        return None
    if amounts != sorted(amounts):
        raise ConfigInvalid(
            "in [budgets] `daily_soft` is at most `daily_medium`, and that at most `daily_hard`",
            hint="DAILY_BUDGET_SOFT, DAILY_BUDGET_MEDIUM and DAILY_BUDGET_HARD set them too",
        )
    hard = hard or max(HARD, *amounts)
    medium = medium or min(max(MEDIUM, soft), hard)
    soft = soft or min(SOFT, medium)
    return Budget(
        scope=ALL,
        window=Window.DAY,
        hard=round(hard * NANO),
        medium=round(medium * NANO),
        soft=round(soft * NANO),
        on_exceed="downgrade:cheap",
    )
