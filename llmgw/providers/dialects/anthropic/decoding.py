"""Take JSON from others: a caller's faults become a BadRequest that names the field, an upstream's are overlooked."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from llmgw.errors import BadRequest

T = TypeVar("T")
PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")
MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`$")


def decode(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw, where: str = "") -> T:
    """``data`` as the decoder's type; ``where`` is its own place in the body, as in ``messages.0.content``."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as problem:
        raise explain(str(problem), where) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise BadRequest(f"the request body is not valid JSON: {problem}", param=where or None) from None


def explain(problem: str, where: str = "") -> BadRequest:
    """Say msgspec's finding as Anthropic does: ``messages.0.role: Field required``."""
    found = PATH.search(problem)
    path = found["path"] if found else ""
    text = problem[: found.start()] if found else problem
    place = where + re.sub(r"\[(\d*|\.\.\.)\]", r".\1", path).rstrip(".")
    if missing := MISSING.match(text):
        place, text = f"{place}.{missing['name']}", "Field required"
    place = place.strip(".")
    return BadRequest(f"{place}: {text}" if place else text, param=place or None)


def as_dict(value: object) -> dict[str, Any]:
    """The object an upstream should have sent, empty where it sent something else."""
    return value if isinstance(value, dict) else {}


def as_str(value: object) -> str:
    """The text an upstream should have sent, empty where it sent something else."""
    return value if isinstance(value, str) else ""
