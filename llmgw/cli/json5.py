"""Reads JSON as people write it in settings files (JSON5, JSONC): comments, trailing commas, bare and quoted names."""

from __future__ import annotations

import json
import re
from typing import Any

from llmgw.errors import ConfigInvalid

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w$]))
      | (?P<name>[+-]?[A-Za-z_$][\w$]*)
      | (?P<mark>[{}\[\]:,])""",
    re.VERBOSE | re.DOTALL,
)
ESCAPE = re.compile(r"\\(?P<escaped>x[0-9a-fA-F]{2}|\r\n|.)|(?P<quote>\")", re.DOTALL)
KEPT = frozenset('"\\/bfnrtu')
"""Escapes that JSON has itself."""


def loads(text: str) -> Any:
    """The value of a JSON5 document, an empty object for an empty one; ConfigInvalid with the line otherwise."""
    tokens: list[str] = []
    position, end = 0, len(text)
    while position < end:
        match = TOKEN.match(text, position)
        if match is None:
            raise _broken(text, position)
        if match.lastgroup != "space":
            if match[0] in {"}", "]"} and tokens[-1:] == [","] and tokens[-2] not in {"[", "{", ","}:
                tokens.pop()
            elif match[0] == ":" and tokens and not tokens[-1].startswith('"'):
                tokens[-1] = json.dumps(tokens[-1])
            tokens.append(_as_json(match))
        position = match.end()
    try:
        return json.loads(" ".join(tokens)) if tokens else {}
    except json.JSONDecodeError as error:
        raise ConfigInvalid(f"not JSON: {error.msg}") from None


def _as_json(match: re.Match[str]) -> str:
    text = match[0]
    if match["string"]:
        return '"' + ESCAPE.sub(_escape, text[1:-1]) + '"'
    if match["number"]:
        digits = text.lstrip("+-")
        if digits[:2].lower() == "0x":
            digits = str(int(digits, 16))
        digits = re.sub(r"\.(?=[eE]|$)", ".0", f"0{digits}" if digits.startswith(".") else digits)
        return ("-" if text.startswith("-") else "") + digits
    return text.lstrip("+")


def _escape(match: re.Match[str]) -> str:
    escaped = match["escaped"]
    if match["quote"]:
        return '\\"'
    if escaped in {"\n", "\r\n"}:
        return ""
    if escaped[0] == "x":
        return f"\\u00{escaped[1:]}"
    if escaped == "v":
        return "\\u000b"
    if escaped == "0":
        return "\\u0000"
    return match[0] if escaped in KEPT else escaped


def _broken(text: str, position: int) -> ConfigInvalid:
    return ConfigInvalid(f"not JSON: line {text.count(chr(10), 0, position) + 1} cannot be read")
