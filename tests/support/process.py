"""A real gateway in a process of its own, to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any, Self

import msgspec

from llmgw.service.launch import Launch


class GatewayProcess:
    """Started by entering; ended politely by leaving, or by ``kill`` as a power cut would."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Start, for the first time or once more after ``kill``."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "llmgw.service.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(msgspec.json.encode(self.launch))
        self._child.stdin.close()
        said: dict[str, Any] = msgspec.json.decode(self._child.stdout.readline())
        self._child.stdout.close()
        assert said["ready"], said
        self.url: str = said["running"]["url"]
        self.pid: int = said["running"]["pid"]

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._child.wait()

    def __exit__(self, *exc: object) -> None:
        if self._child.poll() is None:
            self._child.terminate()
            self._child.wait(20)
