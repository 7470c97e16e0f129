"""``GET /openapi.json``: every operation as an OpenAPI 3.1 document, made of the types that read and write it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from llmgw import __version__
from llmgw.api.operations import SCHEMA, Access, Operation, Refusal, answer
from llmgw.desk.wire import expand_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from llmgw.domain.identity import Key

REF = "#/components/schemas/{name}"
FIELD = re.compile(r"{(\w+)(?::path)?}")
KEYS: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "x-llmgw-key": {"type": "apiKey", "in": "header", "name": "x-llmgw-key"},
}
ADMIN_KEY = {"x-admin-key": {"type": "apiKey", "in": "header", "name": "x-admin-key"}}
TEXT = """\
One gateway in front of every model. Calls take a key of the gateway; what lies under /admin takes one with admin rights.
Money is `*_nanousd`, whole nano-dollars, and beside it `*_usd`, the same in dollars as an exact decimal text: of what is
sent either will do. Moments are RFC 3339. `llmgw --url` drives the same operations."""
ERRORS = {
    401: "no key was sent, or one that opens nothing",
    403: "the key has no admin rights",
}


def operation(documented: list[Operation]) -> Operation:
    """The operation that tells of all, itself among them; ``documented`` may grow until the first one asks."""
    made: list[Response] = []

    async def openapi(_request: Request, _key: Key | None) -> Response:
        if not made:
            made.append(answer(document(documented)))
        return made[0]

    return Operation(
        "GET",
        "/openapi.json",
        "Tell every operation there is",
        Access.OPEN,
        openapi,
        answers=(dict[str, Any],),
        name="OpenApi",
    )


def place(path: str) -> str:
    """A path as documents write it: ``{name}``, whatever it may hold."""
    return FIELD.sub(r"{\1}", path)


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole document."""
    operations = list(operations)
    types = [kind for each in operations for kind in (each.takes, *each.answers) if kind is not None]
    refs, components = msgspec.json.schema_components((*types, Refusal), ref_template=REF)
    found = dict(zip(map(id, types), refs, strict=False))
    inside = _reached(
        components, [found[id(kind)] for each in operations if each.inside for kind in each.answers]
    )
    schemas = {name: each if name in inside else expand_schema(each) for name, each in components.items()}
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(place(each.path), {})[each.method.lower()] = _described(each, found, schemas)
    asked = {name for each in operations if each.takes is not None for name in [_name(found[id(each.takes)])]}
    used = set(re.findall(r"#/components/schemas/(\w+)", str([paths, *_without(schemas, asked)])))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "llmgw",
            "version": __version__,
            "summary": "An LLM gateway for people who pay their own bills",
            "description": TEXT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": [{"name": name} for name in dict.fromkeys(map(_tag, operations))],
        "paths": paths,
        "components": {
            "schemas": {name: each for name, each in schemas.items() if name not in asked or name in used},
            "securitySchemes": KEYS | ADMIN_KEY,
            "responses": {
                "Refusal": {
                    "description": "why it was not done",
                    "content": _json({"$ref": REF.format(name="Refusal")}),
                }
            },
        },
    }


def _reached(schemas: dict[str, Any], start: Any) -> set[str]:
    """The names of the schemas that something refers to, and those to which these do."""
    names, todo = set[str](), [start]
    while todo:
        new = set(re.findall(r"#/components/schemas/(\w+)", str(todo.pop()))) - names
        names |= new
        todo += [schemas[name] for name in new]
    return names


def _described(each: Operation, refs: dict[int, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": each.name,
        "tags": [_tag(each)],
        "summary": each.summary,
        **({"description": each.text} if each.text else {}),
        **_taken(each, refs, schemas),
        "responses": _responses(each, refs),
        "security": [],
    }
    if each.access is not Access.OPEN:
        names = KEYS if each.access is Access.KEY else KEYS | ADMIN_KEY
        described["security"] = [{name: []} for name in names]
    return described


def _taken(each: Operation, refs: dict[int, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Parameters and body: what the path names, then the rest where it travels."""
    named = FIELD.findall(each.path)
    if each.takes is None:
        return {}
    schema = schemas[_name(refs[id(each.takes)])]
    required = set(schema.get("required", ()))
    fields = schema["properties"]
    inside = [
        {"name": name, "in": "path", "required": True, "schema": _plain(fields[name])} for name in named
    ]
    rest = {name: field for name, field in fields.items() if name not in named}
    if each.in_query:
        inside += [
            {
                "name": name,
                "in": "query",
                "required": name in required,
                **({"description": field["description"]} if "description" in field else {}),
                "schema": _plain(field),
            }
            for name, field in rest.items()
        ]
        return {"parameters": inside} if inside else {}
    taken: dict[str, Any] = {"parameters": inside} if inside else {}
    if rest:
        body = {name: value for name, value in schema.items() if name not in {"description", "title"}}
        body |= {"properties": rest}
        needed = sorted(required - set(named))
        body.pop("required", None)
        if needed:
            body["required"] = needed
        taken["requestBody"] = {"required": bool(needed), "content": _json(body)}
    return taken


def _responses(each: Operation, refs: dict[int, Any]) -> dict[str, Any]:
    schemas = [refs[id(kind)] for kind in each.answers]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas} if schemas else None
    if each.versioned:
        version = {
            "type": "object",
            "properties": {"schema": {"const": SCHEMA}},
            "required": ["schema"],
        }
        schema = {"allOf": [schema, version]}
    content = {each.media: {} if schema is None else {"schema": schema}}
    refusal = {"$ref": "#/components/responses/Refusal"}
    responses: dict[str, Any] = {"200": {"description": "done", "content": content}}
    if each.handle is None or each.refuse is not None:
        other = {
            "description": "why it was not done, in the caller's dialect",
            "content": {"application/json": {}},
        }
        return responses | {"default": other}
    if each.access is Access.ADMIN:
        responses |= {"401": refusal, "403": refusal}
    return responses | {"default": refusal}


def _tag(each: Operation) -> str:
    """What an operation is about, from its path: ``budgets``, ``keys``, ``calls``."""
    if each.handle is None:
        return "calls"
    parts = [part for part in each.path.split("/") if part not in {"", "admin", "api", "v1"}]
    word = parts[0] if parts else "gateway"
    return {
        "reset-budgets": "budgets", "budget": "budgets", "kill-switch": "kills", "healthz": "health",
        "hello": "gateway", "docs": "gateway", "openapi.json": "gateway",
    }.get(word, word)  # fmt: skip


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """A parameter is there or not, it is never null."""
    kept = {
        name: value
        for name, value in field.items()
        if name not in {"description", "anyOf"} and (name != "default" or value is not None)
    }
    kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
    return kept | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})


def _name(ref: dict[str, Any]) -> str:
    return str(ref["$ref"]).rpartition("/")[2]


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _without(schemas: dict[str, Any], names: set[str]) -> list[Any]:
    return [each for name, each in schemas.items() if name not in names]
