"""Credentials: the order of the places, what is refused, and that none is ever shown."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.masking import mask, mask_url
from llmgw.config.paths import Paths, locate
from llmgw.errors import BadRequest, ConfigInvalid, Unavailable
from llmgw.storage import secrets
from llmgw.storage.secrets import (
    Credential,
    Findings,
    check_credential,
    find_credentials,
    forget,
    probe_keyring,
    store_in_file,
    store_in_keyring,
)

CANARY = "sk-canary-0123456789abcdef"
WANTED = {"openai": ("OPENAI_API_KEY",)}


class Ring:
    """A keyring that works; ``calls`` counts how often it was read."""

    name = "ring"

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.calls = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.calls += 1
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


class Forgetful(Ring):
    def set_password(self, service: str, username: str, password: str) -> None:
        pass

    def delete_password(self, service: str, username: str) -> None:
        pass


class Locked(Ring):
    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError("Failed to unlock the collection! See the documentation. More words")

    set_password = get_password  # type: ignore[assignment]


class Hanging(Ring):
    def get_password(self, service: str, username: str) -> str | None:
        threading.Event().wait(30)
        return None

    set_password = get_password  # type: ignore[assignment]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return locate(home=tmp_path, environ={})


def find(paths: Paths, ring: Ring | None = None, own: str = "", **environ: str) -> Findings:
    nowhere = paths.state / "run-secrets"
    return find_credentials(
        WANTED, paths, environ, own=own, keyring=lambda: ring or Ring(), docker_secrets=nowhere
    )


def test_the_places_are_asked_in_their_order(paths: Paths, tmp_path: Path) -> None:
    """Each place yields to the one before it, and the source says which it was. # B-15"""
    ring = Ring()
    systemd, docker = tmp_path / "systemd", tmp_path / "run-secrets"
    for folder in (systemd, docker):
        folder.mkdir()
    (tmp_path / "file").write_text("from-file\n")
    (systemd / "openai_api_key").write_text("from-systemd\n")
    (docker / "OPENAI_API_KEY").write_text("from-docker\n")
    environ = {
        "LLMGW_OPENAI_API_KEY": "ours",
        "OPENAI_API_KEY": "theirs",
        "OPENAI_API_KEY_FILE": str(tmp_path / "file"),
        "CREDENTIALS_DIRECTORY": str(systemd),
    }
    store_in_keyring("openai", "from-keyring", paths, lambda: ring)
    seen = []
    for gone in (*environ, "docker", "keyring"):
        found = find(paths, ring, **environ).credentials["openai"]
        seen.append((found.value, found.source))
        environ.pop(gone, None)
        if gone == "docker":
            (docker / "OPENAI_API_KEY").unlink()
    store_in_file("openai", "from-store", paths)
    last = find(paths, ring).credentials["openai"]
    assert seen == [
        ("ours", "$LLMGW_OPENAI_API_KEY"),
        ("theirs", "$OPENAI_API_KEY"),
        ("from-file", "$OPENAI_API_KEY_FILE"),
        ("from-systemd", str(systemd / "openai_api_key")),
        ("from-docker", str(docker / "OPENAI_API_KEY")),
        ("from-keyring", "keyring"),
    ]
    assert (last.value, last.source) == ("from-store", str(paths.credentials))


def test_nothing_found_is_no_problem(paths: Paths) -> None:
    """A provider without a credential is simply absent."""
    assert find(paths) == Findings({}, ())


def test_the_keyring_is_left_alone_unless_something_lies_there(paths: Paths) -> None:
    """A start touches no keyring that holds nothing of ours, since it may ask the user to unlock it."""
    ring = Ring()
    find(paths, ring)
    store_in_keyring("openai", CANARY, paths, lambda: ring)
    before = ring.calls
    find(paths, ring, OPENAI_API_KEY="set")
    assert ring.calls == before
    find(paths, ring)
    assert ring.calls == before + 1


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "LLMGW_OPENAI_API_KEY"])
@pytest.mark.parametrize("value", ["lgw_0123456789", "the-gateway-secret"])
def test_our_own_keys_are_no_providers_credential(paths: Paths, name: str, value: str) -> None:
    """In a shell that `llmgw env` has pointed at the gateway, its key must not be sent to OpenAI."""
    assert find(paths, own="the-gateway-secret", **{name: value}).credentials == {}


@pytest.mark.parametrize("value", ["two words", "a\nb", "schlüssel", "tab\tbed", "\x00\x01x"])
def test_a_broken_credential_is_a_problem_and_never_sent(paths: Paths, value: str) -> None:
    """What cannot be a header's value is refused, by its source and not by its value."""
    found = find(paths, OPENAI_API_KEY=value)
    assert found.credentials == {}
    (problem,) = found.problems
    assert problem.startswith("openai: $OPENAI_API_KEY")
    assert value not in problem
    with pytest.raises(BadRequest) as caught:
        check_credential(value)
    assert value not in caught.value.message


def test_a_file_that_cannot_be_read_is_a_problem(paths: Paths, tmp_path: Path) -> None:
    """A missing secret file is named with its variable; the start goes on."""
    (problem,) = find(paths, OPENAI_API_KEY_FILE=str(tmp_path / "none")).problems
    assert "$OPENAI_API_KEY_FILE" in problem


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_store_that_others_may_read_is_refused(paths: Paths, mode: int) -> None:
    """credentials.toml open to others is not used, as ssh refuses such a key, and not overwritten either. # B-15"""
    store_in_file("openai", CANARY, paths)
    assert paths.credentials.stat().st_mode & 0o777 == 0o600
    paths.credentials.chmod(mode)
    found = find(paths)
    assert found.credentials == {}
    assert "chmod 600" in found.problems[0]
    with pytest.raises(ConfigInvalid):
        store_in_file("groq", "x", paths)
    assert CANARY in paths.credentials.read_text()


def test_a_broken_store_is_not_overwritten(paths: Paths) -> None:
    """What cannot be read is kept for its owner to mend."""
    paths.credentials.write_text("[values")
    paths.credentials.chmod(0o600)
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        store_in_file("openai", CANARY, paths)
    assert "cannot be read" in find(paths).problems[0]
    assert paths.credentials.read_text() == "[values"


def test_what_is_stored_comes_back_and_can_be_forgotten(paths: Paths) -> None:
    """A credential moves between keyring and file, is never in both, and is gone when it is removed."""
    ring = Ring()
    store_in_file("openai", CANARY, paths)
    store_in_keyring("openai", CANARY, paths, lambda: ring)
    assert CANARY not in paths.credentials.read_text()
    assert find(paths, ring).credentials["openai"].source == "keyring"
    assert forget("openai", paths, lambda: ring) == "keyring"
    assert ring.entries == {}
    store_in_file("openai", CANARY, paths)
    assert forget("openai", paths) == str(paths.credentials)
    assert forget("openai", paths) == ""
    assert find(paths, ring) == Findings({}, ())


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_any_credential_survives_the_file(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    """Quotes and backslashes come back as they went in."""
    paths = locate(home=tmp_path_factory.mktemp("home"), environ={})
    store_in_file("openai", value, paths)
    assert find(paths).credentials["openai"].value == value


@pytest.mark.parametrize("ring", [Locked(), Forgetful()])
def test_a_keyring_that_does_not_work_is_told_from_one_that_does(paths: Paths, ring: Ring) -> None:
    """A write-read-delete round trip proves a keyring; a failure says why in one line and what to do instead."""
    with pytest.raises(Unavailable, match="the keyring failed") as caught:
        probe_keyring(lambda: ring)
    assert "--store file" in str(caught.value.hint)
    assert "More words" not in caught.value.message
    with pytest.raises(Unavailable):
        store_in_keyring("openai", CANARY, paths, lambda: ring)
    assert not paths.credentials.exists()
    assert probe_keyring(Ring) == "ring"


def test_a_keyring_that_hangs_holds_nothing_up(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dialog that nobody sees costs a start the time limit, then it goes on without that credential."""
    monkeypatch.setattr(secrets, "KEYRING_SECONDS", 0.05)
    good = Ring()
    store_in_keyring("openai", CANARY, paths, lambda: good)
    begun = time.monotonic()
    found = find(paths, Hanging())
    assert time.monotonic() - begun < 1
    assert found.credentials == {}
    assert "did not answer" in found.problems[0]


def test_an_entry_that_is_gone_from_the_keyring_is_a_problem(paths: Paths) -> None:
    """What was stored and has vanished is said, with the command that stores it again."""
    store_in_keyring("openai", CANARY, paths, Ring)
    (problem,) = find(paths, Ring()).problems
    assert "llmgw provider add openai" in problem


def test_a_credential_is_never_shown_whole() -> None:
    """Its text form and its masked form hold at most how it begins and its last four. # B-15"""
    credential = Credential(CANARY, "keyring")
    assert CANARY not in f"{credential} {credential!r} {credential.masked}"
    assert credential.masked == "sk-…cdef"
    assert mask("short") == "…"
    assert mask("") == ""
    assert mask_url("http://me:pw@host/v1") == "http://…@host/v1"


@given(st.text(min_size=1))
def test_masking_hides_most_of_any_secret(secret: str) -> None:
    """Of any secret at least three quarters of what is not convention stay hidden."""
    shown = mask(secret).replace("…", "")
    assert len(shown) <= 4 + len("sk-proj-")
    assert len(secret) < 20 or secret not in mask(secret)
