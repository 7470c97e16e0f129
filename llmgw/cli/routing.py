"""`llmgw route list`, `show`, `set` and `remove`: rules and names, what is in force and what llmgw.toml says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import to_builtins

from llmgw.cli import options, output
from llmgw.cli.output import Column
from llmgw.domain.route import Tier  # noqa: TC001  typer reads the annotations
from llmgw.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

    from llmgw.config.edit import Change

NEW = "new"
"""What stands for a rule that is not there yet."""


def complete(incomplete: str) -> list[str]:
    """Numbers of rules, virtual models and aliases."""
    return [each["name"] for each in _routes() if each["name"].startswith(incomplete)]


Name = Annotated[
    str,
    typer.Argument(
        help="A rule's number, or a name that callers ask for.", autocompletion=complete, show_default=False
    ),
]
DryRun = Annotated[bool, typer.Option("-n", "--dry-run", help="Show what would change, change nothing.")]


def list_routes() -> None:
    """List what routes requests: rules in their order, the gateway's own models, aliases.

    Examples:
      llmgw route list
      llmgw route list --json
    """
    rows = [each | {"leads": _leads(each)} for each in _routes()]
    columns = [
        Column("name"),
        Column("kind"),
        Column("condition"),
        Column("leads", "LEADS TO"),
        Column("origin"),
    ]
    output.rows(rows, columns, noun="routes")


def show(name: Name) -> None:
    """Show one rule, or what stands for a name, and who is asked in the end.

    Examples:
      llmgw route show 1
      llmgw route show gateway-auto --json
    """
    found = next((each for each in _routes() if each["name"] == name), None)
    if found is None:
        raise NotFound(
            f"there is no rule and no name `{name}`",
            hint="`llmgw route list` shows what there is, `llmgw model show` where any other model leads",
        )
    facts = {key: value for key, value in found.items() if value not in (None, [], "")}
    lines = [
        f"{key:10}{', '.join(value) if isinstance(value, list) else value}" for key, value in facts.items()
    ]
    output.record(found, ident="name", text="\n".join(lines))


def set_(
    name: Name,
    to: Annotated[
        str | None, typer.Option(help="Tiers, aliases or targets, in order: a,b,c.", metavar="NAMES")
    ] = None,
    tier: Annotated[Tier | None, typer.Option(help="The tier that a rule begins with.")] = None,
    quality: Annotated[float | None, typer.Option(help="Where a rule puts the dial.", metavar="0..1")] = None,
    key: Annotated[str | None, typer.Option(help="For this key, or a pattern.", metavar="NAME")] = None,
    tag: Annotated[str | None, typer.Option(help="For this tag, or a pattern.", metavar="TAG")] = None,
    tenant: Annotated[str | None, typer.Option(help="For this tenant, or a pattern.", metavar="NAME")] = None,
    model: Annotated[
        str | None, typer.Option(help="For this name asked for, or a pattern.", metavar="NAME")
    ] = None,
    min_tokens: Annotated[int | None, typer.Option(help="From so many tokens on.", metavar="N")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Up to so many tokens.", metavar="N")] = None,
    tools: Annotated[
        bool | None, typer.Option("--tools/--no-tools", help="Whether tools are offered.", show_default=False)
    ] = None,
    hours: Annotated[str | None, typer.Option(help="At these hours: 22-6.", metavar="FROM-TO")] = None,
    weekdays: Annotated[str | None, typer.Option(help="On these days: mon,tue.", metavar="DAYS")] = None,
    language: Annotated[str | None, typer.Option(help="In this language: en, de or code.")] = None,
    first: Annotated[bool, typer.Option("--first", help="Before all other rules.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Set a rule, an alias or the targets of a tier in llmgw.toml; comments are kept, nothing invalid is written.

    NAME is the number of a rule that is to change, `new` for one more, an alias, or gateway-local, -cheap or -premium.
    What an option does not name stays; an empty one takes its condition away.

    Examples:
      llmgw route set new --tag private --to local
      llmgw route set 1 --hours 22-6 --first
      llmgw route set 'gpt-4*' --to openai/gpt-5-mini,ollama/llama3.2 --dry-run
      llmgw route set gateway-cheap --to groq/llama-3.1-8b-instant
    """
    given = {
        "key": key,
        "tag": tag,
        "tenant": tenant,
        "model": model,
        "min_tokens": min_tokens,
        "max_tokens": max_tokens,
        "tools": tools,
        "hours": hours,
        "weekdays": None if weekdays is None else _words(weekdays),
        "language": language,
        "to": None if to is None else _words(to),
        "tier": None if tier is None else tier.value,
        "quality": quality,
    }
    fields: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    if name == NEW or name.isdecimal():
        change = _set_rule(name, fields, first=first)
    elif set(fields) == {"to"} and not first:
        change = _set_name(name, fields["to"])
    else:
        raise BadRequest(
            f"`{name}` takes --to alone", hint="conditions are for rules: `llmgw route set new ...`"
        )
    _apply(change, f"rule {name}" if name.isdecimal() else name, dry_run=dry_run)


def remove(name: Name, dry_run: DryRun = False) -> None:
    """Take a rule, an alias or the targets of a tier out of llmgw.toml.

    Examples:
      llmgw route remove 2
      llmgw route remove 'gpt-4*' --dry-run
    """
    from llmgw.config.edit import change_rules, remove_option

    paths = options.paths()
    if name.isdecimal():

        def edit(rules: MutableSequence[Any]) -> None:
            del rules[_place(rules, name)]

        change = change_rules(paths, edit)
    else:
        change = remove_option(paths, _option(name)[:2])
    _apply(change, f"rule {name}" if name.isdecimal() else name, dry_run=dry_run, done="taken out of")


VERBS: dict[str, Callable[..., None]] = {"list": list_routes, "show": show, "set": set_, "remove": remove}


def _routes() -> list[dict[str, Any]]:
    from llmgw.cli.reaching import gateway
    from llmgw.desk.routing import ListRoutes

    with gateway() as there:
        return [to_builtins(each) for each in there.ask(ListRoutes()).routes]


def _leads(route: dict[str, Any]) -> str:
    if route["tier"]:
        return f"{route['tier']} first"
    if route["quality"] is not None:
        return f"quality {route['quality']:g}"
    shown: str = ", ".join(route["to"])
    return shown


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _set_rule(name: str, fields: dict[str, Any], *, first: bool) -> Change:
    from llmgw.config.edit import change_rules

    def edit(rules: MutableSequence[Any]) -> None:
        import tomlkit

        rule = tomlkit.table() if name == NEW else rules[_place(rules, name)]
        for field, value in fields.items():
            if value in ("", []):
                rule.pop(field, None)
            else:
                rule[field] = value
        if name == NEW or first:
            if name != NEW:
                del rules[_place(rules, name)]
            rules.insert(0 if first else len(rules), rule)

    if not fields and not first:
        raise BadRequest("nothing is said that a rule could do", hint="`llmgw route set --help`")
    return change_rules(options.paths(), edit)


def _place(rules: MutableSequence[Any], name: str) -> int:
    """Where a rule stands; NotFound where there are not so many."""
    if not 0 < int(name) <= len(rules):
        raise NotFound(
            f"llmgw.toml has {len(rules)} rules, no rule {name}", hint="`llmgw route set new` adds one"
        )
    return int(name) - 1


def _set_name(name: str, to: list[str]) -> Change:
    from llmgw.config.edit import set_options

    if not (name.strip() and name.isprintable()):
        raise BadRequest(f"nobody can ask for a model called {name!r}")
    return set_options(options.paths(), {_option(name): to})


def _option(name: str) -> tuple[str, ...]:
    """Where the targets of a name stand."""
    from llmgw.rules.planning import AUTO, VIRTUAL

    if name == AUTO:
        raise BadRequest(f"{AUTO} is all tiers", hint="set gateway-local, gateway-cheap or gateway-premium")
    return ("tiers", name.removeprefix("gateway-")) if name in VIRTUAL else ("models", name, "targets")


def _apply(change: Change, name: str, *, dry_run: bool, done: str = "set in") -> None:
    from llmgw.cli.commands.config import apply

    apply(change, name, dry_run=dry_run, done=done)
