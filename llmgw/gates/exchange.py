"""The two ways bytes cross the gateway: relayed untouched in one dialect, or translated between two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec.structs import replace

from llmgw.domain.chat import Ended, Failed

if TYPE_CHECKING:
    from llmgw.domain.chat import ChatRequest
    from llmgw.gates.state import Call, Destination
    from llmgw.providers.base import Reading, StreamParser, StreamRenderer, Tap


class Exchange(Protocol):
    """What dispatch needs of either way. ``ending`` turns True in the ``feed`` that completes the caller's stream."""

    dropped: tuple[str, ...]
    warning: str

    @property
    def ending(self) -> bool: ...

    def request(self, most_output: int | None = None) -> bytes:
        """The body for the target; ``most_output`` is a limit on each answer for a caller who names none."""

    def read(self, body: bytes) -> Reading:
        """What the ledger needs of a plain reply; UpstreamFailed when the reply cannot be understood."""

    def render(self, body: bytes, meta: dict[str, Any] | None) -> bytes:
        """The plain reply for the caller, after ``read``."""

    def begin(self) -> None:
        """A stream is about to arrive."""

    def feed(self, chunk: bytes) -> bytes:
        """Stream bytes for the caller."""

    def finish(self) -> bytes:
        """The last bytes for the caller when the upstream's stream is over."""

    def text(self) -> str:
        """The text of the stream so far, whatever was told of its usage."""

    def reading(self) -> Reading:
        """What the ledger needs of the stream when no more comes."""

    def part(self) -> None:
        """Let go of the call, which is over and holds this: the two would be left to the collector. The text stays."""


class Relay:
    """Caller and target speak the same dialect: bytes pass as they are, a tap listens for usage."""

    dropped: tuple[str, ...] = ()
    warning = ""

    def __init__(self, call: Call, destination: Destination) -> None:
        self._call = call
        self._destination = destination

    def request(self, most_output: int | None = None) -> bytes:
        call, upstream, model = self._call, self._destination.upstream, self._destination.target.model
        body = call.dialect.relay_body(call.body, call.peek, upstream, model)
        return body if most_output is None else call.dialect.limit_output(body, upstream, model, most_output)

    def read(self, body: bytes) -> Reading:
        return self._destination.dialect.read(body)

    def render(self, body: bytes, meta: dict[str, Any] | None) -> bytes:
        return body if meta is None else self._call.dialect.attach_meta(body, meta)

    def begin(self) -> None:
        self._tap: Tap = self._destination.dialect.tap(self._call.peek, self._destination.upstream)
        self.feed = self._tap.feed  # type: ignore[method-assign]  # one call less for every chunk

    @property
    def ending(self) -> bool:
        return self._tap.ending

    def feed(self, chunk: bytes) -> bytes:
        return self._tap.feed(chunk)

    def finish(self) -> bytes:
        return b""

    def text(self) -> str:
        return self._tap.text()

    def reading(self) -> Reading:
        return self._tap.close()

    def part(self) -> None:
        del self._call


class Translation:
    """Caller and target speak different dialects: everything is lifted into neutral words and set down again."""

    def __init__(self, call: Call, destination: Destination) -> None:
        self._call = call
        self._destination = destination
        self._request = call.dialect.parse_request(call.body)
        self._render_for(self._request)

    def _render_for(self, request: ChatRequest) -> None:
        destination = self._destination
        rendered = destination.dialect.render_request(request, destination.upstream, destination.target.model)
        self._rendered = rendered
        self.dropped = rendered.dropped
        self.warning = rendered.warning

    def request(self, most_output: int | None = None) -> bytes:
        if most_output is not None:
            self._render_for(replace(self._request, max_tokens=most_output))
        return self._rendered.body

    def read(self, body: bytes) -> Reading:
        self._answer = self._destination.dialect.parse_answer(body)
        return self._warned(self._destination.dialect.read(body))

    def render(self, body: bytes, meta: dict[str, Any] | None) -> bytes:  # noqa: ARG002 (a relay needs the bytes)
        return self._call.dialect.render_answer(self._answer, meta)

    def begin(self) -> None:
        self._parser: StreamParser = self._destination.dialect.stream_parser()
        self._renderer: StreamRenderer = self._call.dialect.stream_renderer(self._request)
        self.ending = False

    def feed(self, chunk: bytes) -> bytes:
        return self._render(self._parser.feed(chunk))

    def finish(self) -> bytes:
        return self._render(self._parser.close())

    def _render(self, events: list[Any]) -> bytes:
        out = []
        for event in events:
            if isinstance(event, (Ended, Failed)):
                self.ending = True
            out.append(self._renderer.feed(event))
        return b"".join(out)

    def text(self) -> str:
        return self._parser.text()

    def reading(self) -> Reading:
        return self._warned(self._parser.reading())

    def part(self) -> None:
        del self._call

    def _warned(self, reading: Reading) -> Reading:
        """Let the request's own check look at the tokens that came back: a cut prompt shows only there."""
        check = self._rendered.check
        if check is not None and reading.usage is not None:
            self.warning = self.warning or check(reading.usage)
        return reading


def exchange(call: Call, destination: Destination) -> Exchange:
    """Relay when both ends speak the same dialect, translation otherwise; TooLarge for what the tier has no room for."""
    if call.fit is not None:
        call.fit.to(call, destination.target.tier)
    relayed = call.dialect.name == destination.dialect.name
    return Relay(call, destination) if relayed else Translation(call, destination)
