"""Which providers and dialects there are: the folder, and whatever packages add under ``llmgw.providers``.

A provider package's entry point names a module with ``PROVIDER`` or a Provider itself. Nothing is imported until asked.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llmgw.errors import ConfigInvalid
from llmgw.providers.base import Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmgw.providers.base import CallerDialect, TargetDialect

_PACKAGE = "llmgw.providers"
_DIALECTS = "llmgw.providers.dialects"
_MACHINERY = {
    "base",
    "listing",
    "registry",
    "sse",
    "transport",
}  # no provider, and transport is dear to import


@cache
def providers() -> Mapping[str, Provider]:
    """Every known provider by its name, in alphabetical order; a package may replace one of ours."""
    files = [each.name for each in iter_modules(import_module(_PACKAGE).__path__) if not each.ispkg]
    found = [import_module(f"{_PACKAGE}.{name}").PROVIDER for name in files if name not in _MACHINERY]
    found += [_provider_of(entry.name, entry.load()) for entry in entry_points(group=_PACKAGE)]
    return MappingProxyType({each.name: each for each in sorted(found, key=lambda each: each.name)})


def provider(name: str) -> Provider:
    """The provider of this name; ConfigInvalid, naming those there are, when there is none."""
    try:
        return providers()[name]
    except KeyError:
        known = ", ".join(providers())
        raise ConfigInvalid(f"There is no provider {name!r}.", hint=f"Known are {known}.") from None


@cache
def caller_dialect(name: str) -> CallerDialect:
    """The dialect of this name as callers speak it; ConfigInvalid when there is none."""
    dialect: CallerDialect = _dialect(name, "peek", "callers")
    return dialect


@cache
def target_dialect(name: str) -> TargetDialect:
    """The dialect of this name as upstreams are spoken to; ConfigInvalid when there is none."""
    dialect: TargetDialect = _dialect(name, "render_request", "upstreams")
    return dialect


def _dialect(name: str, needed: str, side: str) -> Any:
    known = [info.name for info in iter_modules(import_module(_DIALECTS).__path__) if info.ispkg]
    found = getattr(import_module(f"{_DIALECTS}.{name}"), "DIALECT", None) if name in known else None
    if found is None or not hasattr(found, needed):
        hint = f"Known are {', '.join(known)}."
        raise ConfigInvalid(f"There is no dialect {name!r} for {side}.", hint=hint)
    return found


def _provider_of(name: str, loaded: object) -> Provider:
    found = getattr(loaded, "PROVIDER", loaded)
    if not isinstance(found, Provider):
        raise ConfigInvalid(f"The installed provider {name!r} is not a Provider.")
    return found
