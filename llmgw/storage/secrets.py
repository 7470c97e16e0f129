"""Credentials of providers: where they may lie, in which order, and how one is put away.

Environment, then a file that the environment or the machine's secret store names, then the OS keyring, then
``credentials.toml``. All are read once, when a process starts; the file holds a credential only where its owner
chose that, and otherwise just the names of those in the keyring, so that no keyring is touched without need.
"""

from __future__ import annotations

import os
import re
import stat
import threading
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import Struct

from llmgw.config.masking import mask
from llmgw.config.private import write_private
from llmgw.errors import BadRequest, ConfigInvalid, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from llmgw.config.paths import Paths

SERVICE = "llmgw"
"""The name under which the keyring files our entries."""

KEY_PREFIX = "lgw_"
"""How the keys begin that callers hold."""

KEYRING_SECONDS = 5.0
"""How long a keyring may take: one that waits for a dialog nobody sees must not hold up a start."""

DOCKER_SECRETS = Path("/run/secrets")

HEADER = """\
# Credentials that `llmgw provider add` put away. `keyring` names those in the keyring of the operating system;
# [values] holds those that were stored here, readable by whoever can read this file.
"""

T = TypeVar("T")


class Keyring(Protocol):
    """What is used of the `keyring` package."""

    def get_password(self, service_name: str, username: str) -> str | None: ...
    def set_password(self, service_name: str, username: str, password: str) -> None: ...
    def delete_password(self, service_name: str, username: str) -> None: ...


class Credential(Struct, frozen=True):
    """A provider's credential and where it was found. Its text form never holds the value."""

    value: str
    source: str

    @property
    def masked(self) -> str:
        return mask(self.value)

    def __repr__(self) -> str:
        return f"Credential({self.masked!r}, {self.source!r})"


class Findings(Struct, frozen=True):
    """Credentials by provider, and in words what stood in the way of others."""

    credentials: dict[str, Credential]
    problems: tuple[str, ...] = ()


def find_credentials(
    wanted: Mapping[str, Iterable[str]],
    paths: Paths,
    environ: Mapping[str, str] = os.environ,
    *,
    own: str = "",
    keyring: Callable[[], Keyring] | None = None,
    docker_secrets: Path = DOCKER_SECRETS,
) -> Findings:
    """The credential of each provider, by the variables it is known under (``OPENAI_API_KEY``), most telling first.

    ``LLMGW_OPENAI_API_KEY`` goes before ``OPENAI_API_KEY``. Where `llmgw env` has pointed a shell at the gateway such
    a variable holds one of our keys, or ``own``, the gateway's secret: those are no provider's. A source that cannot be read is a problem, not an error:
    the gateway starts without that provider and says why.
    """
    problems: list[str] = []
    found: dict[str, Credential] = {}
    theirs = {name: text for name, text in environ.items() if not text.startswith(KEY_PREFIX) and text != own}
    folders = [Path(each) for each in (environ.get("CREDENTIALS_DIRECTORY"),) if each] + [docker_secrets]
    stored, in_keyring = _read_store(paths.credentials, problems)
    ask: list[str] = []
    for provider, names in wanted.items():
        variables = tuple(variant for name in names for variant in (f"LLMGW_{name}", name))
        candidate = _from_environment(variables, theirs, problems) or _from_folders(
            variables, folders, problems
        )
        if candidate is not None:
            _keep(provider, candidate, found, problems)
        elif provider in in_keyring:
            ask.append(provider)
        elif provider in stored:
            _keep(provider, Credential(stored[provider], str(paths.credentials)), found, problems)
    if ask:
        try:
            entries = read_keyring(ask, keyring)
        except Unavailable as error:
            entries = {}
            problems.append(f"{', '.join(ask)}: {error.message}")
        for provider, value in entries.items():
            if value:
                _keep(provider, Credential(value, "keyring"), found, problems)
            else:
                problems.append(
                    f"{provider}: its credential is gone from the keyring; `llmgw provider add {provider}`"
                )
    return Findings(found, tuple(problems))


def check_credential(value: str) -> str:
    """``value`` without surrounding blanks; BadRequest, not repeating it, when it cannot be a credential."""
    clean = value.strip()
    if not clean:
        raise BadRequest("the credential is empty")
    if not clean.isascii() or not clean.isprintable() or " " in clean:
        raise BadRequest("the credential holds blanks or unprintable characters", hint="copy it again")
    return clean


def store_in_keyring(
    provider: str, value: str, paths: Paths, keyring: Callable[[], Keyring] | None = None
) -> None:
    """Put a credential into the OS keyring and read it back; Unavailable when there is no keyring that keeps it."""
    value = check_credential(value)

    def store(ring: Keyring) -> None:
        ring.set_password(SERVICE, provider, value)
        if ring.get_password(SERVICE, provider) != value:
            raise RuntimeError("it does not give back what it was given")

    values, names = _store_to_change(paths.credentials)
    _within_time(store, keyring)
    values.pop(provider, None)
    _write_store(paths.credentials, values, names | {provider})


def store_in_file(provider: str, value: str, paths: Paths) -> None:
    """Put a credential into ``credentials.toml``, mode 0600; OSError when that cannot be written."""
    values, names = _store_to_change(paths.credentials)
    _write_store(paths.credentials, values | {provider: check_credential(value)}, names - {provider})


def forget(provider: str, paths: Paths, keyring: Callable[[], Keyring] | None = None) -> str:
    """Remove what was stored for a provider; says from where, empty when nothing was."""
    values, names = _store_to_change(paths.credentials)
    if provider in names:
        _within_time(lambda ring: ring.delete_password(SERVICE, provider), keyring)
        _write_store(paths.credentials, values, names - {provider})
        return "keyring"
    if values.pop(provider, None) is not None:
        _write_store(paths.credentials, values, names)
        return str(paths.credentials)
    return ""


def probe_keyring(keyring: Callable[[], Keyring] | None = None) -> str:
    """Write, read and delete an entry; the backend's name, or Unavailable with the reason."""

    def probe(ring: Keyring) -> str:
        ring.set_password(SERVICE, "doctor", "probe")
        try:
            if ring.get_password(SERVICE, "doctor") != "probe":
                raise RuntimeError("it does not give back what it was given")
        finally:
            ring.delete_password(SERVICE, "doctor")
        return str(getattr(ring, "name", type(ring).__name__))

    return _within_time(probe, keyring)


def read_keyring(
    providers: Iterable[str], keyring: Callable[[], Keyring] | None = None
) -> dict[str, str | None]:
    """The keyring's entries; Unavailable when it cannot be opened or does not answer in time."""
    return _within_time(lambda ring: {name: ring.get_password(SERVICE, name) for name in providers}, keyring)


def _os_keyring() -> Keyring:
    import keyring  # noqa: PLC0415  most starts do without it

    return keyring.get_keyring()


def _within_time(work: Callable[[Keyring], T], keyring: Callable[[], Keyring] | None) -> T:
    """Run ``work`` on the keyring in a thread that is left behind when it hangs."""
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work((keyring or _os_keyring)()))
        except Exception as error:  # noqa: BLE001  backends raise whatever their platform does
            errors.append(error)

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(KEYRING_SECONDS)
    if results:
        return results[0]
    reason = (
        f"failed ({str(errors[0]).partition('. ')[0] or type(errors[0]).__name__})"
        if errors
        else f"did not answer in {KEYRING_SECONDS:g} s"
    )
    raise Unavailable(
        f"the keyring {' '.join(reason.split())}",
        hint="set the provider's variable (OPENAI_API_KEY), or keep the credential in a file with `--store file`",
    )


def _from_environment(
    names: Iterable[str], environ: Mapping[str, str], problems: list[str]
) -> Credential | None:
    names = tuple(names)
    for name in names:
        if environ.get(name, "").strip():
            return Credential(environ[name], f"${name}")
    for name in names:
        if path := environ.get(f"{name}_FILE"):
            return _from_path(Path(path), f"${name}_FILE", problems)
    return None


def _from_folders(names: Iterable[str], folders: Iterable[Path], problems: list[str]) -> Credential | None:
    """A systemd credential or a Docker secret named like the variable, in capitals or not."""
    names = tuple(names)
    for folder in folders:
        for name in (variant for each in names for variant in (each, each.lower())):
            path = folder / name
            if path.is_file():
                return _from_path(path, str(path), problems)
    return None


def _from_path(path: Path, source: str, problems: list[str]) -> Credential | None:
    try:
        return Credential(path.read_text(encoding="utf-8"), source)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        problems.append(f"{source}: {path} cannot be read ({reason})")
        return None


def _keep(provider: str, candidate: Credential, found: dict[str, Credential], problems: list[str]) -> None:
    try:
        found[provider] = Credential(check_credential(candidate.value), candidate.source)
    except BadRequest as error:
        problems.append(f"{provider}: {candidate.source}: {error.message}")


def _read_store(path: Path, problems: list[str]) -> tuple[dict[str, str], set[str]]:
    """Values and keyring names of ``credentials.toml``; a file open to others is refused as ssh refuses a key."""
    try:
        mode = path.stat().st_mode
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, set()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(f"{path} cannot be read ({type(error).__name__})")
        return {}, set()
    names = {name for name in document.get("keyring", []) if isinstance(name, str)}
    values = {name: value for name, value in document.get("values", {}).items() if isinstance(value, str)}
    if values and mode & (stat.S_IRWXG | stat.S_IRWXO):
        problems.append(f"{path} is open to other users and was not read; chmod 600 {path}")
        values = {}
    return values, names


def _store_to_change(path: Path) -> tuple[dict[str, str], set[str]]:
    """As read, but ConfigInvalid where a rewrite would lose what could not be read."""
    problems: list[str] = []
    store = _read_store(path, problems)
    if problems:
        raise ConfigInvalid(problems[0], hint=f"see to {path} first")
    return store


def _write_store(path: Path, values: Mapping[str, str], names: Iterable[str]) -> None:
    lines = [HEADER, f"keyring = [{', '.join(_quoted(name) for name in sorted(names))}]\n", "\n[values]\n"]
    lines += [f"{_quoted(name)} = {_quoted(values[name])}\n" for name in sorted(values)]
    write_private(path, "".join(lines))


def _quoted(text: str) -> str:
    """A TOML basic string; names and credentials are printable ASCII."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
