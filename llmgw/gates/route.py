"""Gate 6: which targets may answer, in order, of those that the caller's key is allowed to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.domain.route import Route, Target
from llmgw.errors import GatewayError, ModelNotFound, NotAllowed
from llmgw.gates.cascade import begin_low
from llmgw.gates.fitting import Fit
from llmgw.gates.state import Call, Destination, Gateway
from llmgw.gates.tiering import permitted
from llmgw.providers.anthropic import is_setup_token
from llmgw.rules.planning import Plan, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmgw.providers.base import Headers, TargetDialect, Upstream

REMEMBERED = 4096
"""Names whose route is kept; past that the memory starts again, so a caller inventing names cannot fill it."""


UNKNOWN_AFTER = 10.0
"""Seconds between two rounds of asking upstreams for a name that nobody offers."""


class Router:
    """The plan with its upstreams made ready; resolving a name again is one dictionary lookup."""

    def __init__(
        self, plan: Plan, upstreams: Iterable[Upstream], dialect: Callable[[str], TargetDialect]
    ) -> None:
        self.plan = plan
        self.upstreams = {upstream.name: upstream for upstream in upstreams}
        self.dialect = dialect
        self._routes: dict[tuple[str, str | None], Route] = {}
        self._destinations: dict[Target, Destination] = {}
        self.premium = _premium(self)
        """The first premium target, None without one: what savings are measured against."""

    def route(self, asked: str, force_tier: str | None) -> Route:
        known = self._routes.get((asked, force_tier))
        if known is None:
            known = resolve(self.plan, asked, force_tier)
            if len(self._routes) >= REMEMBERED:
                self._routes.clear()
            self._routes[asked, force_tier] = known
        return known

    def destination(self, target: Target) -> Destination:
        known = self._destinations.get(target)
        if known is None:
            upstream = self.upstreams[target.provider]
            known = Destination(
                target,
                upstream,
                self.dialect(upstream.provider.dialect),
                upstream.base_url.rstrip("/") + upstream.provider.chat_path,
                upstream_headers(upstream),
            )
            if len(self._destinations) >= REMEMBERED:
                self._destinations.clear()
            self._destinations[target] = known
        return known


def _premium(router: Router) -> Destination | None:
    try:
        return router.destination(router.route("gateway-premium", None).targets[0])
    except GatewayError:
        return None


def upstream_headers(upstream: Upstream) -> Headers:
    """The headers of every call to an upstream, its credential included."""
    headers = [("content-type", "application/json"), *upstream.provider.headers]
    if is_setup_token(upstream.credential):
        return headers  # goes along only with the calls that may carry it
    if upstream.credential and upstream.provider.auth == "bearer":
        headers.append(("authorization", f"Bearer {upstream.credential}"))
    elif upstream.credential and upstream.provider.auth == "x-api-key":
        headers.append(("x-api-key", upstream.credential))
    return headers


async def route(gateway: Gateway, call: Call) -> None:
    """Set ``call.route`` to the targets open to this key; NotAllowed when it may use none of them.

    A name that nobody offers is looked for once more among the models that the upstreams list now.
    """
    asked, tier = call.peek.model, call.peek.force_tier
    try:
        found = gateway.router.route(asked, tier)
    except ModelNotFound:
        if not await gateway.catalogue.refresh(gateway, older_than=UNKNOWN_AFTER):
            raise
        found = gateway.router.route(asked, tier)
    if call.key.models:
        kept = permitted(call.key, asked, found.targets)
        if not kept:
            raise NotAllowed(
                f"key `{call.key.name}` may not use the model `{asked}`",
                param="model",
                hint=f"it may use: {', '.join(call.key.models)}",
            )
        found = Route(found.asked, kept, found.reason)
    tiering = gateway.tiering
    if tiering is not None:
        if tier is None and tiering.concerns(gateway.router, asked):
            found = await tiering.route(gateway, call, found)
            if tiering.options.cascade is not None:
                found = begin_low(call, found, tiering.options.cascade)
        if tiering.limits(gateway.router, asked, tier):
            call.fit = Fit(call, tiering.options.context)
    call.route = found
