"""A gateway as a person starts it, by the real `llmgw serve`, with a home of its own for the programs in front of it.

with Served(tmp_path, {"openai": fake}, {"claude-*": "openai/gpt-5.4-mini"}) as gateway:
    gateway.run("claude", "-p", "hello", path=[...], ANTHROPIC_BASE_URL=gateway.url, ANTHROPIC_API_KEY=gateway.key)
    rows = gateway.rows()
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from support.program import Program, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from support.fake_server import FakeServer

PATIENCE = 180
Serve = Callable[..., "Served"]
"""A fixture that starts one."""


class Served:
    """``fakes`` stand behind it by their provider's name, none for the built-in echo; ``aliases`` name one target each."""

    def __init__(
        self, folder: Path, fakes: Mapping[str, FakeServer], aliases: Mapping[str, str] | None = None
    ) -> None:
        self.home, self.project = folder / "home", folder / "project"
        self.fakes = fakes
        for place in (self.home, self.project, folder / "gateway"):
            place.mkdir()
        (self.project / "hello.py").write_text('print("a file of the project")\n')
        lines = [
            line
            for name, fake in fakes.items()
            for line in (f"[providers.{name}]", f'base_url = "{fake.url}/v1"')
        ]
        for name, target in (aliases or {}).items():
            lines += [f'[models."{name}"]', f'targets = ["{target}"]']
        (folder / "gateway" / "llmgw.toml").write_text("\n".join(lines) + "\n")
        self._program = Program(folder / "gateway")
        self._program.environ["HOME"] = str(self.home)

    def __enter__(self) -> Self:
        credentials = {f"{name.upper()}_API_KEY": "sk-upstream" for name in self.fakes}
        started = self.llmgw("serve", "--port", "0", "--json", **credentials)
        assert started.code == 0, started.err
        self.url, self.key = started.json["url"], started.json["key"]
        return self

    def __exit__(self, *exc: object) -> None:
        self.llmgw("stop")

    def llmgw(self, *words: str, **environ: str) -> Result:
        return self._program.run(*words, **environ)

    def rows(self) -> list[dict[str, Any]]:
        """The requests of the ledger as `llmgw request list` shows them, the first first."""
        listed = self.llmgw("request", "list", "--limit", "1000", "--json").json
        return list(reversed(listed["requests"]))

    def run(self, *words: str, path: Iterable[Path] = (), **environ: str) -> Result:
        """Run a program headless in the project, with the home's settings and nothing of this machine's environment."""
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        kept |= {"HOME": str(self.home), "TERM": "dumb", "NO_COLOR": "1"}
        kept["PATH"] = os.pathsep.join((*map(str, path), os.environ["PATH"]))
        kept |= {name: self._program.environ[name] for name in ("LLMGW_HOME", "PYTHONPATH")}
        found = shutil.which(words[0], path=kept["PATH"])
        assert found, f"no program {words[0]}"
        done = subprocess.run(
            (found, *words[1:]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            cwd=self.project,
            env=kept | environ,
        )
        return Result(done.returncode, done.stdout, done.stderr)
