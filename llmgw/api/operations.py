"""One thing that can be asked of the gateway over HTTP: how it is reached, who may, what it takes and answers.

Routes are made from operations, and so is the OpenAPI document: what is served and what is documented are one list.
"""

from __future__ import annotations

import logging
import re
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from llmgw.errors import BadRequest, GatewayError, Internal, NotAllowed, Unauthenticated
from llmgw.gates.authenticate import token_of
from llmgw.gates.read import ClientGone, read_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.requests import Request

    from llmgw.domain.identity import Key
    from llmgw.gates.state import Gateway

log = logging.getLogger("llmgw.api")

A = TypeVar("A")

SCHEMA = 1
MAX_BODY = 4 * 1_048_576
"""Bytes of a body that an operation takes; those of calls are another matter."""
ADMIN_HEADER = b"x-admin-key"
"""Takes an admin key, as the billing API of the seed has it (A-11)."""
AT = re.compile(r" - at `\$\.?([^`]*)`$")
UNKNOWN = re.compile(r"unknown field `([^`]*)`$")
MISSING = re.compile(r"missing required field `([^`]*)`$")


class Access(Enum):
    """Who may: anybody, whoever holds a key, or whoever holds one with admin rights."""

    OPEN = "open"
    KEY = "key"
    ADMIN = "admin"


class Operation(NamedTuple):
    """``handle`` is None for a hot path, which is served before all others. Types are what msgspec has a schema for."""

    method: str
    path: str
    summary: str
    access: Access
    handle: Callable[[Request, Key | None], Awaitable[Response]] | None = None
    takes: Any = None
    """What the query (of GET and DELETE, and of `in_query`) or the body holds."""
    answers: tuple[Any, ...] = ()
    """What the answer holds, one of these; none where it is no JSON."""
    in_query: bool = False
    versioned: bool = False
    """Whether ``schema`` stands in the answer beside the rest."""
    name: str = ""
    text: str = ""
    media: str = "application/json"
    inside: bool = False
    """Whether values travel as they are inside: money and moments as whole nanos."""
    refuse: Callable[[Request, GatewayError], Response] | None = None
    """How it tells an error, where that is not as all do."""
    admits: Callable[[Request], bool] | None = None
    """Who needs no key of the gateway, where anybody does not."""


def routes(gateway: Gateway, operations: Iterable[Operation]) -> list[Route]:
    """A route for each operation that is not a hot path."""
    return [_route(gateway, each, each.handle) for each in operations if each.handle is not None]


def _route(
    gateway: Gateway, operation: Operation, handle: Callable[[Request, Key | None], Awaitable[Response]]
) -> Route:
    """The access is part of the route itself, so no spelling of a path goes around it."""
    tell = operation.refuse or refuse

    async def endpoint(request: Request) -> Response:
        try:
            admitted = operation.admits is not None and operation.admits(request)
            key = None if admitted else admit(gateway, operation.access, request)
            return await handle(request, key)
        except GatewayError as error:
            return tell(request, error)
        except ClientGone:
            return Response(status_code=499)
        except UnicodeDecodeError:
            return tell(request, BadRequest("it is not text in UTF-8"))
        except (OverflowError, RecursionError):
            return tell(request, BadRequest("something in it is too large, or nested too deeply"))
        except Exception:
            log.exception("%s %s: internal error", operation.method, operation.path)
            fault = Internal("something went wrong inside the gateway", hint="see `llmgw logs`")
            return tell(request, fault)

    return Route(operation.path, endpoint, methods=[operation.method])


def admit(gateway: Gateway, access: Access, request: Request) -> Key | None:
    """Whose key it is; Unauthenticated without one, NotAllowed for one without admin rights where they are needed."""
    if access is Access.OPEN:
        return None
    headers: dict[bytes, bytes] = dict(request.scope["headers"])
    token = token_of(headers)
    if access is Access.ADMIN:
        token = headers.get(ADMIN_HEADER, token)
    if not token:
        raise Unauthenticated("no key was sent", hint="send `Authorization: Bearer KEY`")
    key = gateway.keys.find(token, gateway.clock.now())
    if access is Access.ADMIN and not key.admin:
        raise NotAllowed(
            f"key `{key.name}` has no admin rights",
            code="admin_required",
            hint="`llmgw key create NAME --admin` makes one that has",
        )
    return key


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """``code`` does not change; ``hint`` is what helps, ``param`` the field that is at fault."""

    code: str
    message: str
    hint: str | None
    param: str | None


class Refusal(msgspec.Struct, frozen=True):
    """Why something was not done."""

    error: Problem


def refuse(_: Request, error: GatewayError) -> Response:
    """An error as operations tell it."""
    body = Refusal(Problem(code=error.code, message=error.message, hint=error.hint, param=error.param))
    headers = dict(error.headers)
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(msgspec.json.encode(body), error.status, headers=headers, media_type="application/json")


def answer(body: Any, status: int = 200) -> Response:
    """JSON out of a Struct or of plain values."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")


async def fields_of(request: Request, *, in_query: bool) -> dict[str, Any]:
    """The object that was sent, from the query or the body, with what the path names; BadRequest when it is none."""
    if in_query:
        given: Any = dict(request.query_params)
        if len(given) != len(request.query_params.multi_items()):
            raise BadRequest("a parameter stands in the query twice")
    else:
        body = await read_body(request.receive, dict(request.scope["headers"]), MAX_BODY)
        try:
            given = msgspec.json.decode(body) if body.strip() else {}
        except msgspec.DecodeError as error:
            raise BadRequest(f"the body is not JSON: {error}") from None
        if not isinstance(given, dict):
            raise BadRequest("the body is a JSON object")
    if twice := given.keys() & request.path_params.keys():
        raise BadRequest(f"`{min(twice)}` stands in the path", param=min(twice))
    return {**given, **request.path_params}


async def asked(request: Request, kind: type[A]) -> A:
    """What the query and the path hold; BadRequest when it is not that."""
    try:
        return msgspec.convert(await fields_of(request, in_query=True), kind, strict=False)
    except msgspec.ValidationError as error:
        raise misfit(error) from None


def misfit(error: msgspec.ValidationError) -> BadRequest:
    """What msgspec says of a value, naming the field at fault."""
    words = str(error)
    where = AT.search(words)
    said = AT.sub("", words)
    names = [where[1]] if where and where[1] else []
    if name := (UNKNOWN.search(said) or MISSING.search(said)):
        names.append(name[1])
    param = ".".join(names) or None
    return BadRequest(
        f"`{param}`: {said[:1].lower()}{said[1:]}" if param else said,
        param=param,
        hint="/openapi.json tells what there is",
    )
