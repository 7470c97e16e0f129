"""Whether a value has the shape that a JSON schema describes, as far as its commonest words go."""

from __future__ import annotations

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


def misfit(value: Any, schema: Any, where: str = "", depth: int = 0) -> str:
    """What does not fit, empty where all does: types, enum, const, required, properties, items, anyOf and oneOf.

    Words that are not known here, ``$ref`` among them, are taken as kept.
    """
    if not isinstance(schema, dict) or depth > DEEPEST:
        return ""
    place = where or "the answer"
    options = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(options, list) and all(misfit(value, each, where, depth + 1) for each in options):
        return f"{place} is none of what it may be"
    allowed = schema.get("enum")
    if isinstance(allowed, list) and value not in allowed:
        return f"{place} is not one of {allowed!r:.80}"
    if "const" in schema and value != schema["const"]:
        return f"{place} is not {schema['const']!r:.80}"
    wanted = schema.get("type")
    names = wanted if isinstance(wanted, list) else [wanted] if isinstance(wanted, str) else []
    if names and not any(_is(value, name) for name in names):
        return f"{place} is no {' or '.join(map(str, names))}"
    if isinstance(value, dict):
        return _members(value, schema, where, depth)
    if isinstance(value, list):
        items = schema.get("items")
        return next(
            filter(None, (misfit(each, items, f"{where}[{at}]", depth + 1) for at, each in enumerate(value))),
            "",
        )
    return ""


def _members(value: dict[str, Any], schema: dict[str, Any], where: str, depth: int) -> str:
    required, known = schema.get("required"), schema.get("properties")
    for name in required if isinstance(required, list) else ():
        if name not in value:
            return f"{f'{where}.{name}'.lstrip('.')} is missing"
    if not isinstance(known, dict):
        return ""
    for name, each in value.items():
        if name in known:
            found = misfit(each, known[name], f"{where}.{name}".lstrip("."), depth + 1)
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
