"""Who may: keys and settings, the same for a command and for the running gateway.

A key is random, so its SHA-256 is all that is kept; the key itself is shown once and cannot be found again.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager
from difflib import get_close_matches
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

import msgspec

from llmgw.domain.clock import SYSTEM_CLOCK, Clock, Nanoseconds
from llmgw.domain.identity import Key
from llmgw.errors import BadRequest, ConfigInvalid, Conflict, NotFound
from llmgw.storage.database import Database, troubles
from llmgw.storage.stamp import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_COLUMNS = (
    "id, name, hash, shown, tenant, user, plan, models, tags, created_at, expires_at, revoked_at, last_used_at, "
    "previous_hash, grace_until, admin, cache"
)
_NAME = re.compile(r"[\w.@-]{1,64}")


def generate_token() -> str:
    """``lgw_`` and 43 characters that carry 256 random bits."""
    from secrets import token_urlsafe  # noqa: PLC0415  takes longer to load than the status line may

    return "lgw_" + token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """What is kept of a token."""
    return sha256(token.encode()).digest()


class Control:
    """Keys and settings in the database at ``path``; each change commits and moves the stamp that the gateway watches.

    Usable from one thread at a time. Unavailable when the file cannot be written.
    """

    def __init__(self, path: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self._database = Database.open(path, clock=clock)
        self._clock = clock
        try:
            self.stamp = Stamp(self._database.path)
        except OSError as error:
            raise ConfigInvalid(
                f"cannot write beside {path}: {(error.strerror or str(error)).lower()}",
                hint="choose another home with LLMGW_HOME",
            ) from error
        self._connection = self._database.connect()

    def version(self) -> int:
        """A number that every change of a key or a setting raises."""
        with troubles(self._database.path):
            (version,) = self._connection.execute("SELECT version FROM control").fetchone()
            return int(version)

    def load_keys(self) -> tuple[Key, ...]:
        """Every key there ever was, also revoked and expired ones, oldest first."""
        with troubles(self._database.path):
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY id")  # noqa: S608
            return tuple(_key(row) for row in rows)

    def changed_keys(self, since: int) -> tuple[dict[int, Key], int, int]:
        """By id the keys that changed after ``since``, a number that this gave before; the next one; how many there are."""
        with self.moment() as connection:
            found = connection.execute(f"SELECT {_COLUMNS} FROM keys WHERE change > ?", (since,))  # noqa: S608
            keys = {key.id: key for key in map(_key, found)}
            newest, count = connection.execute("SELECT max(change), count(*) FROM keys").fetchone()
        return keys, newest or 0, count

    def show(self, name: str) -> Key:
        """The key of that name: the one that counts, else the one revoked last; NotFound with near names."""
        matching = [key for key in self.load_keys() if key.name == name]
        if not matching:
            names = {key.name for key in self.load_keys() if key.revoked_at is None}
            near = get_close_matches(name, names)
            known = f"did you mean {' or '.join(f'`{other}`' for other in near)}?" if near else None
            raise NotFound(f"there is no key `{name}`", hint=known or "`llmgw key list` shows what there is")
        return max(matching, key=lambda key: (key.revoked_at is None, key.id))

    def find(self, token: str) -> Key | None:
        """The key whose present value a token is, whether or not it still counts."""
        with troubles(self._database.path):
            sql = f"SELECT {_COLUMNS} FROM keys WHERE hash = ?"  # noqa: S608
            row = self._connection.execute(sql, (hash_token(token),)).fetchone()
            return None if row is None else _key(row)

    def create(
        self,
        name: str,
        *,
        tenant: str = "default",
        user: str = "",
        plan: str = "",
        models: tuple[str, ...] = (),
        tags: tuple[str, ...] = (),
        expires_at: Nanoseconds | None = None,
        admin: bool = False,
        cache: bool = True,
        token: str | None = None,
    ) -> tuple[Key, str]:
        """A new key and its token, which is shown to nobody again; Conflict when the name is in use.

        ``token`` brings one's own instead of a random one.
        """
        if not _NAME.fullmatch(name):
            raise BadRequest(
                f"`{name}` cannot name a key", hint="use up to 64 letters, digits and . _ - @", param="name"
            )
        if any("," in tag or not tag.strip() for tag in tags):
            raise BadRequest("a tag is neither empty nor holds a comma", param="tags")
        token = generate_token() if token is None else token
        values = (
            name,
            hash_token(token),
            _shown(token),
            tenant,
            user,
            plan,
            _pack(models),
            _pack(tuple(sorted({tag.strip() for tag in tags}))),
            self._clock.now(),
            expires_at,
            admin,
            cache,
        )
        with self.change() as connection:
            try:
                connection.execute(
                    "INSERT INTO keys (name, hash, shown, tenant, user, plan, models, tags, created_at, expires_at, "
                    "admin, cache) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    values,
                )
            except sqlite3.IntegrityError as error:
                if "keys.hash" in str(error):
                    raise Conflict("a key with this value exists already") from error
                raise Conflict(
                    f"there is a key `{name}` already",
                    hint=f"take another name, or give it a new value: `llmgw key rotate {name}`",
                ) from error
        return self.show(name), token

    def rotate(self, name: str, *, grace: Nanoseconds = 0) -> tuple[Key, str]:
        """A new token for a key; the old one still counts for ``grace`` nanoseconds. Conflict when it was revoked."""
        key = self._living(name)
        token, until = generate_token(), self._clock.now() + grace
        with self.change() as connection:
            connection.execute(
                "UPDATE keys SET previous_hash = hash, grace_until = ?, hash = ?, shown = ? WHERE id = ?",
                (until, hash_token(token), _shown(token), key.id),
            )
        return self.show(name), token

    def allow_cache(self, name: str, allowed: bool) -> Key:
        """Whether caches may answer a key's calls and remember their answers. Conflict when it was revoked."""
        key = self._living(name)
        with self.change() as connection:
            connection.execute("UPDATE keys SET cache = ? WHERE id = ?", (allowed, key.id))
        return self.show(name)

    def revoke(self, name: str) -> Key:
        """Close the door to a key for good; its name is free again. Revoking it twice changes nothing."""
        key = self.show(name)
        with self.change() as connection:
            connection.execute(
                "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
                (self._clock.now(), key.id),
            )
        return self.show(name)

    def touch(self, used: Mapping[int, Nanoseconds]) -> None:
        """Note when keys (by id) were last used; this is no change that the gateway would have to see."""
        with troubles(self._database.path), self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "UPDATE keys SET last_used_at = max(?, coalesce(last_used_at, 0)) WHERE id = ?",
                [(moment, number) for number, moment in used.items()],
            )

    def ensure_first_key(self, name: str = "default") -> tuple[Key, str | None]:
        """The first key, made with its token when there is no key at all yet, else an existing one and None.

        Prefers the key of that name; where several processes start at once, one of them makes it.
        """
        living = [key for key in self.load_keys() if key.revoked_at is None]
        for key in living:
            if key.name == name:
                return key, None
        if living:
            return living[0], None
        try:
            return self.create(name)
        except Conflict:
            return self.show(name), None

    def settings(self) -> dict[str, str]:
        """Every setting by name."""
        with troubles(self._database.path):
            return dict(self._connection.execute("SELECT name, value FROM settings ORDER BY name"))

    def setting(self, name: str) -> str | None:
        """One setting, None where it was never set."""
        return self.settings().get(name)

    def set(self, name: str, value: str | None) -> None:
        """Change a setting; None removes it."""
        with self.change() as connection:
            if value is None:
                connection.execute("DELETE FROM settings WHERE name = ?", (name,))
            else:
                connection.execute(
                    "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    (name, value),
                )

    @contextmanager
    def change(self, *, quiet: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction; once it is committed the stamp moves, unless it is ``quiet``: nothing a gateway acts on."""
        with troubles(self._database.path), self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
        if not quiet:
            self.stamp.bump()

    @contextmanager
    def moment(self) -> Iterator[sqlite3.Connection]:
        """A transaction for reading: everything read inside belongs to one moment."""
        with troubles(self._database.path), self._connection as connection:
            connection.execute("BEGIN")
            yield connection

    def close(self) -> None:
        self._connection.close()
        self._database.close()
        self.stamp.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _living(self, name: str) -> Key:
        key = self.show(name)
        if key.revoked_at is not None:
            raise Conflict(
                f"key `{name}` is revoked", hint=f"make a new one of that name: `llmgw key create {name}`"
            )
        return key


def _key(row: tuple[Any, ...]) -> Key:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["models"] = msgspec.json.decode(values["models"])
    values["tags"] = msgspec.json.decode(values["tags"])
    return msgspec.convert(values, Key, strict=False)


def _pack(words: tuple[str, ...]) -> str:
    return msgspec.json.encode(words).decode()


def _shown(token: str) -> str:
    """Four characters of the secret; less where somebody brought a short one."""
    return token[: 8 if token.startswith("lgw_") else min(4, len(token) // 4)] + "…"
