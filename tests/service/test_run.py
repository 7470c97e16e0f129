"""A gateway whose files are meddled with while it runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}


def wait_until(fact: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not fact():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_run_file_that_was_deleted_is_written_again(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """Commands find a running gateway by its run file, so that file does not stay away."""
    with RunningGateway(tmp_path, [upstream("openai", fake_openai.url + "/v1")]) as gateway:
        run_file = Path(gateway.launch.run_file)
        written = run_file.read_bytes()
        run_file.unlink()
        wait_until(run_file.exists)
        assert run_file.read_bytes() == written
    assert not run_file.exists()


@pytest.mark.parametrize("harm", ["truncated", "deleted"])
def test_keys_count_whatever_happens_to_the_stamp(harm: str, tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """With the stamp cut short or gone the gateway lives on, and a revoked key is refused within a second or two."""
    with RunningGateway(tmp_path, [upstream("openai", fake_openai.url + "/v1")]) as gateway:
        with gateway.control as control:
            _, token = control.create("one")

        def status() -> int:
            headers = {"authorization": f"Bearer {token}"}
            return httpx.post(gateway.url + "/v1/chat/completions", headers=headers, json=CALL).status_code

        assert status() == 200
        stamp = gateway.database.with_name("llmgw.db.stamp")
        if harm == "truncated":
            os.truncate(stamp, 0)
        else:
            stamp.unlink()
        assert status() == 200
        with gateway.control as control:
            control.revoke("one")
        wait_until(lambda: status() == 401)
