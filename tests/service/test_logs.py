"""What the log holds, and what it never holds: as text and as JSON, whoever wrote the line. # D-33"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

import httpx
import pytest
from support.fake_openai import FakeOpenAI
from support.program import Program

from llmgw.service.logs import configure

SECRETS = {
    "openai": "sk-proj-Abc123Def456Ghi789",
    "plain openai": "sk-0123456789abcdef",
    "anthropic": "sk-ant-api03-XYZ_987-654",
    "groq": "gsk_qwertyuiop12345",
    "ours": "lgw_FunGoTIAG7JCTfN0n7u5",
    "bearer": "Bearer eyJhbGciOi.some-opaque_token",
}


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    """The test's own handlers are those of the process: put back what was there."""
    root = logging.getLogger()
    handlers, level, of_uvicorn = root.handlers[:], root.level, logging.getLogger("uvicorn").level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn").setLevel(of_uvicorn)


def last(secret: str) -> str:
    return secret.rsplit(maxsplit=1)[-1][-8:]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_planted_secret_is_nowhere(tmp_path: Path, form: str, secret: str) -> None:
    """In a message, an argument, a dict, a traceback or a header: what tells a key is cut, the rest stays."""
    path = tmp_path / "log"
    configure(str(path), "debug", form)
    log = logging.getLogger("some.library")
    log.info("before %s after", secret)
    log.warning("headers: %s", {"authorization": f"Bearer {secret.removeprefix('Bearer ')}"})
    try:
        raise ValueError(f"refused with {secret}")
    except ValueError:
        log.exception("it failed for key=%s", secret)
    text = path.read_text()
    assert last(secret) not in text
    assert "***" in text
    assert "before" in text
    assert "after" in text
    assert "ValueError" in text


def test_a_json_line_is_an_object_each(tmp_path: Path) -> None:
    """Each event is one line of JSON with time, level, logger and message, also one with a traceback."""
    path = tmp_path / "log"
    configure(str(path), "info", "json")
    logging.getLogger("llmgw.x").info("two\nlines")
    try:
        raise KeyError("gone")
    except KeyError:
        logging.getLogger("llmgw.y").exception("failed")
    logging.getLogger("llmgw.z").debug("not told")
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["level"], first["logger"], first["message"]) == ("info", "llmgw.x", "two\nlines")
    assert first["time"].endswith("Z")
    assert "KeyError" in second["exception"]


def test_the_variables_of_v2_count_and_no_key_is_logged(llmgw: Program, tmp_path: Path) -> None:
    """LOG_LEVEL, LOG_FORMAT and LOG_FILE do what they did; keys of callers and of providers never reach the log."""
    path, provider = tmp_path / "own.log", "sk-proj-planted0123456789"
    with FakeOpenAI() as fake:
        llmgw.home.mkdir()
        (llmgw.home / "llmgw.toml").write_text(
            f'[providers.openai]\nbase_url = "{fake.url}/v1"\ncredential = "${{OPENAI_API_KEY}}"\n'
        )
        environ = {
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "json",
            "LOG_FILE": str(path),
            "OPENAI_API_KEY": provider,
        }
        url = llmgw.run("serve", "--port", "0", "--json", **environ).json["url"]
        token = llmgw.run("key", "create", "ci", "-q", **environ).out.strip()
        call = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
        for key in (token, "sk-ant-not-a-key-of-ours", "gsk_neither0123"):
            fake.behave(status=500)
            httpx.post(
                url + "/v1/chat/completions",
                json=call,
                headers={"authorization": f"Bearer {key}"},
                timeout=20,
            )
        assert llmgw.run("stop").code == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {"debug", "info"} <= {line["level"] for line in lines}
    text = path.read_text()
    for secret in (token, provider, "sk-ant-not-a-key-of-ours", "gsk_neither0123"):
        assert secret[6:] not in text


def test_a_log_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Also in a folder that others may look into, and after it was rotated."""
    file = tmp_path / "gateway.log"
    before = os.umask(0o022)
    try:
        configure(str(file), "info", "text")
        logging.getLogger("llmgw").info("one")
        (handler,) = logging.getLogger().handlers
        assert isinstance(handler, RotatingFileHandler)
        handler.doRollover()
        logging.getLogger("llmgw").info("two")
    finally:
        os.umask(before)
    assert {each.stat().st_mode & 0o777 for each in tmp_path.glob("gateway.log*")} == {0o600}
    assert "two" in file.read_text()
