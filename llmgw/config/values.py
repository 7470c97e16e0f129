"""Between free-form tables and the declared options: each value is checked where it stands and named when it is wrong.

msgspec checks whole documents but forgets the names inside dictionaries, so the walk over the options is done here
and msgspec judges the single value.
"""

from __future__ import annotations

import tomllib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from enum import EnumType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from llmgw.config.expand import expand, refers
from llmgw.config.model import SECRET_OPTIONS, Config
from llmgw.errors import ConfigInvalid

Option = tuple[str, ...]
"""Where a value stands: ``("server", "port")``."""

Where = Callable[[Option], str]
"""Says in words where an option was written: ``llmgw.toml line 3``."""


def dotted(option: Option) -> str:
    """The option as TOML writes it: quoted where a part holds more than letters, digits, ``_`` and ``-``."""
    return ".".join(
        part
        if part and all(char.isalnum() or char in "_-" for char in part) and part.isascii()
        else f'"{part}"'
        for part in option
    )


def parse_dotted(text: str) -> Option:
    """The option behind a dotted name, in TOML's own grammar; ConfigInvalid when it is none."""
    try:
        level: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        raise ConfigInvalid(
            f"`{text}` is not the name of an option",
            hint="quote a part that holds `/`, `.` or `*`, as in 'prices.\"openai/gpt-4.1\".input'",
        ) from None
    option: list[str] = []
    while isinstance(level, dict):
        key, level = next(iter(level.items()))
        option.append(key)
    return tuple(option)


def type_at(option: Option, where: str = "") -> Any:
    """The declared type of an option or table; ConfigInvalid, with a near name, when there is none."""
    declared: Any = Config
    for depth, part in enumerate(option):
        fields, entries = fields_of(declared), entries_of(declared)
        if part in fields:
            declared = fields[part]
        elif entries is not None:
            declared = entries
        else:
            raise unknown(option[: depth + 1], fields, where)
    return declared


def leaves(value: Any, where: Where, environ: Mapping[str, str]) -> Iterator[tuple[Option, Any]]:
    """Every option of a document with its checked value, ``${VAR}`` expanded; a table entry comes as ``{}`` first."""
    yield from _walk(value, Config, (), where, environ)


def _walk(
    value: Any, declared: Any, option: Option, where: Where, environ: Mapping[str, str]
) -> Iterator[tuple[Option, Any]]:
    fields, entries = fields_of(declared), entries_of(declared)
    if (table := table_of(declared)) is not None:
        yield option, _tables(value, table, option, where, environ)
        return
    if not fields and entries in (None, Any):
        yield option, _leaf(value, declared, option, where(option), environ)
        return
    if not isinstance(value, dict):
        raise _wrong(option, "a table", value, where(option))
    if option:
        yield option, {}
    for key, inner in value.items():
        if fields and key not in fields:
            raise unknown((*option, key), fields, where((*option, key)))
        yield from _walk(inner, fields[key] if fields else entries, (*option, key), where, environ)
    for name in _required(declared) - set(value):
        raise ConfigInvalid(f"`{dotted((*option, name))}` is missing, {where(option)}")


def _tables(
    value: Any, declared: Any, option: Option, where: Where, environ: Mapping[str, str]
) -> tuple[Any, ...]:
    """The entries of a list of tables, each checked like a table of its own; they are counted from 1."""
    if not isinstance(value, list):
        raise _wrong(option, f"a list of tables, as [[{dotted(option)}]]", value, where(option))
    found = []
    for number, each in enumerate(value, 1):
        here = (*option, str(number))
        inner = [
            (at[len(here) :], leaf) for at, leaf in _walk(each, declared, here, where, environ) if at != here
        ]
        found.append(msgspec.convert(nest(inner), declared))
    return tuple(found)


def _leaf(value: Any, declared: Any, option: Option, where: str, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str) and refers(value):
        try:
            return from_text(expand(value, environ, f"`{dotted(option)}`, {where}"), declared, option, where)
        except _Wrong as error:
            # What a variable brought may be a secret: show the reference.
            raise _wrong(option, error.wanted, value, where) from None
    return check(_expanded(value, environ, f"`{dotted(option)}`, {where}"), declared, option, where)


def _expanded(value: Any, environ: Mapping[str, str], where: str) -> Any:
    match value:
        case str():
            return expand(value, environ, where)
        case list():
            return [_expanded(item, environ, where) for item in value]
        case dict():
            return {key: _expanded(item, environ, where) for key, item in value.items()}
    return value


def options_of(config: Config) -> Iterator[tuple[Option, Any]]:
    """Every option of a configuration with its value in TOML's own types, defaults too."""
    tables = {name: msgspec.to_builtins(getattr(config, name)) for name in fields_of(Config)}

    def walk(value: Any, declared: Any, option: Option) -> Iterator[tuple[Option, Any]]:
        fields, entries = fields_of(declared), entries_of(declared)
        if not fields and entries in (None, Any):
            yield option, value
            return
        for key, inner in value.items():
            yield from walk(inner, fields.get(key, entries), (*option, key))

    yield from walk(tables, Config, ())


def check(value: Any, declared: Any, option: Option, where: str) -> Any:
    """``value`` as the declared type; ConfigInvalid says the option, what was found and what is wanted."""
    try:
        return msgspec.convert(value, declared)
    except msgspec.ValidationError as error:
        raise _wrong(option, _wanted(declared, error), value, where) from None


def from_text(text: str, declared: Any, option: Option, where: str) -> Any:
    """A value written as text, in a variable or on the command line: lists by commas or as TOML, the rest as it looks."""
    plain = _plain(declared)
    value: Any = text
    if (
        plain is Any
        or get_origin(plain) is dict
        or (get_origin(plain) is tuple and text.lstrip().startswith("["))
    ):
        value = _toml(text)
    elif get_origin(plain) is tuple:
        value = [item.strip() for item in text.split(",") if item.strip()]
    elif plain is not str:
        try:
            return msgspec.convert(text.strip(), declared, strict=False)
        except msgspec.ValidationError as error:
            raise _wrong(option, _wanted(declared, error), text, where) from None
    return check(value, declared, option, where)


def nest(values: Iterable[tuple[Option, Any]]) -> dict[str, Any]:
    """The document of these options; an entry's ``{}`` keeps a table that holds nothing else."""
    document: dict[str, Any] = {}
    for option, value in values:
        table = document
        for part in option[:-1]:
            table = table.setdefault(part, {})
        if value == {}:
            table.setdefault(option[-1], {})
        else:
            table[option[-1]] = value
    return document


def unknown(option: Option, known: Iterable[str], where: str = "") -> ConfigInvalid:
    """The error for an option that does not exist."""
    near = get_close_matches(option[-1].lower(), list(known), n=1, cutoff=0.5)
    hint = f"did you mean `{dotted((*option[:-1], near[0]))}`?" if near else f"known here: {', '.join(known)}"
    return ConfigInvalid(f"unknown option `{dotted(option)}`{where and ', ' + where}", hint=hint)


def fields_of(declared: Any) -> dict[str, Any]:
    """The options of a table's type by name, empty for anything else."""
    plain = _plain(declared)
    if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
        return {field.name: field.type for field in msgspec.structs.fields(plain)}
    return {}


def _required(declared: Any) -> set[str]:
    plain = _plain(declared)
    return (
        {field.name for field in msgspec.structs.fields(plain) if field.required}
        if fields_of(plain)
        else set()
    )


def entries_of(declared: Any) -> Any:
    """The type of the entries of a table with free names, None for anything else."""
    plain = _plain(declared)
    return get_args(plain)[1] if get_origin(plain) is dict else None


def table_of(declared: Any) -> Any:
    """The type of the tables in a list of tables, None for anything else."""
    plain = _plain(declared)
    inner = get_args(plain)[:1] if get_origin(plain) is tuple else ()
    return inner[0] if inner and fields_of(inner[0]) else None


def _plain(declared: Any) -> Any:
    """The type without its description and without ``| None``."""
    if get_origin(declared) is Annotated:
        return _plain(get_args(declared)[0])
    if get_origin(declared) in (Union, types.UnionType):
        return _plain(next(each for each in get_args(declared) if each is not type(None)))
    return declared


def _title(declared: Any) -> str:
    return next((note.title for note in get_args(declared)[1:] if note.title), "")


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


class _Wrong(ConfigInvalid):
    """A value of the wrong kind; ``wanted`` says the right one."""

    wanted = ""


def _wrong(option: Option, wanted: str, got: Any, where: str) -> _Wrong:
    shown = type(got).__name__ if option[-1:] and option[-1] in SECRET_OPTIONS else _shown(got)
    error = _Wrong(f"`{dotted(option)}` must be {wanted}, not {shown}, {where}", param=dotted(option))
    error.wanted = wanted
    return error


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, dict) else "a table"
    return text if len(text) <= 60 else text[:57] + "..."


def _wanted(declared: Any, error: msgspec.ValidationError) -> str:
    """What msgspec wanted, in words; its message ends with what it got, which is said better elsewhere."""
    plain = _plain(declared)
    if get_origin(plain) is Literal:
        return "one of " + ", ".join(get_args(plain))
    if isinstance(plain, EnumType):
        return "one of " + ", ".join(plain.__members__.values())
    wanted = str(error).split(" - at ")[0].split(", got ")[0].replace("`", "").removeprefix("Expected ")
    if get_origin(plain) is tuple:
        many = "at least one " if "length" in wanted else ""
        return f"a list of {many}{_title(get_args(plain)[0]) or 'strings'}"
    if wanted.startswith("str matching"):
        return _title(declared)
    for name, words in {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "str": "a string",
    }.items():
        if wanted.startswith(name):
            return words + wanted.removeprefix(name).removesuffix(".0")
    return wanted
