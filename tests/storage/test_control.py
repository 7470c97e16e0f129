"""Keys and settings, from one process and from several."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from hashlib import sha256

import pytest
from support.ledger_words import NOON, a_hold, a_request, an_outcome, standing_clock

from llmgw.domain.clock import SYSTEM_CLOCK, Clock
from llmgw.errors import BadRequest, ConfigInvalid, Conflict, NotFound, Unavailable
from llmgw.storage.control import Control, generate_token
from llmgw.storage.ledger import Ledger
from llmgw.storage.stamp import FRESH_SECONDS

HOUR = 3600 * 10**9


@pytest.fixture
def path(tmp_path):
    return tmp_path / "llmgw.db"


@pytest.fixture
def control(path):
    with Control(path, standing_clock()) as opened:
        yield opened


def test_tokens_are_random_and_recognisable():
    """A token is `lgw_` and 43 characters that are safe in a URL, never twice the same."""
    tokens = {generate_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"lgw_[A-Za-z0-9_-]{43}", token) for token in tokens)


def test_key_is_kept_as_its_hash(control, path):
    """What was given comes back, the token is nowhere in the files, and its hash finds the key."""
    key, token = control.create(
        "ci", user="me", models=("cheap/*",), tags=("b", "a"), expires_at=NOON + HOUR, admin=True
    )
    assert (key.name, key.user, key.models, key.tags, key.admin) == (
        "ci",
        "me",
        ("cheap/*",),
        ("a", "b"),
        True,
    )
    assert (key.created_at, key.expires_at, key.revoked_at) == (NOON, NOON + HOUR, None)
    assert key.hash == sha256(token.encode()).digest()
    assert key.shown == token[:8] + "…"
    assert control.find(token) == key == control.show("ci")
    assert control.find("lgw_other") is None
    for file in path.parent.iterdir():
        assert token.encode() not in file.read_bytes()


def test_own_value_for_a_key(control):
    """A key may be given a value that somebody brings along; two keys cannot share one, and little of it is shown."""
    key, token = control.create("mine", token="correct-horse-battery")
    assert token == "correct-horse-battery"
    assert control.find(token) == key
    assert key.shown == "corr…"
    with pytest.raises(Conflict, match="value"):
        control.create("other", token=token)


def test_rotation_keeps_the_old_value_for_its_grace(control):
    """A rotated key has a new value at once and remembers the old one, and until when that counts."""
    before, old = control.create("ci")
    after, new = control.rotate("ci", grace=HOUR)
    assert new != old
    assert (after.id, after.previous_hash, after.grace_until) == (before.id, before.hash, NOON + HOUR)
    assert control.find(new) == after
    assert control.find(old) is None


def test_revoked_name_is_free_again(control):
    """A revoked key stays in the list, twice revoked is once, and its name may be given to another."""
    first, _ = control.create("ci")
    assert control.revoke("ci").revoked_at == NOON
    assert control.revoke("ci") == control.show("ci")
    with pytest.raises(Conflict, match="revoked"):
        control.rotate("ci")
    second, _ = control.create("ci")
    assert control.show("ci") == second
    assert [key.id for key in control.load_keys()] == [first.id, second.id]


def test_names(control):
    """A name in use is a conflict, an unknown one is answered with those near it, an unfit one is refused."""
    control.create("nightly")
    with pytest.raises(Conflict, match="nightly"):
        control.create("nightly")
    for ask in (control.show, control.rotate, control.revoke):
        with pytest.raises(NotFound) as refusal:
            ask("nihgtly")
        assert "`nightly`" in refusal.value.hint
    for name in ("", "a b", "x" * 65, "a/b", "a:b", "a\n"):
        with pytest.raises(BadRequest):
            control.create(name)
    with pytest.raises(BadRequest, match="comma"):
        control.create("tagged", tags=("a,b",))
    assert [key.name for key in control.load_keys()] == ["nightly"]


def test_first_key_is_made_once(control):
    """The first start issues a key, later ones find it, and a gateway with keys of its own gets none."""
    key, token = control.ensure_first_key()
    assert key.name == "default"
    assert control.find(token) == key
    assert control.ensure_first_key() == (key, None)
    control.create("ci")
    control.revoke("default")
    assert control.ensure_first_key()[0].name == "ci"
    control.revoke("ci")
    assert control.ensure_first_key()[1] is not None


def test_every_change_moves_version_and_stamp(control):
    """Whatever changes who may do what moves the version and the stamp; a key's last use moves neither."""
    seen = {(control.version(), control.stamp.read())}
    changes = [
        lambda: control.create("ci"),
        lambda: control.rotate("ci"),
        lambda: control.revoke("ci"),
        lambda: control.set("kill", "on"),
        lambda: control.set("kill", "off"),
        lambda: control.set("kill", None),
    ]
    for number, change in enumerate(changes, 2):
        change()
        seen.add((control.version(), control.stamp.read()))
        assert len({version for version, _ in seen}) == len({stamp for _, stamp in seen}) == number
    before = control.version(), control.stamp.read()
    control.touch({1: NOON})
    assert (control.version(), control.stamp.read()) == before


def test_last_use_only_goes_forward(control):
    """Late news of an earlier use does not turn the last use back, and unknown keys are no error."""
    key, _ = control.create("ci")
    control.touch({key.id: NOON, 99: NOON})
    control.touch({key.id: NOON - HOUR})
    assert control.show("ci").last_used_at == NOON


def test_settings(control):
    """A setting is what it was set to last, and gone when removed."""
    assert control.setting("kill") is None
    control.set("kill", "on")
    control.set("kill", "off")
    assert control.settings() == {"kill": "off"}
    control.set("kill", None)
    assert control.settings() == {}


def test_commands_change_keys_under_a_busy_gateway(path):
    """While the writer writes without pause, other processes create keys; nobody fails and every change is seen."""
    code = (
        "import sys, pathlib\n"
        "from llmgw.storage.control import Control\n"
        "with Control(pathlib.Path(sys.argv[1])) as control:\n"
        "    for number in range(40): control.create(f'{sys.argv[2]}-{number}')\n"
    )

    async def journey():
        ledger = Ledger.open(path, "boot", SYSTEM_CLOCK)
        gateway = Control(path)
        busy = True

        async def call(number):
            while busy:
                number += 100
                await ledger.hold(a_hold(number))
                await ledger.settle(an_outcome(number), a_request(number))

        calls = [asyncio.ensure_future(call(number)) for number in range(16)]
        commands = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, os.fspath(path), name, stderr=subprocess.PIPE
            )
            for name in ("one", "two")
        ]
        stamps = set()
        while any(command.returncode is None for command in commands):
            stamps.add(gateway.stamp.read())
            await asyncio.sleep(0.001)
        errors = [await command.stderr.read() for command in commands]
        busy = False
        await asyncio.gather(*calls)
        assert errors == [b"", b""]
        assert len(gateway.load_keys()) == 80
        assert gateway.version() == 81
        assert len(stamps) > 2
        assert ledger.verify() == []
        ledger.close()
        gateway.close()

    asyncio.run(journey())


def test_locked_database_is_named(control, path):
    """A command that cannot write because another program holds the file says so."""
    control._connection.execute("PRAGMA busy_timeout = 50")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        stamp = control.stamp.read()
        with pytest.raises(Unavailable, match="locked"):
            control.create("ci")
        assert control.stamp.read() == stamp
    assert control.load_keys() == ()


def test_place_without_room_for_a_stamp(path):
    """When the stamp cannot be made beside the database, the error names the place."""
    path.with_name(path.name + ".stamp").mkdir()
    with pytest.raises(ConfigInvalid, match="beside"):
        Control(path)


def test_stamp_survives_what_is_done_to_its_file(control, path):
    """A stamp that is cut short, deleted or replaced under a running gateway ends nothing and works again."""
    file = path.with_name(path.name + ".stamp")
    control.create("one")
    os.truncate(file, 0)
    time.sleep(2 * FRESH_SECONDS)
    assert control.stamp.read() == 0
    for take_away in (file.unlink, lambda: (file.unlink(), file.write_bytes(b"x" * 99))):
        take_away()
        control.stamp.renew()
        seen = control.stamp.read()
        with Control(path) as other:
            other.set("any", str(seen))
        time.sleep(2 * FRESH_SECONDS)
        assert control.stamp.read() != seen


def test_clock_is_asked_not_the_system(path):
    """Times of keys come from the clock that was given."""
    with Control(path, Clock(now=lambda: 5, tick=lambda: 5)) as control:
        assert control.create("ci")[0].created_at == 5
