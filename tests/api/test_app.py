"""What callers knock at before their first call."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from support.gateway import RunningGateway, upstream


@pytest.mark.parametrize("path", ["/", "/api/hello"])
def test_a_knock_is_answered(tmp_path: Path, path: str) -> None:
    """Claude Code's first request, a HEAD without a key, finds somebody at home."""
    with RunningGateway(tmp_path, [upstream("echo", "echo:")]) as gateway:
        assert httpx.head(gateway.url + path).status_code == 200
