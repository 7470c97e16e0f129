"""What there is to use with nothing configured: model servers on this machine, credentials in the environment.

Servers are asked all at once and have a third of a second together. The threads that ask are left behind when nobody
answers, so a name that does not resolve or a port that swallows bytes delays no start.
"""

from __future__ import annotations

import http.client
import os
import queue
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from llmgw.providers.base import Provider, Upstream
from llmgw.providers.listing import listed_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATIENCE = 0.3
LARGEST_LIST = 4 << 20
OLLAMA_PORT = 11_434
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what a server listens on, not what we do


def discover(
    known: Mapping[str, Provider],
    environ: Mapping[str, str] = os.environ,
    *,
    own_port: int | None = None,
    patience: float = PATIENCE,
) -> tuple[Upstream, ...]:
    """Providers found running, with the models they list, in the order of ``known``; ``patience`` is seconds.

    Neither ``own_port`` nor another llmgw counts. Where a provider answers at several addresses the first is taken.
    """
    answers: queue.SimpleQueue[tuple[int, tuple[str, ...] | None]] = queue.SimpleQueue()
    asked = list(_addresses(known.values(), environ, own_port))

    def ask(place: int, provider: Provider, base_url: str) -> None:
        answers.put((place, list_models(base_url + provider.models_path, patience)))

    for place, (provider, base_url) in enumerate(asked):
        threading.Thread(target=ask, args=(place, provider, base_url), daemon=True).start()
    deadline = time.monotonic() + patience
    heard: dict[int, tuple[str, ...] | None] = {}
    while len(heard) < len(asked):
        try:
            place, models = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        heard[place] = models
    found: dict[str, Upstream] = {}
    for place, (provider, base_url) in enumerate(asked):
        models = heard.get(place)
        if models is not None and provider.name not in found:
            found[provider.name] = Upstream(
                name=provider.name, provider=provider, base_url=base_url, tier=provider.tier, models=models
            )
    return tuple(found.values())


def find_credentials(known: Mapping[str, Provider], environ: Mapping[str, str]) -> dict[str, str]:
    """Which variable of ``environ`` holds a provider's credential, by the provider's name."""
    return {
        name: variable
        for name, provider in known.items()
        for variable in reversed(provider.credentials)
        if environ.get(variable, "").strip()
    }


def list_models(url: str, patience: float) -> tuple[str, ...] | None:
    """The chat models that a server lists at ``url``, None when none that we know answers there within seconds."""
    until = time.monotonic() + patience
    try:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        with closing(kind(parts.hostname or "", parts.port, timeout=patience)) as connection:
            connection.request("GET", parts.path, headers={"accept": "application/json"})
            reply = connection.getresponse()
            if reply.status != 200 or any(
                name.lower().startswith("x-llmgw-") for name, _ in reply.getheaders()
            ):
                return None
            listed = b""
            while chunk := reply.read1(LARGEST_LIST):
                listed += chunk
                if len(listed) > LARGEST_LIST or time.monotonic() > until:
                    return None
            return listed_names(msgspec.json.decode(listed))
    except (OSError, ValueError, RecursionError, http.client.HTTPException):
        return None


def ollama_address(text: str) -> str:
    """The base URL that Ollama's ``OLLAMA_HOST`` means to its clients, read as Ollama reads it."""
    scheme, mark, rest = text.strip().strip("\"'").rpartition("://")
    usual = {"http": 80, "https": 443}.get(scheme, OLLAMA_PORT) if mark else OLLAMA_PORT
    try:
        parts = urlsplit(f"//{rest}")
        port = parts.port or usual
    except ValueError:
        return f"http://127.0.0.1:{OLLAMA_PORT}"
    host = EVERYWHERE.get(parts.hostname or "", parts.hostname or "127.0.0.1")
    host = f"[{host}]" if ":" in host else host
    return f"{scheme or 'http'}://{host}:{port}{parts.path.rstrip('/')}"


def _addresses(
    known: Iterable[Provider], environ: Mapping[str, str], own_port: int | None
) -> Iterable[tuple[Provider, str]]:
    for provider in known:
        bases = provider.probes
        if provider.name == "ollama" and environ.get("OLLAMA_HOST", "").strip():
            bases = (ollama_address(environ["OLLAMA_HOST"]), *bases)
        for base in dict.fromkeys(bases):
            if own_port is None or urlsplit(base).port != own_port:
                yield provider, base
