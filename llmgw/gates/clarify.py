"""Asking back, at no cost and in the caller's words, where a request is too vague for any model (D-08)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.domain.chat import (
    ChatAnswer,
    Choice,
    Delta,
    Ended,
    Finished,
    FinishReason,
    Metered,
    Started,
    Text,
)
from llmgw.domain.usage import Usage
from llmgw.gates.reply import own_headers, send_whole
from llmgw.gates.settle import record
from llmgw.rules.tiering.conditions import language

if TYPE_CHECKING:
    from llmgw.domain.chat import Event
    from llmgw.gates.state import Call, Gateway

MODEL = "llmgw"
NOTHING = Usage()

WORDS = {
    "": (
        "I am not sure what you mean. Which text, code or file is this about, and what should be different when it is"
        " done?"
    ),
    "de": (
        "Mir ist nicht klar, was gemeint ist. Um welchen Text, Code oder welche Datei geht es, und was soll am Ende"
        " anders sein?"
    ),
}


async def clarify(gateway: Gateway, call: Call) -> bool:
    """Whether the request was answered with a question; its row is written before."""
    if not call.vague:
        return False
    words = WORDS.get(language(call.glance.last), WORDS[""])
    await record(gateway, call, 200, "")
    headers = own_headers(call)
    call.replied = call.finished = True
    if not call.peek.stream:
        answer = ChatAnswer(
            id=call.shown_id,
            model=MODEL,
            choices=(Choice(0, (Text(words),), FinishReason.STOP),),
            usage=NOTHING,
            created=call.started_at // 10**9,
        )
        headers.append((b"x-llmgw-cost", b"0"))
        await send_whole(
            call.send, 200, headers, call.dialect.render_answer(answer, None), b"application/json"
        )
        return True
    events: tuple[Event, ...] = (
        Started(call.shown_id, MODEL, NOTHING, call.started_at // 10**9),
        Delta("text", words),
        Finished(FinishReason.STOP),
        Metered(NOTHING),
        Ended(),
    )
    renderer = call.dialect.stream_renderer(call.dialect.parse_request(call.body))
    body = b"".join(map(renderer.feed, events))
    await send_whole(call.send, 200, headers, body, call.dialect.stream_type.encode())
    return True
