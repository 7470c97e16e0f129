"""Counting the tokens of a call without making it: asked of Anthropic itself, estimated for every other target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llmgw.gates.credential import outgoing, target_url
from llmgw.gates.dispatch import refusal
from llmgw.gates.killswitch import permit
from llmgw.gates.read import check_model
from llmgw.gates.reply import RawHeaders, passed_headers
from llmgw.gates.route import route
from llmgw.providers.dialects.anthropic import peek_count
from llmgw.rules.estimating import estimate_request

if TYPE_CHECKING:
    from llmgw.gates.state import Call, Gateway

ESTIMATED = (b"x-llmgw-estimated", b"true")


async def count_tokens(gateway: Gateway, call: Call) -> tuple[int, RawHeaders, bytes]:
    """Status, headers and body of a ``count_tokens`` reply; it is free, so the ledger has no row of it."""
    call.peek = peek_count(call.body)
    check_model(call.peek.model)
    await route(gateway, call)
    await permit(gateway, call)
    destination = gateway.router.destination(call.route.targets[0])
    if destination.upstream.provider.dialect == "anthropic":
        body = call.dialect.relay_body(call.body, call.peek, destination.upstream, destination.target.model)
        url = destination.url + "/count_tokens" + target_url(call, destination)[len(destination.url) :]
        answer = await gateway.send(destination, url, outgoing(call, destination), body, stream=False)
        try:
            if answer.status != 200:
                raise await refusal(call, destination, answer)
            return answer.status, passed_headers(answer.headers), await answer.read()
        finally:
            await answer.close()
    tokens = estimate_request(call.dialect.parse_request(call.body))
    return 200, [ESTIMATED], msgspec.json.encode({"input_tokens": tokens})
