"""Where the gateway is and which key a program on this machine sends, for the commands that introduce one to the other."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from llmgw.cli import completing, notices, options
from llmgw.cli.programs import variables
from llmgw.domain.spans import parse_span
from llmgw.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from llmgw.config.model import Settings
    from llmgw.config.paths import Paths

KEY_HELP = (
    "Key to send. The gateway keeps only hashes, so keys for this machine's programs lie in files of yours; a name"
    " that is new issues one. Without it LLMGW_KEY, else the first key."
)

KeyName = Annotated[
    str | None,
    typer.Option("--key", help=KEY_HELP, metavar="NAME", autocompletion=completing.keys, show_default=False),
]


class Found(NamedTuple):
    """A gateway's address without a path, and a key it knows."""

    url: str
    key: str


PLACEHOLDER = "YOUR_KEY"


def find(key_name: str | None, *, default_key: str | None = None, issue: bool = True) -> Found:
    """The gateway and the key to use; a key that has to be issued is, and that is said.

    ``default_key`` is the key's name where none is given. Without ``issue`` a placeholder stands for a key that is
    not there. BadRequest where a gateway elsewhere is named without its
    key: what is issued here opens nothing there.
    """
    from llmgw.config.load import effective_config
    from llmgw.service.local_keys import DEFAULT

    url, own = options.url(), os.environ.get("LLMGW_KEY", "")
    if own and not key_name:
        paths = options.paths()
        return Found(url.rstrip("/") if url else _address(paths, effective_config(paths)), own)
    if url:
        raise BadRequest(f"no key for {url}", hint="put one that it knows into LLMGW_KEY")
    paths = options.paths()
    settings = effective_config(paths)
    return Found(
        _address(paths, settings), _key(paths, settings, key_name or default_key or DEFAULT, issue=issue)
    )


def _address(paths: Paths, settings: Settings) -> str:
    from llmgw.service import background

    if running := background.find(paths):
        return running.url
    notices.note("the gateway is not running; start it with `llmgw serve`")
    host = settings.server.host
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{host}:{settings.server.port}"


def _key(paths: Paths, settings: Settings, name: str, *, issue: bool) -> str:
    from llmgw.client import local
    from llmgw.service.local_keys import kept, local_key

    if not issue:
        return kept(paths, name) or PLACEHOLDER
    defaults, now = settings.keys.defaults, time.time_ns()
    ends = now + parse_span(defaults.expires) if defaults.expires else None
    with local.control(paths) as control:
        token, issued = local_key(control, paths, name, now, models=defaults.models, expires_at=ends)
    if issued:
        notices.note(f"issued key `{name}`, kept in {paths.keys}")
    return token


CREDENTIALS = {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"}
"""Of these a program may get one: with both Claude Code complains, and who else reads them takes the first."""


def executable(program: str) -> str:
    """Where a program lies; NotFound when it is not on the PATH."""
    path = shutil.which(program)
    if path is None:
        raise NotFound(f"there is no program `{program}`", hint="is it installed, and on the PATH?")
    return path


def environment(path: str, url: str, key: str) -> dict[str, str]:
    """This environment with what points the program at ``path`` to the gateway."""
    ours = variables(url, key)
    if Path(path).stem != "claude":
        # Claude Code asks before it uses an API key; aider, llm and OpenCode know nothing but an API key.
        ours["ANTHROPIC_API_KEY"] = ours.pop("ANTHROPIC_AUTH_TOKEN")
    return {name: value for name, value in os.environ.items() if name not in CREDENTIALS} | ours
