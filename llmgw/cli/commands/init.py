"""Set the gateway up in at most four questions."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import notices, options, output, prompts
from llmgw.cli.commands.provider import Store, complete, credential_of, put_away
from llmgw.errors import ConfigInvalid, Conflict

if TYPE_CHECKING:
    from llmgw.config.paths import Paths
    from llmgw.config.values import Option

PLACE = "SETUP", 1

FIRST = ("openai", "anthropic", "groq", "openrouter", "mistral", "deepseek", "gemini")
"""Hosted providers that are offered by name; `--provider` takes every other one."""

FOUND_ONLY = "what was found"
"""The answer that names no provider: use what is there, or echo."""


def command(
    provider: Annotated[
        list[str] | None,
        typer.Option(help="Provider to use; repeatable.", autocompletion=complete, show_default=False),
    ] = None,
    from_stdin: Annotated[bool, typer.Option("--from-stdin", help="Take the credential from stdin.")] = False,
    from_file: Annotated[
        Path | None,
        typer.Option(
            help="Take the credential from a file.", exists=True, dir_okay=False, show_default=False
        ),
    ] = None,
    store: Annotated[
        Store | None, typer.Option(help="keyring (the default), or file: not encrypted.", show_default=False)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on.  [default: 8000]", show_default=False),
    ] = None,
    start: Annotated[
        bool | None,
        typer.Option("--start/--no-start", help="Start the gateway afterwards.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an llmgw.toml that is there.")] = False,
) -> None:
    """Set the gateway up in at most four questions.

    They are: which provider, its credential, where to keep that, and whether to start now. Writes a commented llmgw.toml and issues the first key. Each answer is also an option, so nothing is asked with
    --no-input.

    Examples:
      llmgw init
      llmgw init --provider openai --from-file openai.key --no-input
      llmgw init --port 9000 --no-start --force
    """
    from llmgw.config.edit import write_starter

    paths = options.paths()
    if paths.config.exists() and not force:
        raise Conflict(
            f"{paths.config} is there already", hint="`llmgw config edit` changes it, `--force` replaces it"
        )
    names = list(dict.fromkeys(provider or ())) or _asked(paths)
    values: dict[Option, Any] = {("providers", name): {} for name in names}
    if port is not None:
        values["server", "port"] = port
    stored = {name: _credential(name, paths, from_stdin, from_file, store) for name in names}
    try:
        write_starter(paths, values).save()
    except OSError as error:
        raise ConfigInvalid(
            f"cannot write {paths.config}: {error.strerror}", hint="choose another --home"
        ) from None
    key = _first_key(paths)
    fields = {"config": str(paths.config), "providers": names, "stored": stored, "key": key}
    text = [f"wrote {paths.config}"]
    text += [f"{name}: credential in {where}" for name, where in stored.items() if where]
    if start is None and prompts.interactive():
        start = prompts.choose("Start the gateway now?", ["yes", "no"], option="--start") == "yes"
    if start:
        notices.say("\n".join(text))
        from llmgw.cli.commands.serve import begin

        begin(paths, {})
        notices.say(f"your key, shown only now: {key}" if key else "a key has been issued before")
        return
    output.record(fields, ident="config", text="\n".join([*text, *_next(paths, key)]))


def _asked(paths: Paths) -> list[str]:
    """The provider that is chosen; none where nobody can be asked, as what is found is used anyway."""
    from llmgw.config.model import Settings
    from llmgw.service.assemble import survey

    found = [upstream.name for upstream in survey(Settings(), paths).upstreams]
    for name in found:
        notices.say(
            "found no provider; `echo` would answer, which needs none" if name == "echo" else f"found {name}"
        )
    if not prompts.interactive():
        return []
    choices = [FOUND_ONLY, *(name for name in FIRST if name not in found)]
    answer = prompts.choose("Which provider shall be added?", choices, option="--provider")
    return [] if answer == FOUND_ONLY else [answer]


def _credential(
    name: str, paths: Paths, from_stdin: bool, from_file: Path | None, store: Store | None
) -> str:
    """Make sure of a provider's credential; says where it was put, empty when it needs none or has one."""
    from llmgw.config.model import ProviderOptions, Settings
    from llmgw.providers.registry import provider
    from llmgw.service.assemble import survey

    known = provider(name)
    given = from_stdin or from_file
    has = name in survey(Settings(providers={name: ProviderOptions()}), paths, look=False).sources
    if not given and (has or not known.credentials):
        return ""
    return put_away(name, credential_of(name, from_stdin, from_file), paths, store)


def _first_key(paths: Paths) -> str | None:
    from llmgw.client import local
    from llmgw.service.local_keys import first_key

    with local.control(paths) as control:
        return first_key(control, paths)


def _next(paths: Paths, key: str | None) -> list[str]:
    from llmgw.config.load import effective_config

    server = effective_config(paths).server
    url = f"http://127.0.0.1:{server.port}"
    shown = [f"your key, shown only now: {key}"] if key else []
    body = '{"model": "gateway-auto", "messages": [{"role": "user", "content": "hello"}]}'
    return [
        *shown,
        "",
        "llmgw serve",
        f"curl {url}/v1/chat/completions \\",
        f"  -H 'authorization: Bearer {key or 'YOUR-KEY'}' -H 'content-type: application/json' \\",
        f"  -d '{body}'",
    ]
