"""Changes to ``llmgw.toml`` that keep its comments, and the starter file; nothing invalid is ever written."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from difflib import unified_diff
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from llmgw.config.expand import refers
from llmgw.config.load import parse_file, read_file, settings_of
from llmgw.config.model import Config
from llmgw.config.private import write_private
from llmgw.config.values import (
    Option,
    dotted,
    entries_of,
    fields_of,
    from_text,
    leaves,
    parse_dotted,
    table_of,
    type_at,
)
from llmgw.errors import ConfigInvalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence
    from pathlib import Path

    from llmgw.config.paths import Paths

HEAD = """\
# llmgw.toml: what this gateway is. Lines that begin with # and no blank are options at their default.
# Keys and the ledger live in the database. `llmgw config check` proves this file, `llmgw config show
# --origin` tells what is in force and why. Secrets stay outside: ${VAR}, or `llmgw provider add NAME`.
"""

EXAMPLES = """
# A provider: any that `llmgw provider list --all` knows, or any OpenAI-compatible address under a name of your own.
#[providers.my-server]
#base_url = "http://192.168.1.20:8080/v1"
#tier = "local"

# A name that callers use, or a pattern of names, and what stands for it.
#[models."claude-*"]
#targets = ["ollama/llama3.2", "anthropic/claude-sonnet-4-5"]

# A rule for requests to gateway-auto; the first that fits decides.
#[[routes]]
#key = "ci*"
#hours = "22-6"
#to = ["local"]

# A price where the shipped table is wrong or silent, in dollars per million tokens.
#[prices."openai/gpt-5-nano"]
#input = 0.05
#output = 0.40
"""


class Change(NamedTuple):
    """A file before and after; `save` makes it real."""

    path: Path
    before: str
    after: str

    @property
    def diff(self) -> str:
        """What changes, as a unified diff; empty when nothing does."""
        old, new = (text.splitlines(keepends=True) for text in (self.before, self.after))
        return "".join(unified_diff(old, new, str(self.path), str(self.path)))

    def save(self) -> None:
        """Write the file whole, mode 0600; OSError when that cannot be."""
        if self.before != self.after or not self.path.exists():
            write_private(self.path, self.after)


def set_option(paths: Paths, name: str, text: str, environ: Mapping[str, str] = os.environ) -> Change:
    """One option by its dotted name set to a value given as text; ConfigInvalid when either is wrong."""
    option = parse_dotted(name)
    return set_options(paths, {option: _as_written(option, text)}, environ)


def set_options(
    paths: Paths, values: Mapping[Option, Any], environ: Mapping[str, str] = os.environ
) -> Change:
    """Several options at once; an empty table as value makes sure that the table is there."""
    import tomlkit  # noqa: PLC0415  reading needs no editor

    before = read_file(paths._replace(chosen=False)) or ""
    parse_file(before, paths.config)
    document = tomlkit.parse(before)
    for option, value in values.items():
        table: MutableMapping[str, Any] = document
        for depth, part in enumerate(option[:-1]):
            if part not in table:
                table[part] = tomlkit.table(is_super_table=value == {} or depth + 2 < len(option))
            table = _table(table[part], option[: depth + 1])
        if value == {}:
            table.setdefault(option[-1], tomlkit.table())
        else:
            table[option[-1]] = value
    return _proven(Change(paths.config, before, tomlkit.dumps(document)), environ)


def remove_option(paths: Paths, option: Option, environ: Mapping[str, str] = os.environ) -> Change:
    """One option, or a whole table, taken out of the file; NotFound when it does not stand there."""
    import tomlkit  # noqa: PLC0415  reading needs no editor

    before = read_file(paths._replace(chosen=False)) or ""
    parse_file(before, paths.config)
    document = tomlkit.parse(before)
    table: MutableMapping[str, Any] = document
    for part in option[:-1]:
        table = cast("MutableMapping[str, Any]", table.get(part, {}))
    if option[-1] not in table:
        raise NotFound(f"`{dotted(option)}` does not stand in {paths.config}")
    del table[option[-1]]
    return _proven(Change(paths.config, before, tomlkit.dumps(document)), environ)


def change_rules(
    paths: Paths, edit: Callable[[MutableSequence[Any]], None], environ: Mapping[str, str] = os.environ
) -> Change:
    """The rules of ``[[routes]]`` as ``edit`` leaves them; ConfigInvalid where one makes no sense then."""
    import tomlkit  # noqa: PLC0415  reading needs no editor

    before = read_file(paths._replace(chosen=False)) or ""
    parse_file(before, paths.config)
    document = tomlkit.parse(before)
    rules = document.get("routes") or tomlkit.aot()
    edit(rules)
    if rules:
        document["routes"] = rules
    else:
        document.pop("routes", None)
    return _proven(Change(paths.config, before, tomlkit.dumps(document)), environ)


def write_starter(paths: Paths, values: Mapping[Option, Any] | None = None) -> Change:
    """The commented file of a new gateway, with ``values`` in force and every other option shown at its default."""
    try:
        before = read_file(paths._replace(chosen=False)) or ""
    except ConfigInvalid:
        raise ConfigInvalid(f"{paths.config} is in the way", hint="move it aside first") from None
    return Change(paths.config, before, starter(values or {}))


def starter(values: Mapping[Option, Any]) -> str:
    """The text of the starter file; made from the options themselves, so it knows them all."""
    lines = [HEAD.rstrip("\n")]
    for section, declared in fields_of(Config).items():
        if table_of(declared) is not None:
            continue  # among the examples
        if entries_of(declared) is None:
            lines += _section((section,), declared, values)
        elif section == "providers":
            names = dict.fromkeys(option[1] for option in values if option[0] == section)
            for name in names:
                lines.append(f"\n[{dotted((section, name))}]")
                lines += [
                    f"{option[2]} = {_toml(value)}"
                    for option, value in values.items()
                    if option[1] == name and option[2:]
                ]
            lines.append(EXAMPLES.rstrip("\n"))
    return "\n".join(lines) + "\n"


def _section(table: Option, declared: Any, values: Mapping[Option, Any]) -> list[str]:
    """A table with each option's description; tables inside it come after its own options."""
    lines: list[str] = []
    inner: list[str] = []
    default = declared()
    for name, kind in fields_of(declared).items():
        if fields_of(kind):
            inner += _section((*table, name), kind, values)
            continue
        option = (*table, name)
        description = next(note.description for note in reversed(kind.__metadata__) if note.description)
        value = values.get(option, getattr(default, name))
        lines += [f"# {description}", f"{'' if option in values else '#'}{name} = {_toml(value)}"]
    return ([f"\n[{dotted(table)}]", *lines] if lines else []) + inner


def _as_written(option: Option, text: str) -> Any:
    """The value to write: a reference stays a reference, the rest becomes what its type wants."""
    declared = type_at(option)
    if fields_of(declared):
        raise ConfigInvalid(
            f"`{dotted(option)}` is a table", hint=f"set one of its options: {', '.join(fields_of(declared))}"
        )
    if refers(text):
        return text
    return msgspec.to_builtins(from_text(text, declared, option, "the command line"))


def _proven(change: Change, environ: Mapping[str, str]) -> Change:
    """The change itself if the file it leads to can be loaded; ConfigInvalid otherwise."""
    document = parse_file(change.after, change.path)
    settings_of(dict(leaves(document, lambda _: f"{change.path} as it would become", environ)))
    return change


def _table(value: Any, option: Option) -> MutableMapping[str, Any]:
    if not isinstance(value, MutableMapping):
        raise ConfigInvalid(f"`{dotted(option)}` is not a table")
    return value


def _toml(value: Any) -> str:
    import tomlkit  # noqa: PLC0415  reading needs no editor

    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update(value)
        return table.as_string()
    return str(tomlkit.item(msgspec.to_builtins(value)).as_string())
