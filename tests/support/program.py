"""The real `llmgw` in a process of its own, with a home of its own and nothing of this machine's environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


class Result(NamedTuple):
    """How a run ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Program:
    """`llmgw` with `home` as its LLMGW_HOME; keyword arguments of `run` are more environment."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.environ |= {
            "LLMGW_HOME": str(home),
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "LLMGW_SERVER_DISCOVER": "false",
            "TZ": "UTC",
        }

    def run(self, *words: str, stdin: str = "", timeout: float = 30, **environ: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "llmgw", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.home.parent,
            env=self.environ | environ,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """A run that goes on; the caller ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "llmgw", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home.parent,
            env=self.environ | environ,
        )


def elsewhere(home: Path, served: Program) -> Program:
    """One that drives a served gateway from another home, with the admin key that its test made."""
    away = Program(home)
    away.environ |= {"LLMGW_URL": served.url, "LLMGW_ADMIN_KEY": served.admin}
    return away
