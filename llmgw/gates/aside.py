"""Calls that the gateway makes for itself on a caller's account: nobody waits for them, the ledger has them all the same."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from llmgw.errors import GatewayError
from llmgw.gates.dispatch import dispatch
from llmgw.gates.joining import Flight
from llmgw.gates.killswitch import admit, permit
from llmgw.gates.settle import close
from llmgw.gates.state import Call

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from llmgw.gates.state import Gateway
    from llmgw.providers.base import Peek

log = logging.getLogger("llmgw.cache")

AUDIT = "audit"
"""The tag of calls that check what a cache has answered."""


def aside(gateway: Gateway, call: Call, surface: str, peek: Peek) -> Call:
    """A call of the same key and tags whose answer goes nowhere."""
    scope = {"headers": call.headers.items(), "query_string": call.query}
    own = Call(gateway, surface, call.dialect, scope, _nothing, _nowhere)
    own.key, own.peek, own.tags = call.key, peek, call.tags
    return own


def make_plain(call: Call, body: bytes, **members: Raw) -> None:
    """Let a call have this body, without a stream and with other ``members``."""
    fields = msgspec.json.decode(body, type=dict[str, Raw])
    fields.pop("stream_options", None)
    call.body = msgspec.json.encode(fields | {"stream": Raw(b"false")} | members)
    call.peek = call.dialect.peek(call.body)


async def ask_again(gateway: Gateway, call: Call, stamp: int) -> Call | None:
    """Send an answered call upstream, tagged as an audit; None when nobody answered, as where a budget is short.

    ``stamp`` is the mark of the caches' file now.
    """
    own = aside(gateway, call, call.surface, call.peek)
    own.body, own.route, own.known, own.flight = call.body, call.route, call.known, Flight(own, stamp)
    own.tags = ",".join(sorted({*filter(None, call.tags.split(",")), AUDIT}))
    try:
        admit(gateway, own)
        await permit(gateway, own)
        await dispatch(gateway, own)
    except (GatewayError, asyncio.CancelledError) as error:
        log.debug("%s: an audit was not made: %s", own.shown_id, error)
        return None
    finally:
        gateway.killswitch.running.pop(own, None)
        close(gateway, own)
    return own


async def _nothing() -> MutableMapping[str, Any]:
    waiting: asyncio.Future[MutableMapping[str, Any]] = asyncio.get_running_loop().create_future()
    return await waiting


async def _nowhere(message: MutableMapping[str, Any]) -> None:
    """Whom an answer nobody waits for is sent to."""
