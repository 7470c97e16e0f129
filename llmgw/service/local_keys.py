"""Keys for programs on this machine: the database keeps only hashes, so their tokens lie in files of their owner's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.config.private import write_private
from llmgw.errors import NotFound
from llmgw.storage.control import hash_token

if TYPE_CHECKING:
    from llmgw.config.paths import Paths
    from llmgw.domain.clock import Nanoseconds
    from llmgw.storage.control import Control

DEFAULT = "default"
"""The key issued at the first start."""


def keep(paths: Paths, name: str, token: str) -> None:
    """Put a token where `local_key` finds it; OSError when that cannot be written."""
    write_private(paths.keys / f"{name}.key", token + "\n")


def local_key(
    control: Control,
    paths: Paths,
    name: str,
    now: Nanoseconds,
    *,
    models: tuple[str, ...] = (),
    expires_at: Nanoseconds | None = None,
) -> tuple[str, bool]:
    """The token of a key, and whether it was issued just now because no living key has that name.

    ``models`` and ``expires_at`` are for a new one. NotFound when the key lives but its token is not kept here.
    """
    token = kept(paths, name)
    living = next((key for key in control.load_keys() if key.name == name and key.revoked_at is None), None)
    if living is None:
        _, token = control.create(name, models=models, expires_at=expires_at)
        keep(paths, name, token)
        return token, True
    if living.expires_at is not None and living.expires_at <= now:
        raise NotFound(
            f"key `{name}` has expired", hint=f"`llmgw key revoke {name}` makes room for a new one"
        )
    if not token or hash_token(token) != living.hash:
        raise NotFound(
            f"the value of key `{name}` is not kept on this machine",
            hint="put it into LLMGW_KEY, or issue another key with `--key OTHER-NAME`",
        )
    return token, False


def first_key(control: Control, paths: Paths) -> str | None:
    """At a gateway's first start its first key, which is then kept on this machine; None at every later one."""
    _, token = control.ensure_first_key(DEFAULT)
    if token is not None:
        keep(paths, DEFAULT, token)
    return token


def kept(paths: Paths, name: str) -> str:
    """The token kept under a name, whether or not it still counts; empty when there is none."""
    try:
        return (paths.keys / f"{name}.key").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
