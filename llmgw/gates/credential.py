"""Which credential and which of the caller's headers travel with a call to its target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.errors import NotAllowed
from llmgw.providers.anthropic import is_setup_token

if TYPE_CHECKING:
    from llmgw.gates.state import Call, Destination
    from llmgw.providers.base import Headers

PASSED_ON = (
    b"anthropic-beta",
    b"anthropic-version",
    b"idempotency-key",
    b"openai-beta",
    b"x-client-request-id",
)
"""Headers of a caller that a target of the same dialect must see; SDKs and coding agents depend on them."""

SETUP_BETA = "oauth-2025-04-20"


def outgoing(call: Call, destination: Destination) -> Headers:
    """The headers of one call to its target.

    A Claude setup token is only ever a bearer token, and only for Claude Code itself: its provider's policy
    limits such tokens to that program, so any other caller is refused (D-17).
    """
    headers = destination.headers
    token = _setup_token(call, destination) if destination.upstream.provider.name == "anthropic" else None
    if call.dialect.name != destination.dialect.name:
        return headers
    passed = [(name, call.headers[name]) for name in PASSED_ON if name in call.headers]
    if not passed and token is None:
        return headers
    ours = {name: value for name, value in headers if token is None or name != "x-api-key"}
    ours |= {name.decode(): value.decode("latin-1") for name, value in passed}
    if token is not None:
        ours["authorization"] = f"Bearer {token}"
        betas = [each for each in ours.get("anthropic-beta", "").split(",") if each]
        ours["anthropic-beta"] = ",".join(dict.fromkeys((*betas, SETUP_BETA)))
    return list(ours.items())


def _setup_token(call: Call, destination: Destination) -> str | None:
    """The caller's own Claude sign-in, or the operator's setup token; None where an API key is at work."""
    own = call.headers.get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ")
    token = next((each for each in (own, destination.upstream.credential) if is_setup_token(each)), None)
    if token is None:
        return None
    same = call.dialect.name == destination.dialect.name
    if not (same and call.headers.get(b"user-agent", b"").startswith(b"claude-cli/")):
        raise NotAllowed(
            "Anthropic allows a Claude setup token in Claude Code only, and this caller is another program",
            hint="give the gateway an API key: `llmgw provider add anthropic`",
        )
    return token


def target_url(call: Call, destination: Destination) -> str:
    """The target's address; a caller's query (`?beta=true`) goes along where the dialects agree."""
    if call.query and call.dialect.name == destination.dialect.name:
        return f"{destination.url}?{call.query.decode('latin-1')}"
    return destination.url
