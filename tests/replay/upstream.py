"""A loopback upstream that answers with recorded bytes, cut into pieces as the network may cut them."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

from support.fake_server import Behaviour, FakeServer, Reply, Request

if TYPE_CHECKING:
    import asyncio

    from replay.recordings import Exchange

CUTS = ("events", "odd", "crumbs", "whole")
"""Ways to cut a stream: after each event, at any byte, into crumbs of one to seven bytes, not at all."""

CRUMBLED = 20_000
"""Bytes of a stream that are sent as crumbs; the rest follows in one piece."""


class Replayer(FakeServer):
    """Answers every call with ``reply``; ``requests`` holds what it was asked."""

    chat_paths = ("/chat/completions", "/messages", "/messages/count_tokens", "/api/chat")
    reply: Reply

    def play(self, exchange: Exchange, cut: str) -> None:
        """Answer the next calls with this reply, cut in this way."""
        self.requests.clear()
        pieces = cut_up(exchange.reply, cut, exchange.number)
        body = exchange.reply if cut == "whole" and not exchange.streamed else pieces
        self.reply = Reply(body, exchange.status, exchange.content_type, exchange.reply_headers)

    def _behaved(self, request: Request, how: Behaviour) -> Reply:
        return self.reply

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await self._send(request, writer)


def cut_up(body: bytes, cut: str, seed: int) -> list[bytes]:
    """These bytes in pieces, none of them empty."""
    dice = random.Random(f"{seed} {cut}")
    if cut == "events":
        found = re.findall(rb".+?(?:\r?\n)+|.+\Z", body, re.DOTALL)
    elif cut == "odd":
        places = sorted({dice.randrange(1, len(body)) for _ in range(min(40, len(body) // 2))})
        found = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    elif cut == "crumbs":
        found, at = [], 0
        while at < min(CRUMBLED, len(body)):
            size = dice.randrange(1, 8)
            found.append(body[at : at + size])
            at += size
        found.append(body[at:])
    else:
        found = [body]
    return [piece for piece in found if piece]
