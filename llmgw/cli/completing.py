"""Names that the shell completes: read from storage, silent about whatever goes wrong."""

from __future__ import annotations

from llmgw.cli import options
from llmgw.errors import GatewayError


def keys(incomplete: str) -> list[str]:
    """Names of keys that count."""
    from llmgw.client import local

    paths = options.paths()
    if options.url() or not paths.database.exists():
        return []
    try:
        with local.control(paths) as control:
            names = [key.name for key in control.load_keys() if key.revoked_at is None]
    except (GatewayError, OSError):
        return []
    return [name for name in names if name.startswith(incomplete)]


def models(incomplete: str) -> list[str]:
    """Names of models that have answered, as ``provider/model``."""
    from llmgw.client import local

    paths = options.paths()
    if options.url() or not paths.database.exists():
        return []
    try:
        with local.reports(paths) as reports:
            names = reports.names("model")
    except (GatewayError, OSError):
        return []
    return [name for name in names if name.startswith(incomplete)]
