"""Scopes and budgets' names as an operator writes them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from llmgw.domain.scope import Scope, parse_scope
from llmgw.errors import BadRequest

ScopeName = Annotated[
    str,
    Meta(
        description="`all`, or `tenant:NAME`, `user:NAME`, `key:NAME`, `tag:NAME`, `tier:NAME`, `provider:NAME` "
        "or `model:NAME`",
        examples=["key:ci"],
    ),
]
ZoneName = Annotated[str | None, Meta(description="whose days, as `Europe/Berlin`; the gateway's by default")]


def read_scope(text: str) -> Scope:
    """The scope of that name; BadRequest when it is none."""
    try:
        return parse_scope(text)
    except ValueError as error:
        raise BadRequest(str(error), hint="see `llmgw help scopes`", param="scope") from None
