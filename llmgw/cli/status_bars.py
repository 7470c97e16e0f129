"""The settings by which tmux, Claude Code and starship show the status line, as changes to those programs' own files."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llmgw.cli import json5

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BEGIN, END = "# llmgw statusline begins", "# llmgw statusline ends"
BLOCK = re.compile(rf"\n?{BEGIN}.*?{END}\n", re.DOTALL)
SECONDS = 5


class Bar(StrEnum):
    TMUX = "tmux"
    CLAUDE = "claude"
    STARSHIP = "starship"


class Change(NamedTuple):
    """A file of the program, what becomes of its text, and how the program is told to read it again."""

    path: Path
    rewrite: Callable[[str], str]
    note: str


def change(bar: Bar, command: str, home: Path, environ: Mapping[str, str]) -> Change:
    """What shows the line of ``command`` in that program."""
    match bar:
        case Bar.TMUX:
            path = _tmux_file(home, environ)
            return Change(path, lambda text: _tmux(text, command), f"`tmux source-file {path}` shows it now")
        case Bar.CLAUDE:
            folder = Path(environ.get("CLAUDE_CONFIG_DIR") or home / ".claude").expanduser()
            note = "Claude Code shows it from its next message on"
            return Change(folder / "settings.json", lambda text: _claude(text, command), note)
        case Bar.STARSHIP:
            given = environ.get("STARSHIP_CONFIG")
            path = Path(given).expanduser() if given else _config(home, environ) / "starship.toml"
            note = "the next prompt shows it; a `format` of your own needs `${custom.llmgw}`"
            return Change(path, lambda text: _starship(text, command), note)


def own_command(home: str) -> str:
    """How another program runs the line: by this program's own path, as its PATH may be another one."""
    this = sys.argv[0] if Path(sys.argv[0]).name in {"llmgw", "llmgw.exe"} else ""
    path = shutil.which(this) if this else None
    words = [str(Path(path).absolute())] if path else [sys.executable, "-m", "llmgw"]
    return shlex.join([*words, "statusline", *(["--home", home] if home else [])])


def _config(home: Path, environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config").expanduser()


def _tmux_file(home: Path, environ: Mapping[str, str]) -> Path:
    """The file that tmux reads: the first of these that exists."""
    first, second = home / ".tmux.conf", _config(home, environ) / "tmux" / "tmux.conf"
    return second if second.exists() and not first.exists() else first


def _tmux(text: str, command: str) -> str:
    quoted = command.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    lines = [
        BEGIN,
        "set -g status-right-length 120",
        f"set -g status-interval {SECONDS}",
        f'set -ag status-right " #({quoted})"',
        END,
    ]
    kept = BLOCK.sub("", text)
    return (kept.rstrip("\n") + "\n\n" if kept.strip() else "") + "\n".join(lines) + "\n"


def _claude(text: str, command: str) -> str:
    settings = json5.loads(text) if text.strip() else {}
    settings["statusLine"] = {"type": "command", "command": command, "padding": 0}
    return json.dumps(settings, ensure_ascii=False, indent=2) + "\n"


def _starship(text: str, command: str) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    module = {"command": command, "when": True, "format": "[$output]($style) ", "style": "dimmed"}
    document.setdefault("custom", tomlkit.table(is_super_table=True))["llmgw"] = tomlkit.item(module)
    return tomlkit.dumps(document)
