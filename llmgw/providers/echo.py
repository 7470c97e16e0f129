"""The built-in fake: no model, yet everything else is real, so the first minute needs no account and tests no network.

It answers with the last user turn. What else it does is asked for in the model's name, joined by commas, or in
the upstream's options under the same words; the name wins:

    echo/latency=200ms       wait before the first byte (``ms`` or ``s``)
    echo/chunk_delay=5ms     wait before each further streamed chunk
    echo/error=429           answer this status, 400 to 599
    echo/cut=3               break the connection after three streamed chunks, or in the middle of a plain reply
    echo/tokens=500          answer with about so many tokens
    echo/tool=NAME           call the tool NAME that the request offers, with arguments that fit its schema;
                             once it has the result it answers with that

A ``response_format`` gets JSON that fits, ``max_tokens`` is kept, and usage is counted, not invented.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import cycle, groupby, islice
from typing import Any

import msgspec
from msgspec import Struct

from llmgw.domain.chat import (
    ChatAnswer,
    ChatRequest,
    Choice,
    Delta,
    Ended,
    Event,
    Finished,
    FinishReason,
    Metered,
    Role,
    Started,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolResult,
)
from llmgw.domain.clock import SYSTEM_CLOCK, Clock
from llmgw.domain.route import Tier
from llmgw.domain.usage import Usage
from llmgw.errors import BadRequest, GatewayError, UpstreamFailed, UpstreamRefused
from llmgw.providers.base import Headers, Provider
from llmgw.providers.dialects.openai_chat import DIALECT
from llmgw.rules.estimating import PIECE, estimate_request, estimate_tokens

PROVIDER = Provider(
    name="echo",
    title="Echo (built in, no model)",
    dialect="openai_chat",
    base_url="echo:",
    tier=Tier.LOCAL,
    auth="none",
    default_models=("echo",),
)

MODEL = "echo (llmgw built-in, no model)"
NOTICE = (
    "\n\n(This is `echo`, built into llmgw: no model has read your message. To reach one, set a key such as "
    "OPENAI_API_KEY or ANTHROPIC_API_KEY, or start Ollama, and run `llmgw restart`.)"
)
WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and")
LARGEST_REPLY = 1_000_000
WORD = re.compile(r"\s*\S+|\s+$")
DEEPEST = 8
SAMPLES: dict[str, Any] = {"string": "echo", "integer": 1, "number": 1, "boolean": True, "array": []}
SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
Sleep = Callable[[float], Awaitable[None]]


class Wish(Struct, frozen=True):
    """What a call asks of echo; spans are seconds."""

    latency: float = 0.0
    chunk_delay: float = 0.0
    error: int = 0
    cut: int | None = None
    tokens: int | None = None
    tool: str = ""


class EchoAnswer:
    """A reply that was never on a wire."""

    def __init__(
        self, status: int, headers: Headers, chunks: Iterator[bytes], wish: Wish, sleep: Sleep
    ) -> None:
        self.status = status
        self.headers = headers
        self._chunks = chunks
        self._wish = wish
        self._sleep = sleep
        self._sent = 0

    async def read(self) -> bytes:
        body = b""
        while (chunk := await self.chunk()) is not None:
            body += chunk
        return body

    async def chunk(self) -> bytes | None:
        if self._sent == self._wish.cut:
            raise UpstreamFailed("echo broke the connection, as it was asked to")
        chunk = next(self._chunks, None)
        if chunk is not None and self._sent and self._wish.chunk_delay:
            await self._sleep(self._wish.chunk_delay)
        self._sent += 1
        return chunk

    async def close(self) -> None:
        self._chunks = iter(())


async def send(
    body: bytes, options: Mapping[str, Any], sleep: Sleep, clock: Clock = SYSTEM_CLOCK
) -> EchoAnswer:
    """OpenAI's answer to an OpenAI call, as ``body`` and ``options`` wish it; nothing is raised before it is read."""
    digest = hashlib.blake2s(body, digest_size=12).hexdigest()
    wish = Wish()
    try:
        request = DIALECT.parse_request(body)
        wish = read_wish(request.model, options)
        if wish.latency:
            await sleep(wish.latency)
        if wish.error:
            raise UpstreamRefused(f"echo answers {wish.error}, as it was asked to", status=wish.error)
        answer = _answer(request, wish, digest, clock.now() // 1_000_000_000)
    except GatewayError as refusal:
        retry: Headers = [("retry-after", "1")] if refusal.status == 429 else []
        headers = [("content-type", "application/json"), *retry]
        return EchoAnswer(
            refusal.status, headers, iter([DIALECT.render_error(refusal, digest)]), Wish(), sleep
        )
    if request.stream:
        renderer = DIALECT.stream_renderer(request)
        chunks = (chunk for event in _events(answer) if (chunk := renderer.feed(event)))
        return EchoAnswer(200, [("content-type", "text/event-stream")], chunks, wish, sleep)
    whole = DIALECT.render_answer(answer, None)
    if wish.cut is not None:
        whole, wish = whole[: len(whole) // 2], msgspec.structs.replace(wish, cut=1)
    return EchoAnswer(200, [("content-type", "application/json")], iter([whole]), wish, sleep)


def read_wish(model: str, options: Mapping[str, Any]) -> Wish:
    """What the upstream's options and then the model's name ask for; BadRequest on a word that echo does not know."""
    asked = dict(options)
    for item in model.removeprefix("echo/").split(","):
        name, equals, value = item.strip().partition("=")
        if equals:
            asked[name] = value
    return Wish(**{name: _wish_value(name, str(value)) for name, value in asked.items()})


def _wish_value(name: str, text: str) -> Any:
    span, number = SPAN.fullmatch(text), int(text) if text.isdecimal() else -1
    if name in {"latency", "chunk_delay"} and span:
        return float(span[1]) / (1_000 if span[2] == "ms" else 1)
    if (name == "error" and 400 <= number <= 599) or (name == "cut" and number >= 0):
        return number
    if (name == "tokens" and 0 < number <= LARGEST_REPLY) or (name == "tool" and text):
        return text if name == "tool" else number
    if name not in Wish.__struct_fields__:
        hint = f"it knows {', '.join(Wish.__struct_fields__)}"
        raise BadRequest(f"echo knows no `{name}`", param="model", hint=hint)
    raise BadRequest(
        f"echo cannot make `{name}` {text!r}",
        param="model",
        hint="as in latency=200ms, error=429, cut=3, tokens=500, tool=NAME",
    )


def _answer(request: ChatRequest, wish: Wish, digest: str, created: int) -> ChatAnswer:
    part, reason = _reply(request, wish, digest)
    said = part.text if isinstance(part, Text) else part.name + part.arguments
    usage = Usage(
        input_tokens=estimate_request(request), output_tokens=max(1, estimate_tokens(said)) * request.n
    )
    choices = tuple(Choice(index, (part,), reason) for index in range(request.n))
    return ChatAnswer(id=f"chatcmpl-{digest}", model=MODEL, choices=choices, usage=usage, created=created)


def _reply(request: ChatRequest, wish: Wish, digest: str) -> tuple[Text | ToolCall, FinishReason]:
    answered = bool(request.messages) and request.messages[-1].role is Role.TOOL
    if wish.tool and not answered:
        return _call(request, wish.tool, digest), FinishReason.TOOL_CALLS
    text = "\n".join(_texts(request))
    wanted = request.response_format
    if wish.tokens is not None:
        text = " ".join(islice(cycle(WORDS), wish.tokens))
    elif wanted is not None and wanted.kind != "text":
        value = sample(wanted.schema) if wanted.schema else {"echo": text}
        text = msgspec.json.encode(value).decode()
    elif not any(message.role is Role.ASSISTANT for message in request.messages):
        text += NOTICE
    pieces = PIECE.findall(text)
    if request.max_tokens is not None and len(pieces) > request.max_tokens:
        return Text("".join(pieces[: request.max_tokens])), FinishReason.LENGTH
    return Text(text), FinishReason.STOP


def _texts(request: ChatRequest) -> Iterator[str]:
    """What the last user or tool turn says; messages of one side in a row are one turn."""
    sides = groupby(request.messages, key=lambda message: message.role)
    turns = [list(turn) for side, turn in sides if side in {Role.USER, Role.TOOL}]
    for part in (part for message in turns[-1] for part in message.parts) if turns else ():
        inner = part.parts if isinstance(part, ToolResult) else (part,)
        yield from (each.text for each in inner if isinstance(each, Text))


def _call(request: ChatRequest, name: str, digest: str) -> ToolCall:
    for tool in request.tools:
        if tool.name == name:
            return ToolCall(f"call_{digest}", name, msgspec.json.encode(sample(tool.schema)).decode())
    raise BadRequest(f"echo cannot call `{name}`: the request offers no such tool", param="tools")


def sample(schema: Any, depth: int = 0) -> Any:
    """A small value that fits a JSON schema, required members only; references are not followed."""
    if not isinstance(schema, dict) or depth > DEEPEST:
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf"):
        if schema.get(choice):
            return sample(schema[choice][0], depth + 1)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        members = schema.get("properties", {})
        return {name: sample(members.get(name), depth + 1) for name in schema.get("required", ())}
    return SAMPLES.get(kind)


def _events(answer: ChatAnswer) -> Iterator[Event]:
    """The answer as a stream would tell it, a word at a time."""
    yield Started(answer.id, answer.model, created=answer.created)
    for choice in answer.choices:
        for part in choice.parts:
            if isinstance(part, ToolCall):
                yield ToolCallStarted(0, part.id, part.name, choice.index)
                yield ToolCallDelta(0, part.arguments, choice.index)
            elif isinstance(part, Text):
                for word in WORD.findall(part.text):
                    yield Delta("text", word, choice.index)
        if choice.finish_reason is not None:
            yield Finished(choice.finish_reason, choice=choice.index)
    if answer.usage is not None:
        yield Metered(answer.usage)
    yield Ended()
