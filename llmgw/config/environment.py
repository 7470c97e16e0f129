"""Options from environment variables.

Every option has one, its dotted name in capitals: ``server.port`` is LLMGW_SERVER_PORT, and as those of ``[server]``
are the usual ones they may leave their section out (LLMGW_PORT). Lists are comma separated. Tables whose names a
variable cannot spell (``[models]``, ``[prices]``) are for the file alone. The variables of LLM Gateway v2.0 are
understood too; where both are set the LLMGW_ one wins.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmgw.config.model import Config, ProviderOptions
from llmgw.config.values import Option, fields_of, options_of
from llmgw.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

Variable = tuple[Option, str, str]
"""An option, the text that sets it and the variable's name."""

OWN = re.compile(
    r"LLMGW_(HOME|CONFIG|URL|KEY|ADMIN_KEY|INSECURE_HTTP|NO_INPUT)|LLMGW_.*_(API_KEY|TOKEN)(_FILE)?"
)
"""Variables that are not options: where files lie, how commands behave, provider credentials."""

LEGACY = {
    "GATEWAY_SECRET": ("server", "secret"),
    "LOG_LEVEL": ("server", "log_level"),
    "LOG_FORMAT": ("server", "log_format"),
    "LOG_FILE": ("server", "log_file"),
    "DAILY_BUDGET_SOFT": ("budgets", "daily_soft"),
    "DAILY_BUDGET_MEDIUM": ("budgets", "daily_medium"),
    "DAILY_BUDGET_HARD": ("budgets", "daily_hard"),
    "RATE_LIMIT_RPM": ("limits", "requests_per_minute"),
    "RATE_LIMIT_TPM": ("limits", "tokens_per_minute"),
    "ROUTER_PROVIDER": ("router", "classifier"),
}
LOG_LEVELS = {"warn": "warning", "critical": "error", "fatal": "error", "trace": "debug", "notset": "debug"}

LATER = {
    "SEMANTIC_THRESHOLD": "there is no semantic cache",
}


def variables(environ: Mapping[str, str], providers: Collection[str] = ()) -> Iterator[Variable]:
    """Every option set by a variable, weakest first; ``providers`` are the file's, so that names with dashes match."""
    yield from _legacy(environ)
    yield from _local_llm(environ)
    for name in sorted(environ):
        if name.startswith("LLMGW_") and not OWN.fullmatch(name) and (option := _option(name, providers)):
            yield option, environ[name], name


def notes(environ: Mapping[str, str]) -> Iterator[str]:
    """What `config check` says of variables that are known, or look as if they should be, but change nothing."""
    for name in sorted(environ):
        if name in LATER:
            yield f"{name} is set but not used yet: {LATER[name]} in this version"
        elif name.startswith("LLMGW_") and not OWN.fullmatch(name) and not _option(name, ()):
            yield f"{name} is set but names no option" + (f"; {guess}" if (guess := _guess(name)) else "")
    if environ.get("CONFIG_PATH", "").endswith((".yaml", ".yml")):
        yield (
            f"CONFIG_PATH names {environ['CONFIG_PATH']}, which is not read: options live in llmgw.toml"
            " (`llmgw config path`); set LLMGW_CONFIG to choose another file"
        )


def _option(name: str, providers: Collection[str]) -> Option | None:
    """The option a variable names; None for one that may belong to somebody else, ConfigInvalid for a slip."""
    spelt = re.sub("_+", "_", name.removeprefix("LLMGW_").lower())
    if option := _static().get(spelt):
        return option
    section, _, rest = spelt.partition("_")
    if section == "providers" and rest:
        return _provider_option(name, rest, providers)
    if section in {"models", "prices"} and rest:
        raise ConfigInvalid(
            f"[{section}] cannot be set by the variable {name}", hint="write it into llmgw.toml"
        )
    if section in fields_of(Config) and rest:
        raise ConfigInvalid(
            f"the variable {name} names no option", hint=_guess(name) or "`llmgw config show` lists them"
        )
    return None


def _provider_option(name: str, rest: str, providers: Collection[str]) -> Option:
    """``openai_connect_timeout`` as an option of ``openai``: the longest option that fits is meant."""
    for option in sorted(fields_of(ProviderOptions), key=len, reverse=True):
        match = re.fullmatch(f"(.+?)_{option}(?:_(.+))?" if option == "options" else f"(.+)_{option}", rest)
        if match:
            known = {re.sub("[^a-z0-9]+", "_", each.lower()): each for each in providers}
            below = (match[2],) if option == "options" and match[2] else ()
            return "providers", known.get(match[1], match[1]), option, *below
    options = ", ".join(fields_of(ProviderOptions))
    raise ConfigInvalid(f"the variable {name} names no option of a provider", hint=f"they are {options}")


def _guess(name: str) -> str:
    near = get_close_matches(name, [f"LLMGW_{each.upper()}" for each in _static()], n=1)
    return f"did you mean {near[0]}?" if near else ""


@cache
def _static() -> dict[str, Option]:
    """Options of the tables that are always there, by their name with underscores."""
    named = {"_".join(option): option for option, _ in options_of(Config())}
    return named | {option[-1]: option for option in named.values() if option[0] == "server"}


def _legacy(environ: Mapping[str, str]) -> Iterator[Variable]:
    for name, option in LEGACY.items():
        if text := environ.get(name):
            if name in {"LOG_LEVEL", "LOG_FORMAT"}:
                text = LOG_LEVELS.get(text.lower(), text.lower())
            yield option, text, name


def _local_llm(environ: Mapping[str, str]) -> Iterator[Variable]:
    """``LOCAL_LLM_*``: one local server, spoken to as Ollama on Ollama's port and as OpenAI-compatible elsewhere."""
    enabled = environ.get("LOCAL_LLM_ENABLED", "true")
    if enabled.lower() in {"false", "0", "no", "off"}:
        yield ("server", "discover"), "false", "LOCAL_LLM_ENABLED"
        return
    url, model, key = (environ.get(f"LOCAL_LLM_{part}", "") for part in ("URL", "MODEL", "API_KEY"))
    if not (url or model):
        return
    ollama = not url or urlsplit(url).netloc.endswith(":11434")
    name = "ollama" if ollama else "local"
    if url:
        yield ("providers", name, "kind"), "ollama" if ollama else "openai_compatible", "LOCAL_LLM_URL"
        address = url.rstrip("/").removesuffix("/v1") if ollama else url
        yield ("providers", name, "base_url"), address, "LOCAL_LLM_URL"
        yield ("providers", name, "tier"), "local", "LOCAL_LLM_URL"
    if model:
        yield ("tiers", "local"), f"{name}/{model}", "LOCAL_LLM_MODEL"
        if not url:
            yield ("providers", name, "enabled"), "true", "LOCAL_LLM_MODEL"
    if key:
        yield ("providers", name, "credential"), key, "LOCAL_LLM_API_KEY"
