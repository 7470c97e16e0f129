"""The admin API: every ask of the desk as an operation, for keys with admin rights (D-20, D-21, A-11)."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from llmgw.api.operations import SCHEMA, Access, Operation, answer, fields_of, misfit
from llmgw.desk.every import ASKS
from llmgw.desk.wire import collapse, expand

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from llmgw.desk.asking import Ask, Desk
    from llmgw.domain.identity import Key
    from llmgw.gates.state import Gateway


log = logging.getLogger("llmgw.admin")


def operations(gateway: Gateway, desks: Callable[[str], Desk]) -> list[Operation]:
    """``desks`` opens one in somebody's name."""
    return [_operation(gateway, desks, kind) for kind in ASKS]


def _operation(gateway: Gateway, desks: Callable[[str], Desk], kind: type[Ask[Any]]) -> Operation:
    at = kind.at

    async def handle(request: Request, key: Key | None) -> Response:
        fields = collapse(await fields_of(request, in_query=at.in_query))
        try:
            ask = msgspec.convert(fields, kind, strict=not at.in_query)
        except msgspec.ValidationError as error:
            raise misfit(error) from None
        by = key.name if key is not None and key.id else "api"
        done = await asyncio.to_thread(_do, desks, by, ask)
        if at.method != "GET":
            log.info("%s by %s", kind.__name__, by)
            gateway.killswitch.look(gateway)  # once this is answered a switch holds
        return answer({"schema": SCHEMA, **expand(msgspec.to_builtins(done))})

    summary, _, text = inspect.cleandoc(kind.__doc__ or "").partition("\n")
    return Operation(
        at.method,
        at.path,
        summary.rstrip("."),
        Access.ADMIN,
        handle,
        takes=kind,
        answers=(kind.answer,),
        in_query=at.in_query,
        versioned=True,
        name=kind.__name__,
        text=text.strip(),
    )


def _do(desks: Callable[[str], Desk], by: str, ask: Ask[Any]) -> Any:
    with desks(by) as desk:
        return desk.ask(ask)
