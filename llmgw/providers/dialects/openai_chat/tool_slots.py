"""Which call a fragment of a streamed tool call belongs to, though servers disagree on how to say so."""

from __future__ import annotations

from typing import Any

from llmgw.domain.chat import Event, ToolCallDelta, ToolCallStarted
from llmgw.providers.dialects.openai_chat.content import write_arguments

Json = dict[str, Any]


class ToolSlots:
    """The calls of one choice. OpenAI counts them by ``index``; some leave it out, some say 0 for every call."""

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._ids: list[str] = []
        self._waiting: dict[int, str] = {}  # arguments that came before their function's name
        self._by_index: dict[int, int] = {}

    def feed(self, call: Json) -> list[Event]:
        """The events in one fragment."""
        function = call.get("function")
        told = function if isinstance(function, dict) else {}
        name, text = told.get("name"), write_arguments(told.get("arguments"))
        slot = self._slot(call, named=bool(name))
        events: list[Event] = []
        if slot in self._waiting:
            if not name:
                self._waiting[slot] += text
                return []
            text = self._waiting.pop(slot) + text
            self._ids[slot] = self._ids[slot] or f"call_{self._choice}_{slot}"
            events.append(ToolCallStarted(slot, self._ids[slot], str(name), self._choice))
        if text:
            events.append(ToolCallDelta(slot, text, self._choice))
        return events

    def _slot(self, call: Json, *, named: bool) -> int:
        index, call_id = call.get("index"), str(call.get("id") or "")
        slot = self._by_index.get(index) if isinstance(index, int) else self._unindexed(call_id, named=named)
        another = named and call_id and slot is not None and self._ids[slot] not in ("", call_id)
        if slot is None or another:
            slot = len(self._ids)
            self._ids.append(call_id)
            self._waiting[slot] = ""
        elif call_id and not self._ids[slot]:
            self._ids[slot] = call_id
        if isinstance(index, int):
            self._by_index[index] = slot
        return slot

    def _unindexed(self, call_id: str, *, named: bool) -> int | None:
        if call_id in self._ids[-1:] or (self._ids and not call_id and not named):
            return len(self._ids) - 1
        return self._ids.index(call_id) if call_id and call_id in self._ids else None
