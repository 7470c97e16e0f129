"""The nouns and seams of this room: a provider is data, a dialect is a wire format, an upstream is one configured place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Raw, Struct

from llmgw.domain.route import Tier
from llmgw.domain.usage import Usage

if TYPE_CHECKING:
    from llmgw.domain.chat import ChatAnswer, ChatRequest, Event
    from llmgw.errors import GatewayError

Headers = list[tuple[str, str]]


class Provider(Struct, frozen=True, kw_only=True):
    """What is known of a provider before anyone configures it.

    ``credentials`` are environment variables in order of preference; empty means that none is needed. ``auth`` says
    how the credential travels: ``bearer``, ``x-api-key`` or ``none``. ``stream_usage`` says how a stream reports
    tokens: ``ask`` (only with ``stream_options.include_usage``), ``always`` or ``never``. ``unsupported`` are
    request fields this upstream answers with an error, so they are dropped by name. ``price_id`` is the provider's
    name in the price table, empty where use is free. ``max_tokens_field`` is the name under which it takes the
    output limit, ``output_limits`` the largest it takes by model (the first pattern that fits; callers of another
    dialect know other models' limits), ``refuses_max_tokens`` the models (patterns) that answer the name
    ``max_tokens`` with an error, ``reasoning_models`` those that take ``reasoning_effort``,
    ``thoughtless_with_tools`` those that take none but ``none`` beside tools. ``reasoning_field`` is the member of
    an assistant's message under which earlier reasoning travels back, empty where it is ignored or refused.
    ``accepts`` are request fields it takes beyond its dialect's own, ``cache_control`` whether it honours cache
    marks on content. ``probes`` are loopback addresses where it may be found running.
    """

    name: str
    title: str
    dialect: str
    base_url: str
    tier: Tier
    credentials: tuple[str, ...] = ()
    auth: str = "bearer"
    headers: tuple[tuple[str, str], ...] = ()
    chat_path: str = "/chat/completions"
    models_path: str = "/models"
    stream_usage: str = "ask"
    max_tokens_field: str = "max_tokens"
    output_limits: tuple[tuple[str, int], ...] = ()
    refuses_max_tokens: tuple[str, ...] = ()
    reasoning_models: tuple[str, ...] = ()
    thoughtless_with_tools: tuple[str, ...] = ()
    reasoning_field: str = ""
    accepts: frozenset[str] = frozenset()
    cache_control: bool = False
    unsupported: frozenset[str] = frozenset()
    price_id: str = ""
    model_patterns: tuple[str, ...] = ()
    default_models: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    docs_url: str = ""

    @property
    def local(self) -> bool:
        return self.tier is Tier.LOCAL


class Upstream(Struct, frozen=True, kw_only=True):
    """A provider as the operator configured it. ``models`` is what it is known to offer, and all it may if ``closed``.

    Timeouts are seconds: ``connect_timeout`` for the connection, ``timeout`` between bytes. ``slots`` are
    the calls it answers at one time, 0 for any number, ``queue_wait`` the seconds that others wait for one. ``options``
    are settings only this provider knows (echo's latency, Ollama's keep_alive).
    """

    name: str
    provider: Provider
    base_url: str
    credential: str = ""
    tier: Tier
    models: tuple[str, ...] = ()
    closed: bool = False
    connect_timeout: float = 5.0
    timeout: float = 600.0
    slots: int = 0
    queue_wait: float = 30.0
    options: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"Upstream({self.name!r}, {self.base_url!r})"


class Peek(Struct, kw_only=True):
    """What the gates need of a body, read without decoding the messages.

    ``force_tier``, ``context`` and ``idempotency_key`` are the gateway's own fields (D-01); ``gateway_fields`` is
    True when the body carries any of them, so that they are cut out before bytes leave. ``prompt_bytes`` is the
    length of everything that becomes input tokens, base64 payloads left out; ``attachments`` counts those.
    ``messages`` are the messages' own bytes, as one list or one by one.
    """

    model: str
    stream: bool = False
    max_tokens: int | None = None
    n: int = 1
    tools: bool = False
    include_usage: bool = False
    prompt_bytes: int = 0
    attachments: int = 0
    force_tier: str | None = None
    context: Raw | None = None
    idempotency_key: str | None = None
    gateway_fields: bool = False
    messages: Raw | list[Raw] = Raw()


class Glance(Struct, frozen=True, kw_only=True):
    """What a router reads of a conversation: the user's last and first words, the instructions, what came before.

    ``history`` tells whether anything was said before the last words, or has been done for them since.
    """

    last: str
    first: str
    instructions: str
    history: bool


class Part(Struct, frozen=True, kw_only=True):
    """A message's part in a conversation: it instructs, the user speaks in it, it brings results of tools."""

    instructs: bool
    speaks: bool
    brings: bool


class Reading(Struct, kw_only=True):
    """What a relay learnt from bytes that it passed on.

    ``usage`` is None when the upstream told none; then ``text`` is the output as far as it was seen, for an
    estimate. ``whole`` is False when a stream ended without its terminal marker. ``error`` is an error inside a
    stream, in the upstream's words.
    """

    usage: Usage | None = None
    finish_reason: str = ""
    model: str = ""
    upstream_id: str = ""
    text: str = ""
    whole: bool = True
    error: str = ""


class Rendered(Struct, frozen=True):
    """A request body for a target, and the names of caller's fields that this target cannot take (`dropped`).

    ``warning`` is known before the call; ``check`` makes one, or an empty text, of the tokens that came back.
    """

    body: bytes
    dropped: tuple[str, ...] = ()
    warning: str = ""
    check: Callable[[Usage], str] | None = None


class Tap(Protocol):
    """Listens to a relayed stream. ``ending`` turns True in the ``feed`` that holds the terminal marker."""

    ending: bool

    def feed(self, chunk: bytes) -> bytes:
        """The bytes to pass on: ``chunk`` itself, except where an event was added on the gateway's own behalf."""

    def text(self) -> str:
        """What the answer says so far, thinking and tool calls with it."""

    def close(self) -> Reading:
        """What was learnt, when no more bytes come."""


class StreamParser(Protocol):
    """Turns a target's stream into neutral events. ``reading`` is kept up to date for the ledger."""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events completed by these bytes; chunks may break anywhere, even inside a UTF-8 character."""

    def close(self) -> list[Event]:
        """The last events, when no more bytes come; a stream cut early ends in ``Failed``."""

    def text(self) -> str:
        """What the answer says so far, thinking and tool calls with it."""

    def reading(self) -> Reading:
        """What was learnt so far."""


class StreamRenderer(Protocol):
    """Turns neutral events into the caller's stream, in the exact order that the official SDKs demand."""

    def feed(self, event: Event) -> bytes:
        """Bytes for the caller; may be empty."""


class CallerDialect(Protocol):
    """A wire format that callers speak to us: reading their calls, answering them, relaying for them."""

    name: str
    stream_type: str

    def peek(self, body: bytes) -> Peek:
        """Read what the gates need; BadRequest, naming the field, when the body is not a call."""

    def parse_request(self, body: bytes) -> ChatRequest:
        """The whole call in neutral words; BadRequest where it cannot be understood."""

    def glance(self, body: bytes, peek: Peek) -> Glance:
        """What a router reads of the conversation."""

    def parts(self, peek: Peek) -> list[tuple[Raw, Part]]:
        """Each message in its own bytes, with the part it plays."""

    def render_answer(self, answer: ChatAnswer, meta: dict[str, Any] | None) -> bytes:
        """A plain reply body for the caller; ``meta`` becomes ``gateway_meta``."""

    def stream_renderer(self, request: ChatRequest) -> StreamRenderer:
        """A renderer for one stream."""

    def render_error(self, error: GatewayError, request_id: str) -> bytes:
        """An error body as this dialect's SDKs expect it."""

    def render_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        """An error event for a stream that has begun."""

    def attach_meta(self, body: bytes, meta: dict[str, Any]) -> bytes:
        """A relayed plain reply with ``gateway_meta`` added as its last member, every other byte unchanged."""

    def stream_meta(self, meta: dict[str, Any]) -> bytes:
        """What a stream says about itself on request: bytes that SDKs skip (an SSE comment)."""

    def relay_body(self, body: bytes, peek: Peek, upstream: Upstream, model: str) -> bytes:
        """The caller's body for a target of the same dialect, every value in its own bytes.

        ``body`` itself unless the model's name differs, a gateway field or one the target refuses must go, or
        usage must be asked for.
        """

    def limit_output(self, body: bytes, upstream: Upstream, model: str, most: int) -> bytes:
        """A relayed body with a limit on each answer's tokens, under the name that the target takes it by."""


class TargetDialect(Protocol):
    """A wire format that we speak to upstreams: asking them, reading what they answer."""

    name: str

    def render_request(self, request: ChatRequest, upstream: Upstream, model: str) -> Rendered:
        """A body for a target of this dialect, from neutral words; BadRequest where refusing is the honest answer."""

    def parse_answer(self, body: bytes) -> ChatAnswer:
        """A target's plain reply in neutral words; UpstreamFailed when it is none."""

    def stream_parser(self) -> StreamParser:
        """A parser for one stream."""

    def read(self, body: bytes) -> Reading:
        """What the ledger needs of a plain reply."""

    def tap(self, peek: Peek, upstream: Upstream) -> Tap:
        """A listener for one relayed stream."""

    def read_error(self, status: int, body: bytes) -> tuple[str, str]:
        """Message and kind of a target's error reply, whatever its shape."""


class Answer(Protocol):
    """A target's reply as it arrives. Leaving ``async with`` early cancels the upstream at once."""

    status: int

    @property
    def headers(self) -> Headers:
        """As received, names in lower case."""

    async def read(self) -> bytes:
        """The whole body."""

    async def chunk(self) -> bytes | None:
        """The next bytes, None at the end."""

    async def close(self) -> None:
        """Let go of the connection."""
