"""A simulation tells what a real replay would find, and a million requests take it a few seconds."""

from __future__ import annotations

import random
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.gateway import RunningGateway, upstream

from llmgw.domain.ledger import first_id
from llmgw.domain.route import Tier
from llmgw.rules.tiering.conditions import Rule
from llmgw.rules.tiering.options import Options

PRICES = {"cheap/middle": {"input": 0.5, "output": 2.0}, "big/huge": {"input": 5.0, "output": 25.0}}
VOCABULARY = (
    "python traceback debug function capital France explain prove theorem hello translate poem recipe sql query"
    " database thanks history integral matrix joke summarise async deadlock"
)
WORDS = VOCABULARY.split()


def gateway_of(home: Path, **options: Any) -> RunningGateway:
    home.mkdir()
    upstreams = [
        upstream("small", "echo://", kind="echo", tier=Tier.LOCAL, models=("tiny",)),
        upstream("cheap", "echo://", kind="echo", tier=Tier.CHEAP, models=("middle",)),
        upstream("big", "echo://", kind="echo", tier=Tier.PREMIUM, models=("huge",)),
    ]
    return RunningGateway(home, upstreams, router=Options(**options), prices=PRICES)


def conversations(seed: int) -> list[dict[str, Any]]:
    """Requests of many lengths, some of which go on with what came before."""
    chance = random.Random(seed)
    calls: list[dict[str, Any]] = []
    chats: list[list[dict[str, str]]] = []
    for _ in range(160):
        said = " ".join(chance.choices(WORDS, k=chance.choice((3, 8, 40))))
        if chats and chance.random() < 0.4:
            chat = chance.choice(chats)
            chat += [{"role": "assistant", "content": "I see."}]
        else:
            chats.append(chat := [])
        chat.append({"role": "user", "content": said})
        calls.append({"model": "gateway-auto", "messages": list(chat)})
    return calls


def serve(gateway: RunningGateway, calls: list[dict[str, Any]]) -> tuple[dict[str, int], int]:
    """Requests by tier, and what all cost."""
    with httpx.Client(headers=gateway.auth) as client:
        for number, call in enumerate(calls):
            tag = {"x-llmgw-tag": "private"} if number % 10 == 0 else {}
            reply = client.post(gateway.url + "/v1/chat/completions", json=call, headers=tag)
            assert reply.status_code == 200, reply.text
    rows = gateway.requests()
    tiers = {tier.value: sum(row["tier"] == tier for row in rows) for tier in Tier}
    return tiers, sum(row["cost"] for row in rows)


@pytest.mark.parametrize("sticky", [0, 3600 * 10**9])
def test_a_simulation_equals_a_real_replay(sticky: int, tmp_path: Path) -> None:
    """Tiers and cost are those that the same requests really have under the other policy, to the nano-dollar."""
    calls = conversations(7)
    rules = (Rule(tag="private", tier=Tier.LOCAL),)
    with gateway_of(tmp_path / "one", quality=0.8, sticky=sticky, rules=rules) as gateway:
        before = serve(gateway, calls)
        simulated = {
            quality: httpx.get(
                gateway.url + "/admin/routes/simulation", headers=gateway.auth, params={"quality": quality}
            ).json()
            for quality in (0.5, 0.8, 0.95)
        }
    with gateway_of(tmp_path / "other", quality=0.95, sticky=sticky, rules=rules) as gateway:
        after = serve(gateway, calls)

    found = simulated[0.95]
    assert before != after
    assert (found["requests"], found["fixed"]) == (160, 16)
    assert (_tiers(found["before"]), found["before"]["cost_nanousd"]) == before
    assert (_tiers(found["after"]), found["after"]["cost_nanousd"]) == after
    assert found["changed"] > 0
    assert found["saved_nanousd"] == before[1] - after[1]
    assert simulated[0.8]["changed"] == 0
    assert simulated[0.5]["after"]["cost_nanousd"] < before[1]


def _tiers(side: dict[str, Any]) -> dict[str, int]:
    return {tier.value: side[tier] for tier in Tier}


@pytest.mark.slow
def test_a_million_requests(tmp_path: Path) -> None:
    """A ledger of a million requests is replayed in less than five seconds, also where each one changes its tier."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
    from fill import fill

    from llmgw.config.pricebook import PriceBook
    from llmgw.config.prices import load_prices
    from llmgw.desk.asking import Declared, Desk, Offer, Process
    from llmgw.desk.routes import SimulateRoutes
    from llmgw.service.tiering import build_tiering
    from llmgw.storage.database import Database

    fill(tmp_path, requests=1_000_000, keys=100, budgets=1, days=6)
    with Database.open(tmp_path / "llmgw.db") as database, closing(database.connect()) as connection:
        connection.execute(
            "UPDATE requests SET model_asked = 'gateway-auto', id = ? + (started_at / 1000000 << 18) + (seq & 262143)",
            (first_id(0),),
        )
        connection.execute(
            "INSERT INTO decisions SELECT requests.id, d.tier, d.provider || '/' || d.model, 'because', '', 0, 0, '',"
            " (seq * 7919 % 1000) / 1500.0 - 0.1, 0.7, 0.8, ?, '[0.1,0.1,0.1,0.7]', 0, seq % 50000"
            " FROM requests JOIN dimensions d ON d.id = dimension",
            ('[["usual",0.1],["length",0.02],["code",0.1],["word `python`",0.03],["word `debug`",0.01]]',),
        )
    with gateway_of(tmp_path / "home") as gateway:
        launch = gateway.launch
    book: PriceBook = load_prices(PRICES)
    for sticky in (0, 36_000 * 10**9):
        from zoneinfo import ZoneInfo

        tiering = build_tiering(Options(sticky=sticky), launch.plan, launch.upstreams, book, ZoneInfo("UTC"))
        offer = Offer({each.name: each for each in launch.upstreams}, launch.plan, book, {}, tiering)
        with Desk(
            tmp_path / "llmgw.db",
            "test",
            declared=lambda: Declared("UTC", (), launch.key_defaults),
            offer=lambda offer=offer: offer,
            process=lambda: Process(state="down", log_file=""),
        ) as desk:
            begun = time.perf_counter()
            done = desk.ask(SimulateRoutes(quality=0.9))
            seconds = time.perf_counter() - begun
        assert done.requests == 1_000_000
        assert done.changed > 300_000
        assert seconds < 5
