"""Gate 2: read the body, no more of it than allowed, and learn from it what the other gates need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.errors import BadRequest, TooLarge
from llmgw.providers.listing import LONGEST_NAME

if TYPE_CHECKING:
    from llmgw.gates.state import Call, Gateway, Receive


class ClientGone(Exception):
    """The caller hung up; there is nobody left to answer."""


async def read_body(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    """The whole request body; TooLarge as soon as it is known to pass ``limit`` bytes."""
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise BadRequest("send the body uncompressed: `content-encoding` is not supported", status=415)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"the request body is larger than {limit // 1_048_576} MB",
        hint="raise `server.max_body_mb` in llmgw.toml",
    )


async def read(gateway: Gateway, call: Call) -> None:
    """Set ``call.body`` and ``call.peek``."""
    call.body = await read_body(call.receive, call.headers, gateway.max_body)
    caches = gateway.caches
    peek = None if caches is None else caches.peek(call)
    if peek is None:
        peek = call.dialect.peek(call.body)
        check_model(peek.model)
    call.peek = peek


def check_model(name: str) -> None:
    """BadRequest for what can be no model's name: it stands in headers, in the log and in each row of the ledger."""
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise BadRequest(
            f"'model' must be at most {LONGEST_NAME} characters without control characters", param="model"
        )
