"""Start the gateway in the background and wait until it is ready."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import notices, options, output

if TYPE_CHECKING:
    from llmgw.config.paths import Paths
    from llmgw.providers.base import Upstream
    from llmgw.service.prepare import Prepared

PLACE = "GATEWAY", 1

Host = Annotated[
    str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]", metavar="ADDRESS")
]
Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.  [default: 8000]")
]


def command(
    foreground: Annotated[
        bool,
        typer.Option("-F", "--foreground", help="Stay in the terminal, log to it: for systemd and Docker."),
    ] = False,
    host: Host = None,
    port: Port = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Only the built-in echo: no account, no cost.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Return once it answers, or at once.")
    ] = True,
) -> None:
    """Start the gateway in the background and wait until it is ready.

    It offers every provider whose credential is found, and every model server on this machine; `llmgw init` and
    `llmgw provider add` set up more. The first start issues a key and shows it once.

    Examples:
      llmgw serve
      llmgw serve --demo --port 8001
      llmgw serve -F --host 0.0.0.0 --port 8080
    """
    flags = {"server.host": host, "server.port": port, "demo": demo or None}
    begin(options.paths(), flags, foreground=foreground, wait=wait)


def begin(paths: Paths, flags: dict[str, Any], *, foreground: bool = False, wait: bool = True) -> None:
    """Start a gateway and tell what it found."""
    from llmgw.client import local
    from llmgw.service import background
    from llmgw.service.prepare import prepare, refuse_open_door

    begun = time.monotonic()
    background.refuse_second(paths)
    background.make_folders(paths)
    prepared = prepare(paths, flags)
    with local.control(paths) as control:
        refuse_open_door(prepared.launch, control)
    if foreground:
        _stay(paths, prepared)
        return
    running = background.start(paths, prepared.launch, wait=wait)
    if running is None:
        output.record(
            {"state": "starting", "log_file": prepared.launch.log_file},
            ident="state",
            text="llmgw is starting; `llmgw status --wait 30s` waits until it is ready",
        )
        return
    tell(paths, prepared, running, time.monotonic() - begun)


def _stay(paths: Paths, prepared: Prepared) -> None:
    from msgspec.structs import replace

    from llmgw.errors import GatewayError
    from llmgw.service import background
    from llmgw.service.logs import configure
    from llmgw.service.run import run

    launch = replace(prepared.launch, log_file="")
    configure("", launch.log_level, launch.log_format)
    begun = time.monotonic()
    try:
        run(launch, lambda running, _: tell(paths, prepared, running, time.monotonic() - begun, here=True))
    except GatewayError as error:
        raise background.explain(error, launch.port) from error


def tell(paths: Paths, prepared: Prepared, running: Any, seconds: float, *, here: bool = False) -> None:
    """Say where it is, what it found, the first key, and how to go on."""
    from llmgw.client import local
    from llmgw.service.local_keys import first_key

    for note in prepared.notes:
        notices.note(note)
    for problem in prepared.problems:
        notices.warn(problem)
    with local.control(paths) as control:
        key = first_key(control, paths)
    fields = {
        "url": running.url,
        "pid": running.pid,
        "version": running.version,
        "seconds": round(seconds, 3),
        "providers": [_provider(each, prepared.sources) for each in prepared.launch.upstreams],
        "key": key,
        "log_file": running.log_file or None,
    }
    output.record(fields, ident="url", text=_text(fields, prepared.example, here))


def _provider(upstream: Upstream, sources: dict[str, str]) -> dict[str, Any]:
    return {
        "name": upstream.name,
        "tier": upstream.tier.value,
        "base_url": upstream.base_url or None,
        "source": sources.get(upstream.name),
        "models": list(upstream.models),
    }


def _text(fields: dict[str, Any], model: str, here: bool) -> str:
    lines = [f"llmgw is up at {fields['url']}  (pid {fields['pid']}, {fields['seconds']:.1f} s)", ""]
    width = max(len(provider["name"]) for provider in fields["providers"])
    lines += [f"  {provider['name'].ljust(width)}  {_found(provider)}" for provider in fields["providers"]]
    if fields["key"]:
        lines += ["", f"  your key, shown only now: {fields['key']}"]
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "hello"}}]}}'
    lines += [
        "",
        f"  curl {fields['url']}/v1/chat/completions \\",
        f"    -H 'authorization: Bearer {fields['key'] or 'YOUR-KEY'}' -H 'content-type: application/json' \\",
        f"    -d '{body}'",
        "",
        "  dashboard: llmgw dash      "
        + ("stop: Ctrl-C" if here else "logs: llmgw logs -f      stop: llmgw stop"),
    ]
    return "\n".join(lines)


def _found(provider: dict[str, Any]) -> str:
    if provider["name"] == "echo":
        return "built in: repeats what you say, for free; no other provider is in use"
    count = len(provider["models"])
    where = provider["source"] or provider["base_url"]
    return f"{where}, {count} model{'' if count == 1 else 's'}" if count else where
