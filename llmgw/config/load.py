"""The options in force: flags over ``LLMGW_*`` variables over ``llmgw.toml`` over defaults, each with its origin."""

from __future__ import annotations

import os
import stat
import tomllib
from typing import TYPE_CHECKING, Any

import msgspec

from llmgw.config import environment
from llmgw.config.expand import refers
from llmgw.config.model import SECRET_OPTIONS, Settings
from llmgw.config.position import find_line
from llmgw.config.values import Option, check, dotted, from_text, leaves, nest, parse_dotted, type_at
from llmgw.config.zones import read_zone
from llmgw.errors import BadRequest, ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from llmgw.config.paths import Paths


def effective_config(
    paths: Paths,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    secrets: bool = True,
    text: str | None = None,
) -> Settings:
    """Everything the operator declared; ConfigInvalid says which option is wrong, and where it stands.

    ``flags`` are command-line values by dotted option (``server.port``); those that are None were not given. Without
    ``secrets`` those of the file are left out, so that who only looks needs none of the variables that hold them.
    """
    values: dict[Option, Any] = {}
    origins: dict[str, str] = {}
    notes = list(environment.notes(environ))

    def put(option: Option, value: Any, origin: str) -> None:
        values[option] = value
        if value != {}:
            origins[dotted(option)] = origin

    planned = text is not None
    text = text if planned else read_file(paths)
    if text is not None:
        document = parse_file(text, paths.config)
        if not secrets:
            document = _without_secrets(document)

        def where(option: Option) -> str:
            line = find_line(text, option)
            return f"{paths.config} line {line}" if line else str(paths.config)

        for option, value in leaves(document, where, environ):
            put(option, value, where(option))
        notes += () if planned else _exposed(paths.config, document)
    for option, raw, name in environment.variables(environ, providers=_names(values)):
        origin = f"the variable {name}"
        put(option, from_text(raw, type_at(option, origin), option, origin), f"${name}")
    for key, flag in (flags or {}).items():
        if flag is not None:
            option = parse_dotted(key)
            put(
                option,
                check(flag, type_at(option), option, "the command line"),
                f"--{option[-1].replace('_', '-')}",
            )
    return msgspec.structs.replace(
        settings_of(values),
        origins=origins,
        notes=tuple(notes),
        path=paths.config if text is not None else None,
    )


def settings_of(values: Mapping[Option, Any]) -> Settings:
    """Options that are right one by one, as a whole; ConfigInvalid where they make no sense together."""
    _check_names(values)
    settings = msgspec.convert(nest(values.items()), Settings)
    _check_zone(settings.server.timezone)
    _check_routing(settings)
    return settings


def read_file(paths: Paths) -> str | None:
    """The text of the config file; None when there is none and nobody asked for it by name."""
    path = paths.config
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if paths.chosen:
            raise ConfigInvalid(f"no config file at {path}", hint="`llmgw init` writes one") from None
        return None
    except IsADirectoryError:
        raise ConfigInvalid(
            f"{path} is a folder, not a config file",
            hint="Docker makes one where the file of a bind mount is missing; remove it and mount a file",
        ) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigInvalid(f"{path} line {line} is not UTF-8 text", hint="save it as UTF-8") from None
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read: {error.strerror}", hint=f"ls -l {path}") from None


def parse_file(text: str, path: Path) -> dict[str, Any]:
    """The tables of the file; ConfigInvalid with line and column when it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        hint = "options live in TOML, not YAML" if path.suffix in {".yaml", ".yml"} else "https://toml.io"
        raise ConfigInvalid(f"{path} is not valid TOML: {error}", hint=hint) from None


def _without_secrets(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_secrets(value) if isinstance(value, dict) else value
        for name, value in table.items()
        if isinstance(value, dict) or name not in SECRET_OPTIONS
    }


def _names(values: Mapping[Option, Any]) -> set[str]:
    return {option[1] for option in values if option[0] == "providers" and len(option) > 1}


def _check_names(values: Mapping[Option, Any]) -> None:
    """Provider names stand before the slash of a target, so they cannot hold one."""
    for name in _names(values):
        if not name or "/" in name or name != name.strip():
            raise ConfigInvalid(
                f"`{name}` cannot be the name of a provider", hint="leave out slashes and spaces"
            )


def _check_zone(name: str) -> None:
    try:
        read_zone(name)
    except BadRequest as error:
        raise ConfigInvalid(f"`server.timezone`: {error.message}", hint=error.hint) from None


def _check_routing(settings: Settings) -> None:
    """What no single option of the router can be blamed for."""
    for number, rule in enumerate(settings.routes, 1):
        said = [name for name in ("to", "tier", "quality") if getattr(rule, name) not in ((), None)]
        if len(said) != 1:
            raise ConfigInvalid(
                f"`routes.{number}` says {' and '.join(f'`{name}`' for name in said) or 'not where to go'}",
                hint='each rule has one of `to = ["local"]`, `tier = "local"` and `quality = 0.9`',
            )
        low, high = rule.min_tokens, rule.max_tokens
        if low is not None and high is not None and low > high:
            raise ConfigInvalid(f"`routes.{number}`: no prompt has from {low} to {high} tokens")
        start, _, end = rule.hours.partition("-")
        if rule.hours and int(start) == int(end):
            raise ConfigInvalid(f"`routes.{number}.hours`: from {start} to {end} is no time")


def _exposed(path: Path, document: Mapping[str, Any]) -> list[str]:
    """A note for each secret written out in the file, louder when others may read it."""
    tables: dict[Option, Any] = {
        (name,): document.get(name, {}) for name in ("server", "alerts", "metrics", "otel")
    }
    tables |= {("providers", name): table for name, table in document.get("providers", {}).items()}
    open_to_others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    return [
        f"`{dotted((*table, name))}` is written out in {path}"
        + (
            f", which other users of this machine may read; chmod 600 {path}"
            if open_to_others
            else "; ${VAR} is safer"
        )
        for table, options in tables.items()
        for name in SECRET_OPTIONS & set(options)
        if isinstance(options[name], str) and options[name] and not refers(options[name])
    ]
