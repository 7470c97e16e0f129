"""Which targets fail: they are asked after the others until a single call, or a look at the server, finds them well."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from llmgw.domain.breaker import Failing
from llmgw.errors import UpstreamFailed, UpstreamRefused
from llmgw.providers.transport import UNREACHABLE
from llmgw.rules.breaker import SECOND, Breaker, Breaking

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmgw.domain.clock import Clock, Nanoseconds
    from llmgw.domain.route import Target

log = logging.getLogger("llmgw.breaker")

REMEMBERED = 1024
"""Failing targets that are remembered; a caller can make them up where a server takes any name."""


SERVER_FAULT = 500
"""Statuses from here on are about the target, those below about the call."""


def says(error: BaseException) -> bool | None:
    """Whether a failure tells that its target works or not; None where it tells nothing of it."""
    if isinstance(error, UpstreamRefused):
        return error.status < SERVER_FAULT
    return False if isinstance(error, UpstreamFailed) else None


class Breakers:
    """A breaker for each target that has failed of late; one that has not costs nothing. ``changes`` moves with each."""

    def __init__(self, rules: Breaking, clock: Clock, tell: Callable[[str, str, str], None]) -> None:
        """``tell`` makes a notice of a kind, a unique name and a message."""
        self._rules = rules
        self._clock = clock
        self._tell = tell
        self._known: dict[tuple[str, str], Breaker] = {}
        self._away: set[tuple[str, str]] = set()
        """Targets whose server could not even be connected to the last time, or was no better when it was looked at."""
        self.changes = 0

    def __bool__(self) -> bool:
        return bool(self._known)

    def order(self, targets: list[Target]) -> list[Target]:
        """Those that work first, then those that are left alone, the one whose time is over soonest before the others."""
        now = self._clock.tick()
        well: list[Target] = []
        shut: list[tuple[Nanoseconds, Target]] = []
        for target in targets:
            breaker = self._known.get((target.provider, target.model))
            if breaker is None or breaker.passes(now):
                well.append(target)
            else:
                shut.append((breaker.until or 0, target))
        return well + [target for _, target in sorted(shut, key=lambda each: each[0])]

    def busy(self, target: Target) -> bool:
        """Whether an open target is being tried by another call already."""
        breaker = self._known.get((target.provider, target.model))
        return breaker is not None and breaker.trying

    def enter(self, target: Target) -> bool:
        """A call goes to a target; what comes back goes into ``leave``."""
        if not self._known:
            return False
        breaker = self._known.get((target.provider, target.model))
        return breaker is not None and breaker.enter()

    def leave(self, target: Target, error: BaseException | None, *, tried: bool) -> None:
        """How the call ended: None went well."""
        if error is None and not self._known:
            return
        name = target.provider, target.model
        well = True if error is None else says(error)
        breaker = self._known.get(name)
        if well is False:
            self._failed(target, name, breaker or self._new(name), error, tried=tried)
        elif breaker is None:
            return
        elif well:
            self._succeeded(target, name, breaker, tried=tried)
        elif tried:
            breaker.leave()

    def _new(self, name: tuple[str, str]) -> Breaker:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
            self._away.clear()
        breaker = self._known[name] = Breaker(self._rules)
        return breaker

    def _succeeded(self, target: Target, name: tuple[str, str], breaker: Breaker, *, tried: bool) -> None:
        now = self._clock.tick()
        self._away.discard(name)
        if breaker.succeed(now, tried=tried):
            self.changes += 1
            words = f"{target.name} works again"
            self._tell("breaker", f"breaker {target.name} closed {self._clock.now()}", words)
        elif breaker.quiet(now):
            del self._known[name]

    def _failed(
        self,
        target: Target,
        name: tuple[str, str],
        breaker: Breaker,
        error: BaseException | None,
        *,
        tried: bool,
    ) -> None:
        now = self._clock.tick()
        if isinstance(error, UpstreamFailed) and error.code == UNREACHABLE:
            self._away.add(name)
        else:
            self._away.discard(name)
        again = breaker.until is not None
        if not breaker.fail(now, tried=tried) or breaker.until is None:
            return
        self.changes += 1
        words = (
            f"{target.name} keeps failing: others are asked first for {(breaker.until - now) / SECOND:g} s"
        )
        if again:
            log.info("%s", words)
        else:
            self._tell("breaker", f"breaker {target.name} open {self._clock.now()}", words)

    def shut(self) -> set[str]:
        """Providers of targets that are left alone, or are about to be tried."""
        return {provider for (provider, _), breaker in self._known.items() if breaker.until is not None}

    def away(self) -> set[str]:
        """Providers that are left alone because nobody could connect to them."""
        return {name[0] for name in self._away} & self.shut()

    def looked(self, provider: str, *, well: bool) -> None:
        """Somebody has looked at a provider's server.

        Where it was away and answers again the next call tries it. Where it does not, no call is spent on finding out.
        What fails although its server is well only a call can try.
        """
        now, changed = self._clock.tick(), 0
        for name, breaker in self._known.items():
            if name[0] != provider or breaker.until is None:
                continue
            if not well:
                self._away.add(name)
                changed += breaker.put_off(now)
            elif name in self._away:
                self._away.discard(name)
                breaker.heal(now)
                changed += 1
        self.changes += changed
        if well and changed:
            log.info("%s is there again: the next call tries it", provider)

    def shown(self) -> list[Failing]:
        """What is known now, by name; for people, not for the hot path."""
        now, moment = self._clock.tick(), self._clock.now()
        return [
            Failing(
                provider,
                model,
                breaker.state(now),
                breaker.row,
                moment + breaker.until - now,
            )
            for (provider, model), breaker in sorted(self._known.items())
            if breaker.until is not None
        ]
