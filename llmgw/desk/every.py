"""Every ask there is, in the order of the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmgw.desk.budgets import (
    BudgetHistory,
    CheckBudget,
    ListBudgets,
    RemoveBudgets,
    ReplaceBudgets,
    ResetBudgets,
    SetBudget,
)
from llmgw.desk.caches import ClearCache, ListEntries, PinEntries, ShowCache, ShowEntry, VerifyCache
from llmgw.desk.glance import ShowGlance
from llmgw.desk.keys import ChangeKey, CreateKey, ListKeys, RevokeKey, RotateKey, ShowKey
from llmgw.desk.kills import LiftKill, ListKills, ThrowKill
from llmgw.desk.limits import ListLimits, RemoveLimits, SetLimits
from llmgw.desk.models import ListModels, ListProviders
from llmgw.desk.notices import ListNotices
from llmgw.desk.regret import MeasureRegret
from llmgw.desk.reports import ShowReport, ShowSessions
from llmgw.desk.requests import EndRequest, ListRequests, ShowRequest
from llmgw.desk.routes import ExplainRequest, ForgetOutcomes, SimulateRoutes, TestRoute
from llmgw.desk.routing import ListRoutes
from llmgw.desk.status import ShowStatus

if TYPE_CHECKING:
    from llmgw.desk.asking import Ask

ASKS: tuple[type[Ask[Any]], ...] = (
    ListBudgets,
    SetBudget,
    ReplaceBudgets,
    RemoveBudgets,
    CheckBudget,
    BudgetHistory,
    ResetBudgets,
    ListKeys,
    CreateKey,
    ShowKey,
    ChangeKey,
    RotateKey,
    RevokeKey,
    ListLimits,
    SetLimits,
    RemoveLimits,
    ListKills,
    ThrowKill,
    LiftKill,
    ListNotices,
    ShowStatus,
    ShowGlance,
    ShowReport,
    ShowSessions,
    ListRequests,
    ShowRequest,
    EndRequest,
    ExplainRequest,
    ListRoutes,
    TestRoute,
    SimulateRoutes,
    MeasureRegret,
    ForgetOutcomes,
    ShowCache,
    ListEntries,
    ShowEntry,
    ClearCache,
    PinEntries,
    VerifyCache,
    ListModels,
    ListProviders,
)
