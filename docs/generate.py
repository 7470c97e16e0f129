"""Write docs/reference from the code: `python docs/generate.py`, or `--check` to only tell which pages are stale."""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import typing
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any

import msgspec
import typer
from words import (
    ANSWER_HEADERS,
    BUDGET,
    FIELDS,
    KINDS,
    LOCAL_LLM,
    META,
    OTHER_VARIABLES,
    PASSED_BY,
    PATHS,
    PROSE,
    REQUEST_HEADERS,
)

from llmgw import errors
from llmgw.api import app, openapi
from llmgw.cli import app as cli
from llmgw.cli.grammar import EXAMPLES
from llmgw.cli.options import global_params
from llmgw.config import environment
from llmgw.config.model import Config
from llmgw.config.values import entries_of, fields_of, table_of
from llmgw.gates import caches, credential, reply
from llmgw.providers.dialects.table import markdown as translation_table
from llmgw.providers.registry import caller_dialect, providers
from llmgw.rules import caching, fingerprint
from llmgw.rules.planning import VIRTUAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from llmgw.api.operations import Operation

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
OPTION = ("option", "meaning")
NOTE = "<!-- Made by docs/generate.py from the code; changes here are lost. -->"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; pipes in cells are escaped."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def defined(heads: Iterable[str], meanings: Mapping[str, str]) -> str:
    """A table of names in code with what they mean."""
    return table(heads, ((f"`{name}`", words) for name, words in meanings.items()))


def code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def page(*parts: str) -> str:
    return "\n\n".join((NOTE, *(part.strip("\n") for part in parts))) + "\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its full name, in the order of the help."""

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield name, command
        if hasattr(command, "commands"):
            for word in command.list_commands(None):
                yield from walk(f"{name} {word}", command.get_command(None, word))

    root = cli.root()
    yield "llmgw", root
    for word in root.list_commands(None):
        yield from walk(f"llmgw {word}", root.get_command(None, word))


def options(command: Any) -> list[Any]:
    """A command's own options and arguments."""
    shared = {param.name for param in global_params()}
    return [param for param in command.params if param.name not in shared]


def _explained(param: Any) -> tuple[str, str]:
    """An option and its help, as the terminal shows them."""
    name, words = param.get_help_record(typer.Context(cli.root())) or (param.name, "")
    return f"`{re.sub(r' +', ' ', name)}`", re.sub(r"\s+", " ", words).strip()


def cli_page() -> str:
    """Every command with its options and examples, then the topics."""
    parts = ["# Commands", PROSE["commands"], table(OPTION, map(_explained, global_params()))]
    for name, command in commands():
        words, _, examples = (command.help or "").partition(EXAMPLES)
        parts += [f"{'##' if name.count(' ') < 2 else '###'} {name}", inspect.cleandoc(words)]
        if not hasattr(command, "commands") and name != "llmgw":
            pieces = command.collect_usage_pieces(typer.Context(command))
            parts.append(f"    {name} {' '.join(filter(None, pieces))}")
        if own := options(command):
            parts.append(table(OPTION, map(_explained, own)))
        if examples:
            parts.append(f"```sh\n{inspect.cleandoc(examples)}\n```")
    for topic in sorted((ROOT / "llmgw/cli/topics").glob("*.md")):
        words = topic.read_text(encoding="utf-8").partition("\n")[2]
        parts.append(f"## llmgw help {topic.stem}\n\n{words.strip()}")
    return page(*parts)


def _type(declared: Any) -> tuple[str, str]:
    """A type in words, and its description."""
    if typing.get_origin(declared) is typing.Annotated:
        inner, *notes = typing.get_args(declared)
        kind, words = _type(inner)
        bounds: list[str] = []
        for note in notes:
            words = note.description or words
            kind = (note.title or kind) if note.pattern else kind
            limits = {"from": note.ge, "above": note.gt, "up to": note.le}
            bounds += [f"{word} {limit:g}" for word, limit in limits.items() if limit is not None]
        return ", ".join((kind, *bounds)), words
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if origin is typing.Literal:
        return " or ".join(f"`{each}`" for each in arguments), ""
    if origin in {UnionType, typing.Union}:
        return _type(next(each for each in arguments if each is not type(None)))
    if origin is tuple:
        return f"list of {_type(arguments[0])[0]}", ""
    if origin is dict:
        return "table", ""
    if hasattr(declared, "__members__"):
        return " or ".join(f"`{each.value}`" for each in declared), ""
    names = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`"}
    return names.get(declared, str(declared)), ""


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return ""
    factory = field.default_factory
    value = field.default if factory is msgspec.NODEFAULT else factory()
    return "" if value is None else f"`{json.dumps(msgspec.to_builtins(value))}`"


def _rows(section: Any) -> list[tuple[str, str, str, str]]:
    """The options of one table: name, type, default, description."""
    plain = [field for field in msgspec.structs.fields(section) if not fields_of(field.type)]
    return [(f.name, (kind := _type(f.type))[0], _default(f), kind[1]) for f in plain if not _tables(f.type)]


def _tables(declared: Any) -> bool:
    return bool(fields_of(entries_of(declared)))


def settings(
    name: str = "", declared: Any = Config
) -> Iterator[tuple[str, Any, list[tuple[str, str, str, str]]]]:
    """Every table of the config file with its type and its options."""
    if name and (rows := _rows(declared)):
        yield name, declared, rows
    for each, kind in fields_of(declared).items():
        inner = f"{name}.{each}" if name else each
        if fields_of(kind):
            yield from settings(inner, kind)
        elif _tables(kind):
            yield from settings(f"{inner}.NAME", entries_of(kind))
        elif (entry := table_of(kind)) is not None:
            yield from settings(f"[{inner}]", entry)


def config_page() -> str:
    """Every option of llmgw.toml."""
    parts = ["# llmgw.toml", PROSE["config"]]
    for name, section, rows in settings():
        parts.append(f"## [{name}]")
        if own := vars(section).get("__doc__"):
            parts.append(inspect.cleandoc(own))
        parts.append(
            table(("option", "type", "default", "meaning"), ((f"`{row[0]}`", *row[1:]) for row in rows))
        )
    return page(*parts)


def error_classes() -> list[type[errors.GatewayError]]:
    """The tree of errors, depth first."""

    def walk(kind: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
        yield kind
        for child in kind.__subclasses__():
            if child.__module__ == errors.__name__:
                yield from walk(child)

    return list(walk(errors.GatewayError))


def special_codes() -> dict[str, str]:
    """Codes that one place gives to an error of a class, by the class's name."""
    found = {}
    known = {kind.__name__ for kind in error_classes()}
    for path in sorted((ROOT / "llmgw").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
                for keyword in node.keywords:
                    value = keyword.value
                    code = getattr(value, "value", None) or named.get(getattr(value, "id", ""))
                    if keyword.arg == "code" and isinstance(code, str):
                        found[code] = node.func.id
    return found


def errors_page() -> str:
    """Every error code with its status, exit code and shape on each surface."""
    tree = inspect.cleandoc((errors.__doc__ or "").split("\n\n")[1])
    special = []
    for code, name in sorted(special_codes().items()):
        kind = getattr(errors, name)
        special.append((f"`{code}`", name, str(kind.status), str(kind.exit_code)))
    sample = errors.Unauthenticated("this key is not known to the gateway", hint="see `llmgw key list`")
    shapes = []
    for name, title in (("openai_chat", "OpenAI"), ("anthropic", "Anthropic")):
        body = json.loads(caller_dialect(name).render_error(sample, "req_6gzrgcfxc0000"))
        shapes.append(f"### {title}\n\n```json\n{json.dumps(body, indent=2)}\n```")
    return page(
        "# Errors",
        PROSE["errors"],
        f"```text\n{tree}\n```",
        PROSE["codes"],
        table(("code", "is a", "status", "exit"), special),
        PROSE["error headers"],
        "## How callers see them",
        *shapes,
    )


def providers_page() -> str:
    """Every provider that is known."""
    every = providers().values()
    rows, patterns, notes = [], [], []
    for each in every:
        title = f"[{each.title}]({each.docs_url})" if each.docs_url else each.title
        rows.append(
            (
                f"`{each.name}`",
                title,
                each.dialect,
                each.tier.value,
                code(each.credentials),
                f"`{each.base_url}`",
            )
        )
        if each.model_patterns:
            patterns.append((f"`{each.name}`", code(each.model_patterns)))
        if each.unsupported:
            notes.append((f"`{each.name}`", code(sorted(each.unsupported))))
    return page(
        "# Providers",
        PROSE["providers"],
        table(("name", "provider", "dialect", "tier", "credential", "address"), rows),
        "## Names that lead to them",
        PROSE["patterns"],
        table(("provider", "patterns"), patterns),
        "## Fields they refuse",
        PROSE["refused"],
        table(("provider", "fields"), notes),
    )


def environment_page() -> str:
    """Every environment variable."""
    static = environment._static()  # noqa: SLF001  the one list there is
    described = {f"{name}.{row[0]}": row[3] for name, _, rows in settings() for row in rows}
    described |= {name: _type(kind)[1] for name, kind in fields_of(Config).items() if table_of(kind)}
    rows = []
    for option in dict.fromkeys(static.values()):
        names = [f"LLMGW_{each.upper()}" for each, value in static.items() if value == option]
        rows.append((code(names), f"`{'.'.join(option)}`", described[".".join(option)]))
    legacy = {name: f"`{'.'.join(option)}`" for name, option in environment.LEGACY.items()} | LOCAL_LLM
    credentials = [
        (f"`{each.name}`", code(each.credentials)) for each in providers().values() if each.credentials
    ]
    return page(
        "# Environment variables",
        PROSE["environment"],
        defined(("variable", "meaning"), OTHER_VARIABLES),
        "## Options",
        table(("variable", "option", "meaning"), rows),
        PROSE["provider options"],
        "## Credentials",
        table(("provider", "variables, the first that is set wins"), credentials),
        "## Names of LLM Gateway v2.0",
        defined(("variable", "sets"), legacy),
        PROSE["later"],
        defined(("variable", "why"), environment.LATER),
    )


def operations() -> list[Operation]:
    """Everything that is served."""
    nothing: Any = None
    return app.operations(nothing, nothing, nothing)


def _shape(schema: dict[str, Any]) -> str:
    """The type of a value in words; objects that have a heading of their own are linked."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if kinds := schema.get("anyOf"):
        return " or ".join(map(_shape, kinds))
    if pair := schema.get("prefixItems"):
        return " and ".join(map(_shape, pair))
    if schema.get("type") == "array":
        return f"list of {_shape(schema.get('items', {}))}"
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    words = {"string": "text", "integer": "whole number", "object": "object", "null": "null"}
    return {"date-time": "moment"}.get(
        schema.get("format", ""), words.get(schema.get("type", ""), schema.get("type", "anything"))
    )


def _members(schema: dict[str, Any]) -> str:
    needed = schema.get("required", ())
    return table(
        ("field", "type", "", "meaning"),
        (
            (f"`{name}`", _shape(field), "needed" if name in needed else "", field.get("description", ""))
            for name, field in schema["properties"].items()
        ),
    )


def api_page() -> str:
    """What lies under /admin, from the OpenAPI document."""
    found = openapi.document(operations())
    parts = ["# The admin API", PROSE["api"]]
    for path, methods in found["paths"].items():
        for method, told in methods.items():
            if not path.startswith(("/admin/", "/api/admin/")):
                continue
            parts += [f"## {method.upper()} {path}", f"{told['summary']}.", told.get("description", "")]
            if given := told.get("parameters"):
                rows = (
                    (
                        f"`{each['name']}`",
                        f"{_shape(each['schema'])}, in the {each['in']}",
                        "needed" if each["required"] else "",
                        each.get("description", ""),
                    )
                    for each in given
                )
                parts.append(table(("parameter", "type", "", "meaning"), rows))
            if "requestBody" in told:
                parts.append(_members(told["requestBody"]["content"]["application/json"]["schema"]))
            (media, content), *_ = told["responses"]["200"]["content"].items()
            answer = content.get("schema", {})
            if media == "application/json":
                parts.append(f"Answers {_shape(answer.get('allOf', [answer])[0])}.")
            else:
                parts.append(f"Answers `{media}`" + (f" of {_shape(answer)}." if answer else "."))
    parts.append("## What is answered")
    for name, schema in found["components"]["schemas"].items():
        if f"](#{name.lower()})" in "\n".join(parts) or name in {"Refusal", "Problem"}:
            parts += [f"### {name}", schema.get("description", "")]
            parts.append(_members(schema) if "properties" in schema else f"{_shape(schema)}")
    return page(*filter(None, parts))


def headers_in_code() -> set[str]:
    """Every `x-llmgw-*` header that the code names."""
    found: set[str] = set()
    for room in ("gates", "api"):
        for path in (ROOT / "llmgw" / room).glob("*.py"):
            found |= set(re.findall(r"""b?["'](x-llmgw-[a-z-]+)["']""", path.read_text(encoding="utf-8")))
    return found


def http_page() -> str:
    """Paths, headers, and the gateway's own fields."""
    heads = ("header", "meaning")
    return page(
        "# HTTP",
        table(
            ("method", "path", "what it does"),
            (
                (
                    each.method,
                    f"`{openapi.place(each.path)}`",
                    PATHS.get(each.path) or f"{each.summary[:1].lower()}{each.summary[1:]}",
                )
                for each in operations()
            ),
        ),
        PROSE["paths"],
        "## Headers of a request",
        defined(heads, REQUEST_HEADERS),
        PROSE["passed"].format(code(name.decode() for name in credential.PASSED_ON)),
        "## Headers of an answer",
        defined(heads, ANSWER_HEADERS),
        PROSE["kept"].format(code(sorted(reply.KEPT_BACK))),
        "## The gateway's own fields",
        PROSE["fields"],
        defined(("field", "meaning"), FIELDS),
        "## gateway_meta",
        PROSE["meta"],
        defined(("member", "meaning"), META),
        "## GET /api/budget",
        PROSE["budget"],
        defined(("member", "meaning"), BUDGET),
        "## Virtual models",
        defined(
            ("model", "tiers, in this order"),
            {name: ", then ".join(tiers) for name, tiers in VIRTUAL.items()},
        ),
    )


def passed_by() -> set[str]:
    """Every reason in the code for which the caches pass a request by, but for the names of members."""
    tree = ast.parse(inspect.getsource(caching.passes_by))
    returned = (each.value for each in ast.walk(tree) if isinstance(each, ast.Return))
    said = {
        node.value
        for value in returned
        if value
        for node in ast.walk(value)
        if isinstance(node, ast.Constant)
    }
    return {each for each in said if isinstance(each, str) and each} | {caches.UNREADABLE.passes_by}


def caching_page() -> str:
    """What the caches leave alone, what makes a request another one, how long answers live."""
    ttls = {"usual": "ttl", "deterministic": "ttl_deterministic", "dated": "ttl_dated"}
    defaults = {row[0]: row[2] for name, _, rows in settings() if name == "cache.exact" for row in rows}
    return page(
        "# Caching",
        PROSE["caching"],
        "## What passes the caches by",
        PROSE["passed by"],
        defined(("reason", "a request that asks for"), PASSED_BY),
        f"{PROSE['live']} {code(sorted(caching.LIVE | caching.STATEFUL))}.",
        "## Which answers are remembered",
        PROSE["remembered"],
        "## What makes no difference",
        PROSE["meaningless"].format(code(name.decode() for name in caches.APART)),
        f"{code(sorted(fingerprint.MEANINGLESS))}, and `cache_control` marks.",
        "## How long they live",
        table(
            ("kind", "when", "option", "default"),
            (
                (f"`{kind}`", words, f"`cache.exact.{ttls[kind]}`", defaults[ttls[kind]])
                for kind, words in KINDS.items()
            ),
        ),
    )


def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    return {
        "api.md": api_page(),
        "caching.md": caching_page(),
        "cli.md": cli_page(),
        "config.md": config_page(),
        "environment.md": environment_page(),
        "errors.md": errors_page(),
        "http.md": http_page(),
        "providers.md": providers_page(),
        "translation.md": f"{NOTE}\n\n{translation_table()}",
    }


def main() -> int:
    stale = [name for name, text in pages().items() if _written(name) != text]
    if "--check" not in sys.argv:
        REFERENCE.mkdir(exist_ok=True)
        for name, text in pages().items():
            (REFERENCE / name).write_text(text, encoding="utf-8")
    print("\n".join(stale) or "every page is current")
    return 1 if stale and "--check" in sys.argv else 0


def _written(name: str) -> str:
    path = REFERENCE / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
