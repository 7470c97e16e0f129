"""A fake Ollama: ``/api/chat`` as NDJSON or plain, ``tags``, ``show``, ``ps``, ``version``, with its errors.

It cuts a prompt as the real one does (``server/prompt.go``, ``llm/llama_server.go`` of ollama/ollama): the oldest
turns go first, system turns and the last turn stay; what is still too long is halved by a context shift. Tokens are
counted as words and marks. ``usage_in="never"`` leaves ``prompt_eval_count`` out, as old servers do on a cached prompt.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any

from support.fake_server import Behaviour, FakeServer, Reply, Request, json_reply, words

if TYPE_CHECKING:
    from collections.abc import Iterator

MADE = "2026-08-07T06:08:14.73237Z"
DEFAULT_CONTEXT = 4096
IMAGE_TOKENS = 768
TOO_LONG = (
    "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust "
    "the context length in settings, or use a model with a longer context length"
)


def count(value: Any) -> int:
    text = value if isinstance(value, str) else json.dumps(value)
    return len(re.findall(r"\w+|[^\w\s]", text))


class FakeOllama(FakeServer):
    """``capabilities`` are what its models can; ``loads`` lists the ``num_ctx`` of every (re)load of the model."""

    chat_paths = ("/api/chat",)

    def __init__(
        self,
        *,
        models: tuple[str, ...] = ("llama3.2:latest",),
        capabilities: tuple[str, ...] = ("completion", "tools", "thinking", "vision"),
        **fields: Any,
    ) -> None:
        super().__init__(models=models, **fields)
        self.capabilities = capabilities
        self.loads: list[int] = []

    def chat(self, request: Request, how: Behaviour) -> Reply:
        try:
            call = request.json
        except ValueError:
            return self.error(400, "invalid character 'o' in literal null (expecting 'u')")
        problem = self.problem(call)
        if problem is not None:
            return problem
        messages, tools = call.get("messages") or [], count(call.get("tools") or "")
        window = (call.get("options") or {}).get("num_ctx") or DEFAULT_CONTEXT
        if not self.loads or self.loads[-1] != window:
            self.loads.append(window)
        prompt = fitted(messages, tools, window)
        if call.get("truncate") is False and prompt != fitted(messages, tools, 1 << 40):
            return self.error(400, TOO_LONG)
        lines = list(self.lines(call, how, prompt))
        if call.get("stream") is False:
            return json_reply(joined(lines))
        return Reply(
            (json.dumps(line).encode() + b"\n" for line in lines), content_type="application/x-ndjson"
        )

    def problem(self, call: dict[str, Any]) -> Reply | None:
        """Why this call cannot be answered, if so."""
        model = call.get("model") or ""
        if not model:
            return self.error(400, "model is required")
        if model not in self.models and f"{model}:latest" not in self.models:
            return self.error(404, f"model '{model}' not found")
        for wanted, ability in ((call.get("tools"), "tools"), (call.get("think"), "thinking")):
            if wanted and ability not in self.capabilities:
                return self.error(400, f'"{model}" does not support {ability}')
        for message in call.get("messages") or []:
            try:
                for image in message.get("images", ()):
                    base64.b64decode(image, validate=True)
            except binascii.Error:
                return self.error(400, "illegal base64 data at input byte 0")
            if any(
                not isinstance(made["function"]["arguments"], dict) for made in message.get("tool_calls", ())
            ):
                return self.error(400, "json: cannot unmarshal string into Go struct field")
        return None

    def lines(self, call: dict[str, Any], how: Behaviour, prompt: int) -> Iterator[dict[str, Any]]:
        said = '{"answer": 42}' if call.get("format") else how.text
        limit = (call.get("options") or {}).get("num_predict", -1)
        pieces = [] if how.tool_calls else words(said)
        reason = how.finish or "stop"
        if 0 <= limit < len(pieces):
            pieces, reason = pieces[:limit], "length"
        base = {"model": call["model"], "created_at": MADE}

        def line(**message: Any) -> dict[str, Any]:
            return {**base, "message": {"role": "assistant", "content": "", **message}, "done": False}

        if call.get("think") is not False:
            for piece in words(how.thinking):
                yield line(thinking=piece)
        for piece in pieces:
            yield line(content=piece)
        for slot, (name, given) in enumerate(how.tool_calls):
            function = {"index": slot, "name": name, "arguments": given}
            yield line(tool_calls=[{"id": f"call_fake{slot}", "function": function}])
        final = {
            **line(),
            "done": True,
            "done_reason": reason,
            "total_duration": 2_000,
            "load_duration": 1_000,
        }
        if how.usage_in != "never":
            final |= {"prompt_eval_count": prompt, "prompt_eval_duration": 500}
        yield final | {"eval_count": len(pieces) or 7, "eval_duration": 500}

    def other(self, request: Request) -> Reply:
        details = {
            "parent_model": "",
            "format": "gguf",
            "family": "llama",
            "families": ["llama"],
            "parameter_size": "3.2B",
            "quantization_level": "Q4_K_M",
        }
        made = {"modified_at": MADE, "size": 2_019_393_189, "digest": "a80c4f17acd5", "details": details}
        listed = [{"name": name, "model": name, **made} for name in self.models]
        if request.path == "/":
            return Reply(b"Ollama is running", content_type="text/plain; charset=utf-8")
        if request.path == "/api/version":
            return json_reply({"version": "0.14.0"})
        if request.path == "/api/tags":
            return json_reply({"models": listed})
        if request.path == "/api/ps":
            return json_reply({"models": listed[: len(self.loads)]})
        if request.path == "/api/show":
            name = request.json.get("model") or request.json.get("name")
            if name not in self.models:
                return self.error(404, f"model '{name}' not found")
            known = {"general.architecture": "llama", "llama.context_length": 131_072}
            return json_reply(
                {"details": details, "model_info": known, "capabilities": list(self.capabilities)}
            )
        return Reply(b"404 page not found", 404, "text/plain")

    def error(self, status: int, message: str = "", kind: str = "") -> Reply:
        return json_reply({"error": message or f"the fake Ollama answers {status}"}, status)

    def error_event(self, message: str) -> bytes:
        return json.dumps({"error": message}).encode() + b"\n"


def fitted(messages: list[dict[str, Any]], tools: int, window: int) -> int:
    """Tokens of the prompt that is left after Ollama has cut it to its window."""
    sizes = [
        count(message.get("content") or "")
        + count(message.get("tool_calls") or "")
        + IMAGE_TOKENS * len(message.get("images", ()))
        for message in messages
    ]
    size = 0
    for start in range(max(1, len(messages))):
        system = sum(n for n, m in zip(sizes[:start], messages[:start], strict=True) if m["role"] == "system")
        size = system + sum(sizes[start:]) + tools
        if size <= window:
            return size
    return window - max((window - 4) // 2, 1)


def joined(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The plain reply that says the same as these streamed lines."""
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    for line in lines:
        for name in ("content", "thinking", "tool_calls"):
            if line["message"].get(name):
                message[name] = message.get(name, type(line["message"][name])()) + line["message"][name]
    return {**lines[-1], "message": message}
