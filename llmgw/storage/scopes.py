"""Which of the scopes that somebody asks about hold the calls of a dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.domain.scope import ScopeKind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping

    from llmgw.domain.scope import Scope

_WORDS = {
    ScopeKind.ALL: "''",
    ScopeKind.TENANT: "tenant",
    ScopeKind.USER: "user",
    ScopeKind.KEY: "key_name",
    ScopeKind.TIER: "tier",
    ScopeKind.PROVIDER: "provider",
    ScopeKind.MODEL: "model, provider || '/' || model",
}


FEW = 50
"""As long as so few scopes are asked about, only their dimensions are read."""


class Scopes:
    """Of ``wanted`` scopes those that hold a dimension, found once for each that is asked about.

    ``only`` is what a query on dimensions may add to its conditions to leave out those that none of them holds.
    """

    def __init__(self, connection: sqlite3.Connection, wanted: Collection[Scope]) -> None:
        by_kind: dict[ScopeKind, dict[str, Scope]] = {}
        for scope in wanted:
            by_kind.setdefault(scope.kind, {})[scope.name] = scope
        self._tags = by_kind.pop(ScopeKind.TAG, {})
        self._named = [by_kind[kind] for kind in by_kind for _ in _WORDS[kind].split(", ")]
        words = ", ".join(["id", "tags", *(_WORDS[kind] for kind in by_kind)])
        few = len(wanted) <= FEW and ScopeKind.ALL not in by_kind
        terms, values = _where(by_kind, self._tags) if few else ("TRUE", [])
        rows = connection.execute(f"SELECT {words} FROM dimensions WHERE {terms}", values)  # noqa: S608
        self._words = {number: (tags, names) for number, tags, *names in rows}
        self.only = f" AND dimension IN ({', '.join(map(str, self._words))})" if few else ""
        self._found: dict[int, list[Scope]] = {}

    def of(self, dimension: int) -> list[Scope]:
        """The wanted scopes of a dimension, each once."""
        found = self._found.get(dimension)
        if found is None:
            tags, names = self._words[dimension]
            found = [scopes[name] for scopes, name in zip(self._named, names, strict=True) if name in scopes]
            if tags and self._tags:
                found += [self._tags[tag] for tag in tags.split(",") if tag in self._tags]
            self._found[dimension] = found
        return found


def _where(by_kind: Mapping[ScopeKind, Collection[str]], tags: Collection[str]) -> tuple[str, list[str]]:
    """The dimensions of these scopes, as a condition and its values; where a tag is meant, all that have any."""
    terms, values = ["FALSE"], list[str]()
    for kind, names in by_kind.items():
        for column in _WORDS[kind].split(", "):
            terms.append(f"{column} IN ({', '.join('?' * len(names))})")
            values += names
    if tags:
        terms.append("tags <> ''")
    return " OR ".join(terms), values
