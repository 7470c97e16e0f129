"""How things stand as far as only files tell: budgets and their burn, keys, notices, what the caches hold."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from llmgw.desk.meanings import semantic
from llmgw.desk.overview import Overview, group, living, overview, wider
from llmgw.domain.killswitch import Mode
from llmgw.domain.limit import Measure
from llmgw.domain.pulse import BudgetNow, CacheNow, KeyNow, Near, Notice
from llmgw.domain.scope import Scope, ScopeKind
from llmgw.errors import GatewayError
from llmgw.rules.windows import HOUR
from llmgw.storage.answers import AnswerStore
from llmgw.storage.answers_schema import FILE_NAME
from llmgw.storage.control import Control
from llmgw.storage.kills import Kills
from llmgw.storage.limits import Limits
from llmgw.storage.meanings import Meanings
from llmgw.storage.notices import Notices

if TYPE_CHECKING:
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from llmgw.config.caching import Cache
    from llmgw.domain.clock import Clock
    from llmgw.domain.identity import Key
    from llmgw.domain.limit import Limit
    from llmgw.storage.notices import Notice as Noticed

KEYS = 500
"""Keys that are told, those used last first."""
NOTICES = 50
NEAREST = 5
CLASSES = 50
"""Classes of similarity between 0 and 1: each is 0.02 wide."""
BEGINNING = 120
"""Characters of a remembered prompt that are shown."""
WORDS = {
    Measure.REQUESTS_PER_MINUTE: "requests/minute",
    Measure.REQUESTS_PER_DAY: "requests/day",
    Measure.TOKENS_PER_MINUTE: "tokens/minute",
    Measure.TOKENS_PER_DAY: "tokens/day",
    Measure.CONCURRENCY: "at one time",
}


class Kept(NamedTuple):
    """What was read, each part as ``domain.pulse.Standing`` has it."""

    budgets: tuple[BudgetNow, ...] = ()
    keys: tuple[KeyNow, ...] = ()
    notices: tuple[Notice, ...] = ()
    cache: CacheNow | None = None


def read_kept(database: Path, zone: ZoneInfo, clock: Clock, limits: tuple[Limit, ...], caches: Cache) -> Kept:
    """Read all of it; ``limits`` are those of the configuration. Unavailable where the database cannot be read."""
    with Control(database, clock) as control:
        return Kept(
            budgets=_budgets(control, zone, clock.now()),
            keys=_keys(control, limits),
            notices=tuple(map(notice, Notices(control).list(NOTICES))),
            cache=_cache(database.with_name(FILE_NAME), clock, caches),
        )


def _budgets(control: Control, zone: ZoneInfo, now: int) -> tuple[BudgetNow, ...]:
    rows, keys = overview(control, zone, now), living(control)
    by_scope = group(rows)
    return tuple(_budget(row, _parent(row, by_scope, keys)) for row in rows)


def _budget(row: Overview, parent: str | None) -> BudgetNow:
    budget = row.budget
    return BudgetNow(
        scope=str(budget.scope),
        window=budget.window,
        unit=budget.unit,
        spent=row.spent,
        held=row.held,
        hard=budget.hard,
        left=row.left,
        used=row.used,
        burn=row.burn,
        ends_at=row.ends_at,
        runs_out_at=row.runs_out_at,
        warn=budget.warn,
        on_exceed=budget.on_exceed,
        tightest=None if row.tightest is None else str(row.tightest.scope),
        parent=parent,
    )


def _parent(row: Overview, by_scope: dict[Scope, list[Overview]], keys: dict[str, Key]) -> str | None:
    """The narrowest of the wider scopes that have a budget."""
    scope, kinds = row.budget.scope, list(ScopeKind)
    above = [each for each in wider(scope, keys) if each in by_scope and each != scope]
    return str(max(above, key=lambda each: kinds.index(each.kind))) if above else None


def _keys(control: Control, declared: tuple[Limit, ...]) -> tuple[KeyNow, ...]:
    issued = Limits(control).list()
    replaced = {(limit.scope, limit.measure) for limit in issued}
    limits: dict[Scope, list[str]] = {}
    for limit in (*issued, *(each for each in declared if (each.scope, each.measure) not in replaced)):
        limits.setdefault(limit.scope, []).append(f"{limit.amount:,} {WORDS[limit.measure]}")
    paused = {kill.scope for kill in Kills(control).list() if kill.mode is not Mode.OFF}
    found = [key for key in control.load_keys() if key.revoked_at is None]
    found.sort(key=lambda key: -(key.last_used_at or key.created_at))
    return tuple(
        KeyNow(
            id=key.id,
            name=key.name,
            shown=key.shown,
            tenant=key.tenant,
            user=key.user,
            plan=key.plan,
            models=key.models,
            tags=key.tags,
            admin=key.admin,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
            limits=tuple(limits.get(Scope(ScopeKind.KEY, key.name), ())),
            paused=f"key:{key.name}" in paused,
        )
        for key in found[:KEYS]
    )


def notice(kept: Noticed) -> Notice:
    """A notice, with the command that changes what it tells of."""
    return Notice(at=kept.at, kind=kept.kind, message=kept.message, command=_command(kept.kind, kept.name))


def _command(kind: str, name: str) -> str:
    subject, *rest = name.removeprefix(f"{kind} ").split(" ")
    match kind:
        case "budget" if rest:
            return f"llmgw budget set {subject} AMOUNT/{rest[0]}"
        case "kill":
            return f"llmgw kill off {subject}"
        case "loop":
            return f"llmgw kill off key:{subject}"
        case "breaker" if rest[:1] == ["open"]:
            return f"llmgw provider test {subject.partition('/')[0]}"
    return ""


def _cache(path: Path, clock: Clock, options: Cache) -> CacheNow | None:
    """What the caches hold; None where there are none, or their file cannot be read."""
    if not path.exists():
        return None
    now, cap = clock.now(), int(options.size_mb * 1_048_576)
    with suppress(GatewayError), AnswerStore.open(path, clock=clock, cap_bytes=cap) as store:
        holdings, lately = store.stats(), store.counters(now - 24 * HOUR)
        oldest = store.list(limit=1, order="oldest")
        meaning = semantic(store, options.semantic.mode, options.semantic.max_error, 0, None)
        classes: dict[int, int] = {}
        for cosine in Meanings(store).cosines():
            place = min(CLASSES - 1, int(cosine * CLASSES))
            classes[place] = classes.get(place, 0) + 1
        return CacheNow(
            entries=sum(each.entries for each in holdings),
            bytes=store.bytes(),
            cap_bytes=cap,
            oldest_at=oldest[0].created_at if oldest else None,
            evicted=lately.get("evicted", 0),
            expired=lately.get("expired", 0),
            saved_us=lately.get("saved_us", 0),
            audits=meaning.audits,
            state=_state(meaning.mode, serves=any(judge.serves for judge in meaning.judges)),
            threshold=None,
            max_error=meaning.max_error,
            similarities=tuple((place / CLASSES, count) for place, count in sorted(classes.items())),
            near=tuple(
                Near(text=miss.remembered[:BEGINNING], count=miss.times, similarity=miss.cosine)
                for miss in meaning.near_misses
            ),
            top=tuple(
                Near(text=entry.prompt[:BEGINNING], count=entry.hits, saved=entry.saved)
                for entry in store.list(limit=NEAREST, order="saved")
                if entry.hits
            ),
        )
    return None


def _state(mode: str, *, serves: bool) -> str:
    if mode == "off":
        return "off"
    if mode == "shadow":
        return "shadow: it watches and serves nothing"
    return "on: it serves" if serves else "on: not sure enough yet to serve"
