"""How values travel in JSON: what one is follows from the end of its name, so nobody has to say it twice.

``*_nanousd``  whole nano-dollars, and beside it ``*_usd``, the same in dollars as an exact decimal text
``*_at``       UTC nanoseconds inside, RFC 3339 outside
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from llmgw.domain.money import decimal_usd, parse_usd
from llmgw.errors import BadRequest

MONEY, DOLLARS, MOMENT = "_nanousd", "_usd", "_at"
DECIMAL = r"^-?[0-9]{1,12}(\.[0-9]{1,9})?$"


def expand(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A record as it goes out: dollars beside nano-dollars, RFC 3339 for moments."""
    whole: dict[str, Any] = {}
    for name, value in fields.items():
        if name.endswith(MONEY):
            whole[name] = value
            whole[name.removesuffix(MONEY) + DOLLARS] = None if value is None else decimal_usd(value)
        elif name.endswith(MOMENT) and isinstance(value, int):
            whole[name] = rfc3339(value)
        else:
            whole[name] = _each(value, expand)
    return whole


def collapse(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What came in, as it is inside; BadRequest for what is no amount or no moment, or for two amounts that differ."""
    whole: dict[str, Any] = {}
    for name, value in fields.items():
        if name.endswith(DOLLARS):
            stem = name.removesuffix(DOLLARS) + MONEY
            amount = _amount(name, value)
            if str(fields.get(stem, amount)) != str(amount):  # in a query both are text
                raise BadRequest(f"`{stem}` and `{name}` are not the same amount", param=name)
            whole[stem] = amount
        elif name.endswith(MOMENT) and isinstance(value, str):
            whole[name] = _moment(name, value)
        else:
            whole[name] = _each(value, collapse)
    return whole


def expand_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of an object inside as that of the object outside."""
    if "properties" not in schema:
        return schema
    properties: dict[str, Any] = {}
    required = set(schema.get("required", ()))
    for name, inside in schema["properties"].items():
        if name.endswith(MOMENT):
            properties[name] = _retyped(inside, {"type": "string", "format": "date-time"})
        else:
            properties[name] = inside
        if name.endswith(MONEY):
            dollars = name.removesuffix(MONEY) + DOLLARS
            properties[dollars] = _retyped(inside, {"type": "string", "pattern": DECIMAL})
            if name in required:
                required.add(dollars)
    return schema | {"properties": properties} | ({"required": sorted(required)} if required else {})


def rfc3339(at: int) -> str:
    """UTC nanoseconds as ``2026-11-21T03:02:00.123456Z``."""
    return _datetime(at).isoformat().replace("+00:00", "Z")


def moment(at: int | None) -> datetime | None:
    """UTC nanoseconds as a moment, to the microsecond; None stays None."""
    return None if at is None else _datetime(at)


def nanoseconds(at: datetime) -> int:
    """UTC nanoseconds of a moment with an offset."""
    return round(at.timestamp() * 1_000_000) * 1000


def _datetime(at: int) -> datetime:
    return datetime.fromtimestamp(at // 10**9, UTC).replace(microsecond=at % 10**9 // 1000)


def _each(value: Any, turn: Any) -> Any:
    if isinstance(value, Mapping):
        return turn(value)
    if isinstance(value, list | tuple):
        return [_each(item, turn) for item in value]
    return value


def _amount(name: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and not re.fullmatch(DECIMAL, value):
            raise ValueError(f"not an amount of dollars: {value[:40]!r}")
        return parse_usd(value if isinstance(value, str) else repr(value))
    except ValueError as error:
        raise BadRequest(f"`{name}`: {error}", hint='write dollars as "0.50"', param=name) from None


def _moment(name: str, value: str) -> int:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadRequest(
            f"`{name}`: {value!r} is no moment", hint="write it as 2026-11-21T08:00:00Z", param=name
        )
    return nanoseconds(at)


def _retyped(inside: dict[str, Any], outside: dict[str, Any]) -> dict[str, Any]:
    """The schema of another type, described alike, and null where the one inside may be."""
    kept = {name: value for name, value in inside.items() if name == "description"}
    if {"type": "null"} in inside.get("anyOf", ()):
        kept |= {"default": None} if "default" in inside else {}
        return kept | {"anyOf": [outside, {"type": "null"}]}
    return outside | kept
