"""Leaving the oldest turns of a conversation behind where a tier's budget of context has no room for them (D-10).

Whole messages go and the others keep their bytes, so a conversation that fits is relayed as it came. Which tier answers
is known only when a target is tried, so each attempt is fitted anew from what the caller sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from llmgw.errors import BadRequest, TooLarge
from llmgw.rules.estimating import REPLY_TOKENS, estimate_request
from llmgw.rules.trimming import Piece, trim

if TYPE_CHECKING:
    from llmgw.domain.route import Tier
    from llmgw.gates.state import Call
    from llmgw.providers.base import CallerDialect, Peek

_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class Fit:
    """A call's own body, from which each tier gets what its budget of tokens has room for."""

    def __init__(self, call: Call, budgets: dict[Tier, int]) -> None:
        self._body = call.body
        self._peek = call.peek
        self._budgets = budgets
        self._tokens: int | None = None

    def to(self, call: Call, tier: Tier) -> None:
        """Set the call's body, peek and ``trimmed`` for a tier; TooLarge where what has to stay is already too much."""
        call.body, call.peek, call.trimmed = self._body, self._peek, 0
        budget = self._budgets.get(tier, 0)
        if not budget or (not self._peek.attachments and self._peek.prompt_bytes <= budget):
            return  # no tokenizer makes more tokens than there are bytes
        if self._tokens is None:
            self._tokens = estimate_request(call.dialect.parse_request(self._body))
        if self._tokens > budget:
            call.body, call.peek, call.trimmed = self._cut(call.dialect, tier, budget, self._tokens)

    def _cut(self, dialect: CallerDialect, tier: Tier, budget: int, total: int) -> tuple[bytes, Peek, int]:
        fields = _fields(self._body)
        parts = dialect.parts(self._peek)
        pieces = [
            Piece(
                tokens=_weigh(dialect, fields, raw),
                instructs=part.instructs,
                speaks=part.speaks,
                brings=part.brings,
            )
            for raw, part in parts
        ]
        rest = max(0, total - sum(piece.tokens for piece in pieces))
        trimmed = trim(pieces, budget - rest)
        if trimmed is None:
            raise TooLarge(
                f"the {tier} tier is sent at most {budget:,} tokens, and the instructions and the last question alone"
                " are more",
                hint=f"raise `router.context.{tier}` in llmgw.toml",
            )
        kept = [parts[at][0] for at in trimmed.kept]
        fields["messages"] = Raw(msgspec.json.encode(kept))
        body = msgspec.json.encode(fields)
        return body, replace(dialect.peek(body), gateway_fields=self._peek.gateway_fields), trimmed.tokens


def _weigh(dialect: CallerDialect, fields: dict[str, Raw], message: Raw) -> int:
    """The tokens of one message."""
    alone = {name: fields[name] for name in ("model", "max_tokens") if name in fields}
    body = msgspec.json.encode({**alone, "messages": [message]})
    try:
        return estimate_request(dialect.parse_request(body)) - REPLY_TOKENS
    except BadRequest:  # it makes sense only beside others
        return len(message)
