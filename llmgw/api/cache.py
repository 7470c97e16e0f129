"""``POST /cache/invalidate``: what a commit has changed, or somebody names, is asked anew.

A key forgets answers of its own tenant; one with admin rights those of all, or of the ``tenant`` it names.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from llmgw.api.operations import MAX_BODY, Access, Operation, answer
from llmgw.domain.cache import Selector
from llmgw.domain.spans import parse_span
from llmgw.errors import BadRequest, NotAllowed, Unauthenticated, Unavailable
from llmgw.gates.read import read_body

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from llmgw.domain.identity import Key
    from llmgw.gates.caches import Caches
    from llmgw.gates.state import Gateway

log = logging.getLogger("llmgw.cache")


Words = Annotated[str, Meta(min_length=1, max_length=4096)]
"""An empty one would fit every answer."""


class Event(Struct, forbid_unknown_fields=True):
    """What has happened, and which answers are to go for it: those that fit every condition."""

    event: Literal["git_commit", "manual"]
    commit: str = ""
    files: tuple[Words, ...] | None = None
    tenant: Words | None = None
    tag: Words | None = None
    model: Words | None = None
    older_than: str | None = None
    text: Words | None = None


class Invalidated(Struct, frozen=True):
    """How many answers went."""

    invalidated: int


def operations(gateway: Gateway) -> list[Operation]:
    """The operations of this surface."""

    async def invalidate(request: Request, key: Key | None) -> Response:
        if key is None:
            raise Unauthenticated("no key was sent")
        event = _read(await read_body(request.receive, dict(request.scope["headers"]), MAX_BODY))
        count = 0 if gateway.caches is None else await _forget(gateway.caches, _selector(key, event))
        log.info("%s %s by key `%s`: %d answers forgotten", event.event, event.commit[:40], key.name, count)
        return answer(Invalidated(count))

    return [
        Operation(
            "POST",
            "/cache/invalidate",
            "Forget remembered answers, as after a commit",
            Access.KEY,
            invalidate,
            takes=Event,
            answers=(Invalidated,),
            name="InvalidateCache",
        )
    ]


def _read(body: bytes) -> Event:
    try:
        event = msgspec.json.decode(body, type=Event)
    except msgspec.MsgspecError as error:
        raise BadRequest(
            f"this is no event: {error}", hint='as {"event": "manual", "tag": "nightly"}'
        ) from None
    if event.event == "git_commit" and event.files is None:
        raise BadRequest("a commit changes files: name them", param="files")
    return event


def _selector(key: Key, event: Event) -> Selector:
    tenant = event.tenant if key.admin else key.tenant
    if event.tenant not in {None, tenant}:
        raise NotAllowed(
            f"key `{key.name}` forgets answers of its own tenant `{key.tenant}` alone",
            hint="`llmgw key create NAME --admin` makes a key that may more",
        )
    return Selector(
        tenant=tenant,
        tag=event.tag,
        model=event.model,
        older_than=None if event.older_than is None else parse_span(event.older_than),
        text=event.text,
        files=event.files,
    )


async def _forget(caches: Caches, selector: Selector) -> int:
    """Remove through the thread that writes, after everything that waits for it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    counts: list[int] = []

    def tell(error: Exception | None) -> None:
        loop.call_soon_threadsafe(_tell, done, error)

    if not caches.keeper.submit(lambda store: counts.append(store.remove(selector)), after=tell):
        raise Unavailable("the cache has too much to write", hint="try again", code="storage_unavailable")
    await done
    return counts[0]


def _tell(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.cancelled():  # whoever asked has gone
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
