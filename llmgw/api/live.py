"""``GET /admin/requests/{id}/live``: the text of a call under way, as it is written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.responses import StreamingResponse

from llmgw.api.operations import Access, Operation, admit, asked
from llmgw.api.pulse import EVENTS, STREAM_HEADERS
from llmgw.domain.ledger import read_id
from llmgw.errors import GatewayError, NotAllowed, NotFound
from llmgw.gates.watching import may_show, running, text_of
from llmgw.rules.redacting import redacted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from llmgw.domain.identity import Key
    from llmgw.gates.state import Call, Gateway

LOOK_SECONDS = 0.2
KEEP_ALIVE_SECONDS = 15.0


class Overhear(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    redact: Annotated[
        bool,
        Meta(description="mask keys, addresses and long numbers; false only where its answer may be kept"),
    ] = True


class Said(Struct, frozen=True, tag="text"):
    """What was written since the last one."""

    text: str


class Over(Struct, frozen=True, tag="end"):
    """The call has ended; ``error`` is a code, or empty."""

    status: int
    error: str


def operations(gateway: Gateway) -> list[Operation]:
    """The operations of this surface."""

    async def live(request: Request, _key: Key | None) -> Response:
        wanted = await asked(request, Overhear)
        call = _find(gateway, wanted.id)
        if not wanted.redact and not may_show(gateway, call):
            raise NotAllowed(
                "the answers to this key are not kept, so they are not shown either",
                hint="leave `redact` away",
            )
        events = _events(gateway, request, call, redact=wanted.redact)
        return StreamingResponse(events, headers=STREAM_HEADERS, media_type=EVENTS)

    return [
        Operation(
            "GET",
            "/admin/requests/{id}/live",
            "Read the answer to a request under way as it is written",
            Access.ADMIN,
            live,
            takes=Overhear,
            answers=(Said, Over),
            in_query=True,
            name="WatchRequest",
            media=EVENTS,
            text="Server-sent events: `text` with what was written since the last one, then `end`. The last characters"
            " wait until it is clear that they are no secret. Of an answer that is no stream there is only the end.",
        )
    ]


def _find(gateway: Gateway, shown: str) -> Call:
    try:
        call = running(gateway, read_id(shown))
    except ValueError:
        call = None
    if call is None:
        raise NotFound(f"no request `{shown[:40]}` is under way", hint=f"`llmgw request show {shown[:40]}`")
    return call


async def _events(gateway: Gateway, request: Request, call: Call, *, redact: bool) -> AsyncIterator[bytes]:
    told, silent, over = 0, 0.0, False
    while not over:
        over = call not in gateway.killswitch.running
        text = text_of(gateway, call)
        piece, told = redacted(text, told, whole=over) if redact else (text[told:], len(text))
        if piece:
            yield _event(b"text", Said(piece))
        if over:
            yield _event(b"end", Over(call.status, call.error))
            return
        silent = 0.0 if piece else silent + LOOK_SECONDS
        if silent >= KEEP_ALIVE_SECONDS:
            silent = 0.0
            yield b": keep-alive\n\n"
        await asyncio.sleep(LOOK_SECONDS)
        try:
            admit(gateway, Access.ADMIN, request)  # a key that was revoked reads no more
        except GatewayError:
            return


def _event(name: bytes, event: Struct) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, msgspec.json.encode(event))
