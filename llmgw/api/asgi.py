"""The raw front: hot paths are one dictionary lookup away, everything else goes through Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from llmgw.gates.state import Receive, Send

Scope = MutableMapping[str, Any]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class Front:
    """An ASGI application: ``hot`` maps method and path to a handler, ``rest`` takes what is not in it."""

    def __init__(self, hot: dict[tuple[str, str], Handler], rest: Handler) -> None:
        self._hot = hot
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            handler = self._hot.get((scope["method"], scope["path"]))
            if handler is not None:
                return await handler(scope, receive, send)
        return await self._rest(scope, receive, send)
