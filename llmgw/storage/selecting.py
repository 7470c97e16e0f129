"""Which remembered answers are meant, as SQL: by a selector, by their age, by what went with them."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmgw.domain.cache import Selector
    from llmgw.domain.clock import Nanoseconds

DEEP = 32
"""Folders of a path, from its end, that a shorter spelling of it may begin at."""

_CONDITIONS = {
    "tenant": "tenant = :tenant",
    "key": "key_name = :key",
    "tag": "instr(',' || tags || ',', ',' || :tag || ',') > 0",
    "model": "(model GLOB :model OR model_asked GLOB :model OR provider || '/' || model GLOB :model)",
    "older_than": "created_at < :now - :older_than",
    "newer_than": "created_at >= :now - :newer_than",
    "text": "instr(lower(prompt), lower(:text)) > 0",
    "ids": "id IN (SELECT value FROM json_each(:ids))",
    "kind": "kind = :kind",
    "unused": "hits = 0",
    "files": "(EXISTS (SELECT 1 FROM json_each(:in_prompt) WHERE instr(prompt, value)) "
    "OR EXISTS (SELECT 1 FROM json_each(:in_tags) WHERE instr(',' || tags || ',', value)))",
}
"""What each condition of a selector means."""

OLDEST = """SELECT max(used) FROM (SELECT used FROM
(SELECT used_at AS used FROM entries WHERE pinned = 0 ORDER BY used_at LIMIT :most) UNION ALL SELECT used FROM
(SELECT created_at AS used FROM replays ORDER BY expires_at LIMIT :most) ORDER BY used LIMIT :most)"""
"""Up to when those were used that go first."""

FORGOTTEN = (
    "DELETE FROM sightings WHERE entry_id NOT IN (SELECT id FROM entries) OR prompt NOT IN "
    "(SELECT prompt FROM entries WHERE prompt IN (SELECT prompt FROM sightings))"
)
"""Notes of the semantic cache whose texts nobody is to find any more."""

SWEPT_AT_ONCE = 2000
"""Entries that are swept out in one go, in about a tenth of a second: whoever else writes waits meanwhile."""

EXPIRED = f"SELECT id FROM entries WHERE expires_at <= ? AND pinned = 0 LIMIT {SWEPT_AT_ONCE}"  # noqa: S608


def where(selector: Selector, now: Nanoseconds) -> tuple[str, dict[str, Any]]:
    """The condition behind ``WHERE``, and its values by name."""
    values = {name: getattr(selector, name) for name in _CONDITIONS}
    given = {name: value for name, value in values.items() if value is not None and value is not False}
    values = {**given, "now": now}
    if selector.ids is not None:
        values["ids"] = _json(selector.ids)
    if selector.files is not None:
        values |= _needles(selector.files)
    return " AND ".join(_CONDITIONS[name] for name in given) or "1", values


def _needles(files: Sequence[str]) -> dict[str, str]:
    """What to look for in prompts and in tags to find these paths.

    One of a tag and of a file given may be absolute and the other relative to some folder, so the longer one counts
    where it ends in the shorter.
    """
    parts = [PurePath(file).parts for file in files]
    ends = {"/".join(each[start:]) for each in parts for start in range(max(0, len(each) - DEEP), len(each))}
    tags = [*(f",file:{end}," for end in ends), *(f"/{'/'.join(each).lstrip('/')}," for each in parts)]
    return {"in_prompt": _json(files), "in_tags": _json(tags)}


def _json(values: Sequence[Any]) -> str:
    return msgspec.json.encode(values).decode()
