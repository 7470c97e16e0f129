"""``POST /v1/messages`` and ``/v1/messages/count_tokens``: Anthropic's surface."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from llmgw.errors import GatewayError, Internal
from llmgw.gates.authenticate import authenticate
from llmgw.gates.counting import count_tokens
from llmgw.gates.killswitch import admit
from llmgw.gates.pipeline import run
from llmgw.gates.read import ClientGone, read_body
from llmgw.gates.reply import own_headers, send_error, send_whole
from llmgw.gates.state import Call, Gateway
from llmgw.providers.registry import caller_dialect

if TYPE_CHECKING:
    from llmgw.api.asgi import Handler, Scope
    from llmgw.gates.state import Receive, Send

log = logging.getLogger("llmgw.count_tokens")


def hot_paths(gateway: Gateway) -> dict[tuple[str, str], Handler]:
    """The handlers of this surface by method and path."""
    dialect = caller_dialect("anthropic")

    async def messages(scope: Scope, receive: Receive, send: Send) -> None:
        await run(gateway, Call(gateway, "messages", dialect, scope, receive, send))

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(gateway, "count_tokens", dialect, scope, receive, send)
        try:
            authenticate(gateway, call)
            admit(gateway, call)
            call.body = await read_body(receive, call.headers, gateway.max_body)
            status, headers, body = await count_tokens(gateway, call)
        except ClientGone:
            return
        except GatewayError as error:
            await send_error(send, dialect, error, call.shown_id, own_headers(call))
        except Exception:
            log.exception("%s: internal error", call.shown_id)
            fault = Internal("something went wrong inside the gateway", hint="see `llmgw logs`")
            await send_error(send, dialect, fault, call.shown_id, own_headers(call))
        else:
            await send_whole(send, status, headers + own_headers(call), body, b"application/json")
        finally:
            gateway.killswitch.running.pop(call, None)

    return {
        ("POST", "/v1/messages"): messages,
        ("POST", "/messages"): messages,  # the AI SDK adds no /v1 to ANTHROPIC_BASE_URL
        ("POST", "/v1/messages/count_tokens"): count,
    }
