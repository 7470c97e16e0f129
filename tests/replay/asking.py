"""What a call says, read from its own wire format: the same words must arrive after two translations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from replay.reading import arguments

Json = dict[str, Any]


@dataclass
class Asked:
    """Texts and tool results without white space (turns may be joined), calls, pictures, and tools with properties."""

    texts: list[str] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    tools: list[tuple[str, list[str]]] = field(default_factory=list)

    def say(self, text: str | None) -> None:
        self.texts.append("".join((text or "").split()))

    def call(self, name: str, given: Any) -> None:
        """Arguments that are no object travel under ``raw`` where only objects may."""
        self.calls.append((name, given if isinstance(given, dict) else {"raw": given}))

    def lost_in(self, seen: Asked) -> list[str]:
        """What this call says and the other does not."""
        whole = "".join(seen.texts)
        lost = [f"text: {text[:80]}" for text in self.texts if text not in whole]
        lost += [f"picture: {each[:80]}" for each in self.pictures if each not in seen.pictures]
        lost += [f"call: {each}" for each in self.calls if each not in seen.calls]
        return lost + [f"tool: {each}" for each in self.tools if each not in seen.tools]


def read_call(wire: str, body: Json) -> Asked:
    """A call in this wire format."""
    return _chat(body) if wire == "openai_chat" else _messages(body)


def _chat(body: Json) -> Asked:
    asked = Asked()
    for message in body["messages"]:
        content = message.get("content") or ""
        for part in [content] if isinstance(content, str) else content:
            if isinstance(part, str) or part.get("type") == "text":
                asked.say(part if isinstance(part, str) else part["text"])
            elif shown := part.get("image_url"):
                asked.pictures.append(shown["url"] if isinstance(shown, dict) else shown)
        calls = [call["function"] for call in message.get("tool_calls") or ()]
        for call in calls or filter(None, [message.get("function_call")]):
            asked.call(call["name"], arguments(call.get("arguments")))
    tools = [tool.get("function", tool) for tool in body.get("tools") or body.get("functions") or ()]
    asked.tools = [(tool["name"], _properties(tool.get("parameters"))) for tool in tools if "name" in tool]
    return asked


def _messages(body: Json) -> Asked:
    asked = Asked()
    for content in (body.get("system"), *(message["content"] for message in body["messages"])):
        _blocks(content, asked)
    tools = [tool for tool in body.get("tools") or () if "input_schema" in tool]
    asked.tools = [(tool["name"], _properties(tool["input_schema"])) for tool in tools]
    return asked


def _blocks(content: Any, asked: Asked) -> None:
    for block in [{"type": "text", "text": content}] if isinstance(content, str) else content or ():
        match block["type"]:
            case "text":
                asked.say(block["text"])
            case "image" if block["source"]["type"] == "url":
                asked.pictures.append(block["source"]["url"])
            case "image" if block["source"]["type"] == "base64":
                asked.pictures.append(
                    f"data:{block['source']['media_type']};base64,{block['source']['data']}"
                )
            case "tool_use":
                asked.call(block["name"], block["input"])
            case "tool_result":
                _blocks(block.get("content"), asked)


def _properties(schema: Json | None) -> list[str]:
    return sorted((schema or {}).get("properties") or {})
