"""The demo's process, as others start it: a folder of its own, none of this environment's keys, gone when it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from llmgw.errors import Internal

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "COLORTERM", "TZ", "TMPDIR", "SYSTEMROOT", "SSH_CONNECTION",
        "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "TEXTUAL_THEME", "TEXTUAL_FPS")  # fmt: skip
"""What of this environment the demo sees: no key, and no gateway elsewhere."""


@contextmanager
def private_gateway() -> Iterator[tuple[Path, str]]:
    """The home and the address of a simulated gateway, which ends with the block and leaves nothing."""
    home = Path(tempfile.mkdtemp(prefix="llmgw-demo-"))
    process = subprocess.Popen(  # noqa: S603 (this very program)
        [sys.executable, "-P", "-m", "llmgw.service.demo", str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for what is shown, and ends that first
        env=environment(home),
    )
    try:
        assert process.stdout is not None  # noqa: S101 (a pipe was asked for)
        assert process.stderr is not None  # noqa: S101
        url = process.stdout.readline().decode().strip()
        if not url:
            said = process.stderr.read().decode(errors="replace").strip().splitlines()
            raise Internal(f"the simulated gateway did not start: {said[-1] if said else 'it said nothing'}")
        yield home, url
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(home, ignore_errors=True)


def environment(home: Path) -> dict[str, str]:
    """What of this environment whatever belongs to the demo sees."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    ours = str(Path(__file__).parents[3])
    return kept | {"HOME": str(home), "PYTHONPATH": ours, "LLMGW_SERVER_DISCOVER": "false"}
