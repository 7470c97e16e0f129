"""Figures as terms of the filter language: what selects the requests behind one."""

from __future__ import annotations

import shlex

from llmgw.tui.filter import FIELDS


def term(field: str, value: str) -> str:
    """Requests of which a field is that very value; empty is none of it."""
    if not value:
        return f"{field}:none"
    return f"{field}={shlex.quote(value.replace(',', '?').replace('[', '?'))}"


def target(name: str) -> str:
    """Requests to a model, by ``provider/model`` or its bare name."""
    return term("target" if "/" in name else "model", name)


def scoped(scope: str) -> str:
    """Requests of a scope such as ``key:ci``; all of them where requests do not tell."""
    kind, _, name = scope.partition(":")
    if kind == "model":
        return target(name)
    return term(kind, name) if kind in FIELDS else ""
