"""Fit a JSON schema to what Anthropic's structured outputs compile; what they cannot becomes words for the model."""

from __future__ import annotations

from typing import Any

import msgspec

Json = dict[str, Any]

NESTED = {"items", "not", "if", "then", "else"}
LISTS = {"anyOf", "allOf", "prefixItems"}
MAPS = {"properties", "$defs", "definitions"}
PLAIN = {"type", "enum", "const", "$ref", "title", "description", "default", "required"}
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
SILENT = {"$schema", "$id", "additionalProperties"}


def fit_schema(schema: Json) -> Json:
    """A copy in which every object is closed, ``oneOf`` reads ``anyOf`` and other limits stand in the description."""
    fitted: Json = {}
    words: list[str] = []
    for name, value in schema.items():
        key = "anyOf" if name == "oneOf" else name
        if _understood(key, value):
            fitted[key] = _fit(key, value)
        elif key not in SILENT:
            words.append(f"{key}: {msgspec.json.encode(value).decode()}")
    if fitted.get("type") == "object" or "properties" in fitted:
        fitted["additionalProperties"] = False
    if words:
        fitted["description"] = f"{fitted.get('description', '')}\n\n{{{', '.join(words)}}}".strip()
    return fitted


def _understood(name: str, value: Any) -> bool:
    if name == "format":
        return value in FORMATS
    if name == "minItems":
        return value in (0, 1)
    return name in NESTED | LISTS | MAPS | PLAIN


def _fit(name: str, value: Any) -> Any:
    if name in NESTED and isinstance(value, dict):
        return fit_schema(value)
    if name in LISTS and isinstance(value, list):
        return [fit_schema(inner) if isinstance(inner, dict) else inner for inner in value]
    if name in MAPS and isinstance(value, dict):
        return {key: fit_schema(inner) if isinstance(inner, dict) else inner for key, inner in value.items()}
    return value
