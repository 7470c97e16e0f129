"""A Claude setup token travels only as Claude Code's bearer token; every other caller is told why not. # D-17"""

from __future__ import annotations

from pathlib import Path

import httpx
from support.fake_anthropic import FakeAnthropic
from support.gateway import RunningGateway, upstream

TOKEN = "sk-ant-oat01-a-setup-token"
CALL = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
CLAUDE_CODE = {"user-agent": "claude-cli/2.1.329 (external, cli)", "anthropic-beta": "claude-code-20250219"}


def test_operators_setup_token_serves_claude_code_alone(
    tmp_path: Path, fake_anthropic: FakeAnthropic
) -> None:
    """With a setup token configured Claude Code is served by bearer; other programs and dialects are refused."""
    with RunningGateway(
        tmp_path, [upstream("anthropic", fake_anthropic.url + "/v1", credential=TOKEN)]
    ) as gateway:
        served = httpx.post(gateway.url + "/v1/messages", headers=gateway.auth | CLAUDE_CODE, json=CALL)
        other = httpx.post(gateway.url + "/v1/messages", headers=gateway.auth, json=CALL)
        translated = httpx.post(
            gateway.url + "/v1/chat/completions", headers=gateway.auth | CLAUDE_CODE, json=CALL
        )

    assert served.status_code == 200
    assert (other.status_code, translated.status_code) == (403, 403)
    assert "Claude Code" in other.json()["error"]["message"]
    [seen] = fake_anthropic.requests
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert "x-api-key" not in seen.headers
    assert seen.headers["anthropic-beta"] == "claude-code-20250219,oauth-2025-04-20"
    assert TOKEN not in other.text + translated.text


def test_callers_own_sign_in_passes_through(tmp_path: Path, fake_anthropic: FakeAnthropic) -> None:
    """Claude Code may bring its own token: the gateway's key then travels in `x-llmgw-key`."""
    with RunningGateway(tmp_path, [upstream("anthropic", fake_anthropic.url + "/v1")]) as gateway:
        headers = CLAUDE_CODE | {"authorization": f"Bearer {TOKEN}", "x-llmgw-key": gateway.token}
        assert httpx.post(gateway.url + "/v1/messages", headers=headers, json=CALL).status_code == 200

    [seen] = fake_anthropic.requests
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert "x-api-key" not in seen.headers
    assert "x-llmgw-key" not in seen.headers
