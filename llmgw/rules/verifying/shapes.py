"""Whether a value has the shape that a JSON schema describes, as far as its commonest words go."""

from __future__ import annotations

from itertools import islice
from reprlib import repr as brief
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
DEEPEST = 32
MOST = 20_000
"""Comparisons of a value with a word of a schema; what lies beyond is taken as kept, as both may be anybody's."""


def misfit(value: Any, schema: Any, where: str = "") -> str:
    """What does not fit, empty where all does: types, enum, const, required, properties, items, anyOf and oneOf.

    Words that are not known here, ``$ref`` among them, are taken as kept.
    """
    try:
        return _misfit(value, schema, where, 0, [MOST])
    except RecursionError:  # nested as deep as could be read at all
        return ""


def _misfit(value: Any, schema: Any, where: str, depth: int, left: list[int]) -> str:
    left[0] -= 1
    if not isinstance(schema, dict) or depth > DEEPEST or left[0] < 0:
        return ""
    place = where or "the answer"
    options = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(options, list) and all(_misfit(value, each, where, depth + 1, left) for each in options):
        return f"{place} is none of what it may be"
    allowed = schema.get("enum")
    if isinstance(allowed, list):
        left[0] -= len(allowed)
        if value not in allowed:
            return f"{place} is not one of {brief(allowed):.80}"
    if "const" in schema and value != schema["const"]:
        return f"{place} is not {brief(schema['const']):.80}"
    wanted = schema.get("type")
    names = wanted if isinstance(wanted, list) else [wanted] if isinstance(wanted, str) else []
    if names and not any(_is(value, name) for name in names):
        return f"{place} is no {' or '.join(map(str, names))}"
    if isinstance(value, dict):
        return _members(value, schema, where, depth, left)
    if isinstance(value, list):
        items = schema.get("items")
        looked_at = enumerate(islice(value, max(0, left[0])))
        found = (_misfit(each, items, f"{where}[{at}]", depth + 1, left) for at, each in looked_at)
        return next(filter(None, found), "")
    return ""


def _members(value: dict[str, Any], schema: dict[str, Any], where: str, depth: int, left: list[int]) -> str:
    required, known = schema.get("required"), schema.get("properties")
    for name in islice(required, max(0, left[0])) if isinstance(required, list) else ():
        left[0] -= 1
        if isinstance(name, str) and name not in value:
            return f"{f'{where}.{name}'.lstrip('.')} is missing"
    if not isinstance(known, dict):
        return ""
    for name, each in value.items():
        if name in known:
            found = _misfit(each, known[name], f"{where}.{name}".lstrip("."), depth + 1, left)
        else:
            found = f"{name} is not known" if schema.get("additionalProperties") is False else ""
        if found:
            return found
    return ""


def _is(value: Any, name: Any) -> bool:
    kinds = _TYPES.get(name) if isinstance(name, str) else None
    if kinds is None:
        return True
    if isinstance(value, bool) and name in {"number", "integer"}:
        return False
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, kinds)
