"""A git hook after which no cached answer survives a commit that changes the file it was about."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

from llmgw.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MARK = "# llmgw: forget cached answers about the files of this commit"


def script(words: Sequence[str] = ()) -> str:
    """The hook; ``words`` are options that name another gateway's home than the usual one."""
    program = shlex.join(
        [sys.executable, "-m", "llmgw", "cache", "clear", "--files-from", "-", "-y", "-q", *words]
    )
    changed = (
        "git show --first-parent -m --format= --name-only -z HEAD"  # also of the first commit, and of merges
    )
    return f"#!/bin/sh\n{MARK}\n{changed} | {program} >/dev/null || :\n"


def install(repository: Path, words: Sequence[str] = ()) -> tuple[Path, bool]:
    """Write the hook, and tell where it lies and whether anything changed.

    NotFound where there is no repository, Conflict where another post-commit hook stands in its place.
    """
    hook = _hooks(repository) / "post-commit"
    before = hook.read_text(encoding="utf-8") if hook.exists() else ""
    if before and MARK not in before:
        raise Conflict(
            f"there is a post-commit hook already: `{hook}`",
            hint="add the last line of `llmgw cache hook show` to it",
        )
    wanted = script(words)
    if before != wanted:
        hook.parent.mkdir(parents=True, exist_ok=True)
        hook.write_text(wanted, encoding="utf-8")
        hook.chmod(0o755)
    return hook, before != wanted


def _hooks(repository: Path) -> Path:
    """Where a repository keeps its hooks, which may be outside of it."""
    try:
        asked = subprocess.run(  # noqa: S603 (fixed words)
            ["git", "-C", str(repository), "rev-parse", "--git-path", "hooks"],  # noqa: S607 (whichever git is used there)
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        raise NotFound("there is no `git` here", hint="install git") from None
    except subprocess.CalledProcessError as error:
        raise NotFound(
            f"`{repository}` is no git repository", hint="go into one, or name it with --repository"
        ) from error
    return repository / asked.stdout.strip()
