"""What providers said of their limits, so that a call goes where there is room instead of being refused there.

A target whose rest is used up is asked after the others, one that has refused last of all until its time is over.
Where every target has, the gateway refuses for them, but never longer than `PROBE` without asking again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.domain.headroom import Headroom
from llmgw.domain.route import Tier
from llmgw.errors import RateLimited, UpstreamRefused
from llmgw.providers.anthropic import is_setup_token
from llmgw.rules.estimating import IMAGE_TOKENS
from llmgw.rules.headroom import SECOND, is_plenty, need_of, read_allowances, read_retry, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.headroom import Allowance
    from llmgw.domain.route import Target
    from llmgw.gates.state import Attempt, Call, Gateway
    from llmgw.providers.base import Headers

PROBE = 60 * SECOND
"""A provider that is asked no sooner than this has been asked long ago: its limit may have been raised meanwhile."""

UNSAID = 5 * SECOND
"""How long others go first where a provider refuses without saying for how long."""

REFUSING = frozenset({429, 503, 529})
"""Statuses that say: not now. The last one is Anthropic's `overloaded`."""

REMEMBERED = 512
"""Targets whose words are kept; past that the memory starts again."""


class _Said:
    """The last words of one target. ``at`` and ``until`` are ticks; headers are read only where somebody asks."""

    __slots__ = ("_read", "at", "headers", "moment", "strict", "until")

    def __init__(self, at: Nanoseconds, moment: Nanoseconds, headers: Headers) -> None:
        self.at = at
        self.moment = moment
        self.headers = headers
        self.until = 0
        self.strict = False
        self._read: tuple[Allowance, ...] | None = None

    @property
    def allowances(self) -> tuple[Allowance, ...]:
        if self._read is None:
            self._read = read_allowances(self.headers, self.moment)
        return self._read

    def used_up(self, prompt: int, now: Nanoseconds) -> bool:
        """Whether a limit has no room for one more call with so many tokens."""
        if not self.headers or self.headers[0][0].startswith("anthropic"):
            prompt = (
                1  # what comes from its cache does not count there, and nobody knows yet how much that is
            )
        if all(is_plenty(name, value, prompt) for name, value in self.headers):
            return False
        return any(self.at + wait_for(each, need_of(each.kind, prompt)) > now for each in self.allowances)


class Headrooms:
    """The last words of every target that has spoken of its limits. ``changes`` moves with each of them."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], _Said] = {}
        self.changes = 0

    def learn(self, gateway: Gateway, call: Call, attempt: Attempt, headers: Headers) -> None:
        """Keep what an answer says of limits."""
        target = attempt.destination.target
        if target.tier is Tier.LOCAL:
            return
        about = [header for header in headers if "ratelimit" in header[0]]
        name = target.provider, target.model
        before = self._said.get(name)
        if before is not None and before.until and attempt.started < before.at:
            return  # it was asked before the refusal came
        if (about or before is not None) and not _of_caller(call, attempt):
            self._keep(name, _Said(gateway.clock.tick(), gateway.clock.now(), about))

    def refuse(self, gateway: Gateway, call: Call, attempt: Attempt, error: UpstreamRefused) -> None:
        """Keep what a refusal says: for how long, or else that the others go first for a while."""
        target = attempt.destination.target
        if error.status not in REFUSING or _of_caller(call, attempt):
            return
        now = gateway.clock.tick()
        headers = list(error.headers)
        said = _Said(now, gateway.clock.now(), [header for header in headers if "ratelimit" in header[0]])
        words = f"{error.message}\n{error.body.decode('utf-8', 'replace')}"
        wait = read_retry(headers, words, said.moment)
        if wait is None and error.status == RateLimited.status:
            wait = max((wait_for(each, 1) for each in said.allowances), default=0) or None
        said.strict = wait is not None and error.status == RateLimited.status
        said.until = now + (UNSAID if wait is None else wait)
        self._keep((target.provider, target.model), said)

    def _keep(self, name: tuple[str, str], said: _Said) -> None:
        if len(self._said) >= REMEMBERED and name not in self._said:
            self._said.clear()
        self._said[name] = said
        self.changes += 1

    def order(self, gateway: Gateway, call: Call, targets: Sequence[Target]) -> list[Target]:
        """The targets, those with room first; RateLimited when none may be asked yet."""
        if not self._said:
            return list(targets)
        now = gateway.clock.tick()
        prompt = call.peek.prompt_bytes // 4 + call.peek.attachments * IMAGE_TOKENS
        free: list[Target] = []
        short: list[Target] = []
        shut: list[tuple[Nanoseconds, Target]] = []
        for target in targets:
            said = self._said.get((target.provider, target.model))
            if said is None:
                free.append(target)
            elif said.until > now:
                if said.strict and now < said.at + PROBE:
                    shut.append((said.until, target))
                else:
                    short.append(target)
            elif said.used_up(prompt, now):
                short.append(target)
            else:
                free.append(target)
        if shut and not (free or short):
            until, target = min(shut, key=lambda each: each[0])
            raise _refusal(target, until - now)
        return free + short + [target for _, target in shut]

    def shown(self, gateway: Gateway) -> list[Headroom]:
        """What is known now, by name; for people, not for the hot path."""
        now, moment = gateway.clock.tick(), gateway.clock.now()
        return [
            Headroom(
                provider,
                model,
                said.moment,
                max(0, said.until - now) and moment + said.until - now,
                said.allowances,
            )
            for (provider, model), said in sorted(self._said.items())
        ]


def _of_caller(call: Call, attempt: Attempt) -> bool:
    """Whether the call went out with its caller's own sign-in, whose limits are nobody else's."""
    if attempt.destination.upstream.provider.name != "anthropic":
        return False
    return is_setup_token(call.headers.get(b"authorization", b"").decode("latin-1").removeprefix("Bearer "))


def _refusal(target: Target, wait: Nanoseconds) -> RateLimited:
    seconds = -(-wait // SECOND)
    return RateLimited(
        f"{target.name} is at its provider's rate limit and may be asked again in {seconds:,} s",
        hint="give the model another target to fall back to: [models] in llmgw.toml",
        code="upstream_limited",
        headers=(("retry-after", str(seconds)), ("retry-after-ms", str(-(-wait // 1_000_000)))),
    )
