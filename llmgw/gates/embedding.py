"""Who turns prompts into vectors for the semantic cache: MiniLM in its thread, or an endpoint, paid for like any call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from llmgw.domain.ledger import AttemptState
from llmgw.domain.route import Target
from llmgw.errors import UpstreamFailed
from llmgw.gates.aside import aside
from llmgw.gates.killswitch import costs, permit_target
from llmgw.gates.reserve import reserve
from llmgw.gates.settle import settle, unseen
from llmgw.providers.base import Peek
from llmgw.providers.embedding import endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from llmgw.domain.usage import Usage
    from llmgw.gates.state import Attempt, Call, Destination, Gateway
    from llmgw.providers.embedding.minilm import MiniLM

    Vectors = NDArray[np.float32]

SURFACE = "embeddings"


class Embedder(Protocol):
    """``name`` tells its vectors from those of another; ``patience`` is seconds that a call waits for it."""

    name: str

    @property
    def patience(self) -> float: ...

    @property
    def read(self) -> Callable[[Sequence[str]], Vectors] | None:
        """The same as ``embed`` for a thread that may wait; None where it costs a call."""

    async def embed(self, gateway: Gateway, call: Call, texts: Sequence[str]) -> Vectors:
        """One vector of length one a text; GatewayError where it cannot."""


class Local:
    """MiniLM, in the thread that ``think`` runs things in."""

    patience = 0.5

    def __init__(self, model: MiniLM, think: Callable[..., Awaitable[Vectors]]) -> None:
        self.name = model.name
        self.read = model.embed
        self._think = think

    async def embed(self, gateway: Gateway, call: Call, texts: Sequence[str]) -> Vectors:  # noqa: ARG002 (the seam's)
        return await self._think(self.read, texts)


class Endpoint:
    """A model that a configured provider offers; what it costs goes through the caller's budgets into the ledger."""

    patience = 2.0
    read = None

    def __init__(self, target: str) -> None:
        """``target`` is ``provider/model``."""
        self.name = target
        self._provider, _, self._model = target.partition("/")

    async def embed(self, gateway: Gateway, call: Call, texts: Sequence[str]) -> Vectors:
        upstream = gateway.router.upstreams.get(self._provider)
        if upstream is None:
            raise UpstreamFailed(f"provider `{self._provider}` is not in use")
        destination = gateway.router.destination(Target(upstream.name, self._model, upstream.tier))
        permit_target(gateway, call, destination.target)
        if not costs(gateway, call, destination.target):
            return (await self._ask(gateway, destination, texts))[0]
        peek = Peek(model=self.name, prompt_bytes=sum(len(text.encode()) for text in texts), max_tokens=1)
        own = aside(gateway, call, SURFACE, peek)
        attempt, hold = await reserve(gateway, own, destination)
        try:
            await gateway.ledger.hold(hold)
            return await self._pay(gateway, own, attempt, texts)
        finally:
            if not attempt.settled:  # given up before an answer came
                usage = unseen(own, attempt, gateway.clock.tick())
                settle(gateway, own, attempt, usage, status=UpstreamFailed.status, error=UpstreamFailed.code)
            gateway.purse.reservations.written(own.id)

    async def _pay(self, gateway: Gateway, own: Call, attempt: Attempt, texts: Sequence[str]) -> Vectors:
        vectors, usage = await self._ask(gateway, attempt.destination, texts)
        if usage.estimated:
            usage = unseen(own, attempt, attempt.started)
        await settle(gateway, own, attempt, usage, state=AttemptState.SETTLED)
        return vectors

    async def _ask(
        self, gateway: Gateway, destination: Destination, texts: Sequence[str]
    ) -> tuple[Vectors, Usage]:
        upstream = destination.upstream
        body = endpoint.request(self._model, texts)
        answer = await gateway.send(
            destination, endpoint.url(upstream), destination.headers, body, stream=False
        )
        try:
            content = await answer.read()
            if answer.status != 200:
                raise UpstreamFailed(f"{upstream.name}: no embedding, status {answer.status}")
        finally:
            await answer.close()
        return endpoint.answer(upstream, content, len(texts))
