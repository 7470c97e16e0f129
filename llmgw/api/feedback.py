"""``POST /v1/feedback``: whoever asked tells how good the answer was, and the router learns from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from llmgw.api.operations import Access, Operation, answer, fields_of, misfit
from llmgw.domain.ledger import read_id, show_id
from llmgw.errors import BadRequest, NotFound
from llmgw.gates.outcomes import note
from llmgw.storage.decisions import Outcome

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from llmgw.domain.identity import Key
    from llmgw.gates.state import Gateway

RATINGS = {"up": 1.0, "down": 0.0}


class Feedback(Struct, kw_only=True, forbid_unknown_fields=True):
    """How good an answer was: a ``score`` or a ``rating``."""

    request_id: Annotated[str, Meta(description="as `x-llmgw-request-id` told it")]
    score: Annotated[float, Meta(ge=0, le=1, description="0 useless to 1 perfect")] | None = None
    rating: Literal["up", "down"] | None = None
    comment: Annotated[str, Meta(max_length=2000)] = ""


class Heard(Struct, frozen=True, kw_only=True):
    """``learnt`` tells whether the router takes it into account; it does where it had chosen the tier by its score."""

    request_id: str
    score: float
    learnt: bool


def operations(gateway: Gateway) -> list[Operation]:
    """The operations of this surface."""

    async def feedback(request: Request, key: Key | None) -> Response:
        try:
            said = msgspec.convert(await fields_of(request, in_query=False), Feedback)
        except msgspec.ValidationError as error:
            raise misfit(error) from None
        if (said.score is None) is (said.rating is None):
            raise BadRequest("say either `score`, 0 to 1, or `rating`, up or down", param="score")
        number, stored = _number(said.request_id), gateway.ledger.decisions
        asker = stored.asker(number)
        if asker is None or key is None or not (key.admin or asker.key_id == key.id):
            raise NotFound(f"your key made no request {said.request_id}", param="request_id")
        decision = stored.find(number)
        features = None if decision is None or not asker.tier else decision.features
        outcome = Outcome(
            request_id=number,
            at=gateway.clock.now(),
            score=said.score if said.score is not None else RATINGS[str(said.rating)],
            comment=said.comment,
            tier=asker.tier or None,
            features=features,
            vector=None if decision is None else decision.vector,
        )
        await note(gateway, outcome)
        heeded = gateway.tiering is None or gateway.tiering.heeds(outcome)
        learnt = features is not None and heeded
        return answer(Heard(request_id=show_id(number), score=outcome.score, learnt=learnt))

    return [
        Operation(
            "POST",
            "/v1/feedback",
            "Tell how good an answer was",
            Access.KEY,
            feedback,
            takes=Feedback,
            answers=(Heard,),
            name="Feedback",
        )
    ]


def _number(text: str) -> int:
    try:
        return read_id(text)
    except ValueError:
        raise BadRequest(f"`{text[:40]}` is not the id of a request", param="request_id") from None
