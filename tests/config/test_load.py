"""The options in force: each one counts, from each place it may be set, and each slip is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmgw.config.load import effective_config
from llmgw.config.model import Config, ProviderOptions, Settings
from llmgw.config.paths import Paths, locate
from llmgw.config.routing import RouteRule
from llmgw.config.values import dotted, fields_of, options_of, parse_dotted, type_at
from llmgw.domain.route import Tier
from llmgw.errors import ConfigInvalid

OTHER: dict[str, tuple[str, Any]] = {
    "server.host": ('"0.0.0.0"', "0.0.0.0"),
    "server.port": ("9000", 9000),
    "server.secret": ('"s3cret"', "s3cret"),
    "server.discover": ("false", False),
    "server.max_body_mb": ("2.5", 2.5),
    "server.drain_seconds": ("0", 0.0),
    "server.cors_origins": ('["https://a.example", "*"]', ("https://a.example", "*")),
    "server.timezone": ('"Asia/Kathmandu"', "Asia/Kathmandu"),
    "server.log_level": ('"debug"', "debug"),
    "server.log_format": ('"json"', "json"),
    "server.log_file": ('"/tmp/x.log"', "/tmp/x.log"),
    "tiers.local": ('["ollama/a", "ollama/b"]', ("ollama/a", "ollama/b")),
    "tiers.cheap": ('["groq/a"]', ("groq/a",)),
    "tiers.premium": ('["openai/a"]', ("openai/a",)),
    "router.quality": ("0.5", 0.5),
    "router.max_regret": ("0.1", 0.1),
    "router.explore": ("0.05", 0.05),
    "router.learn": ('"feedback"', "feedback"),
    "router.sticky": ('"5m"', "5m"),
    "router.clarify": ("true", True),
    "router.classifier": ('"groq"', "groq"),
    "router.cascade.enabled": ("true", True),
    "router.cascade.tiers": ('["local", "cheap"]', (Tier.LOCAL, Tier.CHEAP)),
    "router.cascade.stream": ('"first"', "first"),
    "router.cascade.first_tokens": ("20", 20),
    "router.cascade.max_hold": ('"5s"', "5s"),
    "router.cascade.samples": ("2", 2),
    "router.cascade.judge": ('"local"', "local"),
    "router.cascade.max_gain": ("0.3", 0.3),
    "router.cascade.conversations": ("true", True),
    "router.cascade.tools": ("true", True),
    "router.shadow.share": ("0.02", 0.02),
    "router.shadow.judge": ('"openai/gpt-5.4-mini"', "openai/gpt-5.4-mini"),
    "router.context.local": ("2000", 2000),
    "router.context.cheap": ("4000", 4000),
    "router.context.premium": ("16000", 16000),
    "keys.defaults.models": ('["cheap/*"]', ("cheap/*",)),
    "keys.defaults.expires": ('"90d"', "90d"),
    "killswitch.error_rate": ("0.5", 0.5),
    "killswitch.spend_rate": ("20", 20.0),
    "killswitch.mode": ('"kill"', "kill"),
    "loops.watch": ('"all"', "all"),
    "loops.repeats": ("8", 8),
    "loops.within_minutes": ("2.5", 2.5),
    "loops.pause_minutes": ("10", 10.0),
    "loops.exempt": ('["bench-*"]', ("bench-*",)),
    "breaker.failures": ("3", 3),
    "breaker.error_rate": ("0.25", 0.25),
    "breaker.window_seconds": ("30", 30.0),
    "breaker.open_seconds": ("2", 2.0),
    "breaker.longest_seconds": ("60", 60.0),
    "breaker.probe": ('"all"', "all"),
    "retry.attempts": ("3", 3),
    "retry.wait_seconds": ("0.5", 0.5),
    "retry.longest_seconds": ("10", 10.0),
    "retry.budget": ("0.1", 0.1),
    "hedge.after_ms": ("1500", 1500.0),
    "router.balance": ('"latency"', "latency"),
    "alerts.webhook": ('"https://hooks.example/x"', "https://hooks.example/x"),
    "alerts.format": ('"ntfy"', "ntfy"),
    "alerts.secret": ('"t0ken"', "t0ken"),
    "alerts.apprise": ('"json://localhost"', "json://localhost"),
    "metrics.open": ("true", True),
    "metrics.secret": ('"t0ken"', "t0ken"),
    "otel.endpoint": ('"http://127.0.0.1:4318"', "http://127.0.0.1:4318"),
    "otel.headers": ('"a=b"', "a=b"),
    "otel.service": ('"gate"', "gate"),
    "otel.traces": ("false", False),
    "otel.metrics": ("false", False),
    "otel.seconds": ("1.5", 1.5),
    "dash.theme": ('"nord"', "nord"),
    "dash.interval": ("5", 5),
    "dash.ascii": ("true", True),
    "dash.keymap": ('{ quit = "Q" }', {"quit": "Q"}),
    "alerts.command": ('["/bin/page", "me"]', ("/bin/page", "me")),
    "server.max_answer_mb": ("8", 8.0),
    "server.write_timeout": ("30", 30.0),
    "budgets.daily_soft": ("5", 5.0),
    "budgets.daily_medium": ("15", 15.0),
    "budgets.daily_hard": ("50", 50.0),
    "budgets.wait_seconds": ("0.5", 0.5),
    "limits.requests_per_minute": ("60", 60),
    "limits.tokens_per_minute": ("100000", 100_000),
    "ledger.durability": ('"strict"', "strict"),
    "cache.size_mb": ("100", 100.0),
    "cache.memory_mb": ("0", 0.0),
    "cache.exact.enabled": ("false", False),
    "cache.exact.ttl": ('"2h"', "2h"),
    "cache.exact.ttl_deterministic": ('"2d"', "2d"),
    "cache.exact.ttl_dated": ('"5m"', "5m"),
    "cache.exact.max_temperature": ("0.5", 0.5),
    "cache.exact.tools": ("true", True),
    "cache.exact.images": ("false", False),
    "cache.exact.join": ("false", False),
    "cache.idempotency.ttl": ('"1h"', "1h"),
    "cache.semantic.mode": ('"on"', "on"),
    "cache.semantic.max_error": ("0.05", 0.05),
    "cache.semantic.ttl": ('"1d"', "1d"),
    "cache.semantic.audit": ("0.1", 0.1),
    "cache.semantic.embedder": ('"static"', "static"),
    "cache.semantic.candidates": ("16", 16),
    "providers.x.slots": ("4", 4),
    "providers.x.queue_wait": ("12", 12.0),
    "providers.x.enabled": ("false", False),
    "providers.x.kind": ('"openai"', "openai"),
    "providers.x.base_url": ('"http://h:1/v1"', "http://h:1/v1"),
    "providers.x.tier": ('"cheap"', Tier.CHEAP),
    "providers.x.models": ('["a", "b"]', ("a", "b")),
    "providers.x.credential": ('"k"', "k"),
    "providers.x.timeout": ("3", 3.0),
    "providers.x.connect_timeout": ("0.5", 0.5),
    "providers.x.options": ("{num_ctx = 8192}", {"num_ctx": 8192}),
    'models."claude-*".targets': ('["ollama/a"]', ("ollama/a",)),
    **{f'prices."x/y".{name}': ("0.25", 0.25) for name in (
        "input", "output", "cache_read", "cache_write", "cache_write_1h", "input_audio", "output_audio", "reasoning",
        "searches", "request",
    )},
}  # fmt: skip
"""Every option there is with another value than its default, as TOML and as it is in force."""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return locate(home=tmp_path, environ={})


def load(paths: Paths, text: str = "", environ: dict[str, str] | None = None, **flags: Any) -> Settings:
    paths.config.write_text(text, encoding="utf-8")
    return effective_config(
        paths, {name.replace("__", "."): value for name, value in flags.items()}, environ or {}
    )


def value_of(settings: Settings, option: str) -> Any:
    value: Any = settings
    for part in parse_dotted(option):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def table(option: str, toml: str) -> str:
    *above, last = parse_dotted(option)
    return f"[{dotted(tuple(above))}]\n{last} = {toml}\n"


def test_the_table_of_options_is_complete() -> None:
    """Every option that is declared is flipped by the tests below, so none can lack an effect. # D-28"""
    declared = {dotted(option) for option, _ in options_of(Config())}
    declared |= {f"providers.x.{name}" for name in fields_of(ProviderOptions)}
    covered = set(OTHER) | {"routes"}  # whose entries have tests of their own
    assert declared <= covered
    for option in covered:
        type_at(parse_dotted(option))


@pytest.mark.parametrize(("option", "toml", "value"), [(name, *pair) for name, pair in OTHER.items()])
def test_each_option_of_the_file_counts(paths: Paths, option: str, toml: str, value: Any) -> None:
    """An option in llmgw.toml is in force, differs from its default, and its origin names the line. # D-28"""
    settings = load(paths, "\n" + table(option, toml))
    assert value_of(settings, option) == value
    shown = option if not isinstance(value, dict) else f"{option}"
    assert settings.origins[shown] == f"{paths.config} line 3"
    if not option.startswith(("providers", "models", "prices")):
        assert value_of(Settings(), option) != value


@pytest.mark.parametrize("option", [name for name in OTHER if not name.startswith(("models", "prices"))])
@pytest.mark.parametrize("twice", ["_", "__"])
def test_each_option_has_a_variable(paths: Paths, option: str, twice: str) -> None:
    """LLMGW_ and the dotted name in capitals sets an option over the file. # D-28"""
    toml, value = OTHER[option]
    text = toml.strip('"')
    name = "LLMGW_" + option.upper().replace(".", twice)
    settings = load(paths, "[providers.x]\n", {name: text})
    assert value_of(settings, option) == value
    assert settings.origins[option] == f"${name}"


RULES = """
[[routes]]
key = "ci*"
to = ["local", "groq/llama"]

[[routes]]
hours = "22-6"
weekdays = ["sat", "sun"]
tools = false
quality = 0.5
"""


def test_routes_are_read_in_their_order(paths: Paths) -> None:
    """Each [[routes]] is a rule; the variable LLMGW_ROUTES replaces them all."""
    settings = load(paths, RULES)
    assert settings.routes == (
        RouteRule(key="ci*", to=("local", "groq/llama")),
        RouteRule(hours="22-6", weekdays=("sat", "sun"), tools=False, quality=0.5),
    )
    replaced = load(paths, RULES, {"LLMGW_ROUTES": '[{language = "de", tier = "cheap"}]'})
    assert replaced.routes == (RouteRule(language="de", tier=Tier.CHEAP),)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            "[[routes]]\nto=['local']\n[[routes]]\nhours='22-25'\ntier='local'",
            4,
            "`routes.2.hours` must be hours",
        ),
        ("[[routes]]\nto=['local']\n[[routes]]\nwhen='x'", 4, "unknown option `routes.2.when`"),
        ("[[routes]]\ntier='bogus'", 2, "`routes.1.tier` must be one of local, cheap, premium"),
        ("[[routes]]\nto='local'", 2, "`routes.1.to` must be a list"),
        ("[[routes]]\nweekdays=['someday']\nto=['local']", 2, "must be a list of mon, tue"),
        ("[routes]\nto=['local']", 1, "must be a list of tables, as [[routes]]"),
        ("[router]\nclassifier='gpt'", 2, "`router.classifier` must be local, groq or"),
        ("[router]\nquality=1.5", 2, "`router.quality` must be a number <= 1"),
    ],
)
def test_a_slip_in_a_route_says_where(paths: Paths, text: str, line: int, words: str) -> None:
    """Which rule, which option, which line. # D-28"""
    with pytest.raises(ConfigInvalid) as caught:
        load(paths, text)
    assert words in caught.value.message
    assert f"line {line}" in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("key='a'", "`routes.1` says not where to go"),
        ("to=['local']\ntier='cheap'", "`routes.1` says `to` and `tier`"),
        ("to=['local']\nmin_tokens=9\nmax_tokens=8", "no prompt has from 9 to 8 tokens"),
        ("to=['local']\nhours='6-06'", "from 6 to 06 is no time"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(paths: Paths, text: str, words: str) -> None:
    """No single option is wrong, but together they make no sense."""
    with pytest.raises(ConfigInvalid) as caught:
        load(paths, f"[[routes]]\n{text}")
    assert words in caught.value.message


def test_flags_win_over_variables_over_the_file_over_defaults(paths: Paths) -> None:
    """The four layers are laid over each other in the order that is documented. # D-28"""
    text = '[server]\nport = 1\nhost = "file"\nlog_level = "error"\n'
    environ = {"LLMGW_PORT": "2", "LLMGW_SERVER_HOST": "variable"}
    settings = load(paths, text, environ, server__port=3, server__host=None)
    server = settings.server
    assert (server.port, server.host, server.log_level, server.log_format) == (3, "variable", "error", "text")
    assert settings.origins == {
        "server.port": "--port",
        "server.host": "$LLMGW_SERVER_HOST",
        "server.log_level": f"{paths.config} line 4",
    }


def test_without_a_file_everything_is_at_its_default(paths: Paths) -> None:
    """No llmgw.toml is no error, unless somebody named it."""
    assert effective_config(paths, {}, {}) == Settings()
    with pytest.raises(ConfigInvalid, match="no config file"):
        effective_config(locate(config=paths.config, environ={}), {}, {})


@pytest.mark.parametrize(
    ("text", "line", "words", "hint"),
    [
        ("[server]\nprot = 1", 2, "unknown option `server.prot`", "did you mean `server.port`?"),
        ("[serve]\nport = 1", 1, "unknown option `serve`", "did you mean `server`?"),
        ("[providers.x]\nbaseurl = 'x'", 2, "unknown option `providers.x.baseurl`", "providers.x.base_url"),
        ("[server]\n\nport = 'x'", 3, "`server.port` must be a whole number, not 'x'", None),
        ("[server]\nport = 70000", 2, "must be a whole number <= 65535, not 70000", None),
        ("[server]\nport = true", 2, "must be a whole number, not True", None),
        ("[server]\nlog_level = 'loud'", 2, "must be one of debug, info, warning, error, not 'loud'", None),
        ("[server]\ncors_origins = '*'", 2, "must be a list of strings", None),
        ("[server]\nmax_body_mb = 0", 2, "must be a number > 0, not 0", None),
        ("[server]\ndiscover = 1", 2, "must be true or false, not 1", None),
        ("server = 5", 1, "`server` must be a table, not 5", None),
        ("[providers.x]\ntier = 'gold'", 2, "must be one of local, cheap, premium, not 'gold'", None),
        ("[providers.x]\nbase_url = 'h:1'", 2, "must be an http:// or https:// address", None),
        ("[providers]\nx = 1", 2, "`providers.x` must be a table, not 1", None),
        ('[models."a*"]\ntargets = ["groq"]', 2, "must be a list of `provider/model`", None),
        ('[models."a*"]\ntargets = []', 2, "must be a list of at least one `provider/model`", None),
        ('[models."a*"]\n', 1, '`models."a*".targets` is missing', None),
        ('[tiers]\ncheap = "groq/a"', 2, "must be a list of `provider/model`", None),
        ("[keys.defaults]\nexpires = 'soon'", 2, "must be a duration such as 90d, not 'soon'", None),
        ('[prices."x/y"]\ninput = -1', 2, "must be a number >= 0, not -1", None),
        ("[server]\nport = 1.5", 2, "must be a whole number, not 1.5", None),
        ("x = \n", 1, "not valid TOML", None),
        ("[server]\nport = 1\nport = 2\n", 3, "not valid TOML", None),
    ],
)
def test_each_slip_says_what_where_and_what_instead(
    paths: Paths, text: str, line: int, words: str, hint: str | None
) -> None:
    """A wrong file is refused with the option, what stands there, what is wanted and the line. # B-17 D-28"""
    with pytest.raises(ConfigInvalid) as caught:
        load(paths, text)
    assert words in caught.value.message
    assert str(paths.config) in caught.value.message
    assert f"line {line}" in caught.value.message
    assert caught.value.exit_code == 2
    if hint:
        assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    "text", ["[server]\nsecret = 12345678", "[providers.x]\ncredential = ['sk-canary-1']"]
)
def test_a_wrong_secret_is_not_repeated(paths: Paths, text: str) -> None:
    """The message about a secret of the wrong type shows its type only. # B-15"""
    with pytest.raises(ConfigInvalid) as caught:
        load(paths, text)
    assert "12345678" not in caught.value.message
    assert "canary" not in caught.value.message


def test_a_folder_where_the_file_should_be_is_explained(paths: Paths) -> None:
    """What Docker makes of a missing bind mount is refused with that explanation, not with a traceback. # D-28"""
    paths.config.mkdir()
    with pytest.raises(ConfigInvalid, match="is a folder") as caught:
        effective_config(paths, {}, {})
    assert "bind mount" in str(caught.value.hint)


def test_a_file_that_is_not_text_is_refused_with_its_line(paths: Paths) -> None:
    """Bytes that are no UTF-8 are named with their line."""
    paths.config.write_bytes(b'[server]\nhost = "\xff"\n')
    with pytest.raises(ConfigInvalid, match="line 2 is not UTF-8"):
        effective_config(paths, {}, {})


def test_a_byte_order_mark_is_no_error(paths: Paths) -> None:
    """Editors that mark UTF-8 files are understood."""
    paths.config.write_bytes(b"\xef\xbb\xbf[server]\nport = 1\n")
    assert effective_config(paths, {}, {}).server.port == 1


@pytest.mark.parametrize("value", ["", "shown-to-all"])
def test_a_secret_written_out_is_noted(paths: Paths, value: str) -> None:
    """A secret in the file, which others could read, is worth a note; an empty one is not. # B-15"""
    paths.config.write_text(f'[server]\nsecret = "{value}"\n')
    paths.config.chmod(0o644)
    notes = effective_config(paths, {}, {}).notes
    assert any("chmod 600" in note for note in notes) is bool(value)
    assert not any(value in note for note in notes if value)


def test_references_reach_every_type(paths: Paths) -> None:
    """${VAR} may stand for a number, a switch, a list or an item of one. # D-28"""
    text = """
    [server]
    port = "${PORT:-8001}"
    discover = "${LOOK}"
    cors_origins = "${ORIGINS}"
    [tiers]
    cheap = ["groq/${MODEL}", "x/y"]
    [providers.x.options]
    deep = {list = ["${MODEL}"]}
    """
    environ = {"LOOK": "false", "ORIGINS": "https://a, https://b", "MODEL": "llama"}
    settings = load(paths, text, environ)
    assert settings.server.port == 8001
    assert settings.server.discover is False
    assert settings.server.cors_origins == ("https://a", "https://b")
    assert settings.tiers.cheap == ("groq/llama", "x/y")
    assert settings.providers["x"].options == {"deep": {"list": ["llama"]}}


def test_an_unset_reference_is_an_error_and_never_its_own_name(paths: Paths) -> None:
    """With the variable unset the gateway does not start; the original's secret became literally ${...}. # D-28"""
    with pytest.raises(ConfigInvalid, match=r"GATEWAY_SECRET is not set, wanted by `server.secret`.*line 2"):
        load(paths, '[server]\nsecret = "${GATEWAY_SECRET}"\n')


def test_who_only_looks_needs_no_secret(paths: Paths) -> None:
    """A terminal without the variables that hold credentials can still be asked for figures."""
    paths.config.write_text(
        '[server]\nport = 8001\nsecret = "${GATEWAY_SECRET}"\n[providers.x]\nkind = "openai"\n'
        'credential = "${KEY}"\n[prices.secret]\ninput = 1\n'
    )
    settings = effective_config(paths, environ={}, secrets=False)
    assert (settings.server.port, settings.server.secret) == (8001, "")
    assert settings.providers["x"].credential == ""
    assert "secret" in settings.prices


def test_a_reference_of_the_wrong_type_does_not_show_its_value(paths: Paths) -> None:
    """What a variable brought may be a secret, so the message shows the reference. # B-15"""
    with pytest.raises(ConfigInvalid) as caught:
        load(paths, '[server]\nport = "${KEY}"\n', {"KEY": "sk-canary"})
    assert "${KEY}" in caught.value.message
    assert "canary" not in caught.value.message


@pytest.mark.parametrize("name", ["a/b", "", " x"])
def test_a_provider_name_that_no_target_could_spell_is_refused(paths: Paths, name: str) -> None:
    """Targets are provider/model, so a provider's name holds no slash."""
    with pytest.raises(ConfigInvalid, match="cannot be the name of a provider"):
        load(paths, f'[providers."{name}"]\n')


def test_a_dotted_name_is_read_as_toml_reads_it() -> None:
    """Names on the command line follow TOML's own grammar, and dotted() is its inverse."""
    for option in (("server", "port"), ("prices", "openai/gpt-4.1", "input"), ("models", "a b*", "targets")):
        assert parse_dotted(dotted(option)) == option
    with pytest.raises(ConfigInvalid, match="not the name of an option"):
        parse_dotted("prices.openai/gpt.input")


def test_the_schema_knows_every_option() -> None:
    """The JSON Schema for editors is made from the same structs, with a description of each option."""
    schema = msgspec.json.schema(Config)["$defs"]
    assert set(schema["Server"]["properties"]) == set(fields_of(type(Config().server)))
    assert all("description" in entry for entry in schema["ProviderOptions"]["properties"].values())


def test_a_time_zone_has_to_exist(paths: Paths) -> None:
    """A time zone that nobody knows is an error of the configuration, with the option's name."""
    with pytest.raises(ConfigInvalid, match=r"server\.timezone.*Mars/Olympus"):
        load(paths, '[server]\ntimezone = "Mars/Olympus"\n')
