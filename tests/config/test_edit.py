"""Changes to llmgw.toml keep what people wrote, and nothing invalid is written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from llmgw.config.edit import remove_option, set_option, set_options, starter, write_starter
from llmgw.config.load import effective_config
from llmgw.config.model import Config
from llmgw.config.paths import Paths, locate
from llmgw.config.values import options_of
from llmgw.errors import ConfigInvalid, NotFound

FILE = """\
# mine
[server]   # where
port = 1   # first

[providers.x]
base_url = "http://h"  # box
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = locate(home=tmp_path, environ={})
    found.config.write_text(FILE)
    return found


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("server.port", "9000", 9000),
        ("server.cors_origins", "https://a,https://b", ["https://a", "https://b"]),
        ("server.cors_origins", '["a,b"]', ["a,b"]),
        ("server.discover", "false", False),
        ("server.secret", "${S}", "${S}"),
        ("keys.defaults.expires", "90d", "90d"),
        ('prices."openai/gpt-4.1".input', "0.05", 0.05),
        ("providers.y.tier", "cheap", "cheap"),
        ("providers.x.options.num_ctx", "4096", 4096),
        ('models."claude-*".targets', "ollama/a", ["ollama/a"]),
    ],
)
def test_a_value_is_set_and_everything_else_stays(
    paths: Paths, name: str, text: str, expected: object
) -> None:
    """Only the line of the option changes; comments, order and other options are kept."""
    change = set_option(paths, name, text, {"S": "x"})
    change.save()
    document = tomllib.loads(paths.config.read_text())
    level = document
    for part in tomllib.loads(f"{name} = 0"):
        level = level[part]
    assert repr(expected) in repr(level)
    kept = [line for line in FILE.splitlines() if line and not line.startswith("port")]
    assert all(line in paths.config.read_text().splitlines() for line in kept)
    assert sum(line.startswith("-") for line in change.diff.splitlines()[2:]) <= 1


@pytest.mark.parametrize(
    ("name", "text"),
    [("server.port", "x"), ("server.prot", "1"), ("server", "1"), ("providers.y.tier", "gold"), ("a b", "1")],
)
def test_nothing_invalid_is_written(paths: Paths, name: str, text: str) -> None:
    """A wrong name or value is refused and the file stays byte for byte."""
    with pytest.raises(ConfigInvalid):
        set_option(paths, name, text, {})
    assert paths.config.read_text() == FILE


def test_a_file_that_is_broken_is_not_touched(paths: Paths) -> None:
    """An edit of a file that is not TOML says so with the line."""
    paths.config.write_text("port = ")
    with pytest.raises(ConfigInvalid, match="not valid TOML"):
        set_option(paths, "server.port", "1", {})


def test_the_file_is_private_and_replaced_whole(paths: Paths) -> None:
    """It is written with mode 0600, and nothing is left beside it."""
    paths.config.chmod(0o644)
    set_option(paths, "server.port", "2", {}).save()
    assert paths.config.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in paths.config.parent.iterdir()] == ["llmgw.toml"]


def test_a_link_stays_a_link(paths: Paths, tmp_path: Path) -> None:
    """People keep their settings in repositories and link to them."""
    real = tmp_path / "dotfiles" / "llmgw.toml"
    real.parent.mkdir()
    paths.config.rename(real)
    paths.config.symlink_to(real)
    set_option(paths, "server.port", "2", {}).save()
    assert paths.config.is_symlink()
    assert "port = 2" in real.read_text()


def test_looking_at_a_change_changes_nothing(paths: Paths) -> None:
    """The difference can be shown without being made."""
    change = set_option(paths, "server.port", "2", {})
    assert "-port = 1   # first" in change.diff
    assert "+port = 2   # first" in change.diff
    assert paths.config.read_text() == FILE
    assert set_option(paths, "server.port", "1", {}).diff == ""


def test_tables_are_added_and_removed(paths: Paths) -> None:
    """An entry may be an empty table; taking it out leaves the rest as it was."""
    set_options(paths, {("providers", "y"): {}}, {}).save()
    assert "y" in effective_config(paths, {}, {}).providers
    remove_option(paths, ("providers", "y"), {}).save()
    assert set(effective_config(paths, {}, {}).providers) == {"x"}
    with pytest.raises(NotFound):
        remove_option(paths, ("providers", "y"), {})


def test_the_starter_is_valid_and_says_the_defaults(paths: Paths) -> None:
    """As written it changes nothing; with every commented option made real it is the defaults, word for word."""
    text = starter({})
    assert tomllib.loads(text) == {
        "server": {},
        "tiers": {},
        "router": {"context": {}, "cascade": {}, "shadow": {}},
        "keys": {"defaults": {}},
        "limits": {},
        "budgets": {},
        "killswitch": {},
        "loops": {},
        "breaker": {},
        "retry": {},
        "hedge": {},
        "alerts": {},
        "metrics": {},
        "otel": {},
        "dash": {},
        "cache": {"exact": {}, "idempotency": {}, "semantic": {}},
        "ledger": {},
    }
    real = text.partition("\n# A provider:")[0] + text[text.index("\n[tiers]") :]
    paths.config.write_text(
        "\n".join(line.removeprefix("#") if line[:2] != "# " else line for line in real.splitlines())
    )
    settings = effective_config(paths, {}, {})
    assert dict(options_of(settings)) == dict(options_of(Config()))
    assert (
        len(settings.origins) == len(dict(options_of(Config()))) - 2
    )  # routes are an example, no keymap no line


def test_the_examples_of_the_starter_are_valid(paths: Paths) -> None:
    """What the file shows as an example can be used by taking away the signs."""
    text = starter({})
    paths.config.write_text(
        "\n".join(line.removeprefix("#") if line[:2] != "# " else line for line in text.splitlines())
    )
    settings = effective_config(paths, {}, {})
    assert settings.providers["my-server"].base_url
    assert settings.models["claude-*"].targets
    assert settings.prices["openai/gpt-5-nano"].output == 0.4


def test_the_starter_takes_values(paths: Paths) -> None:
    """Answers of `init` stand in the file as options in force."""
    write_starter(paths, {("server", "port"): 9000, ("providers", "openai"): {}}).save()
    settings = effective_config(paths, {}, {})
    assert settings.server.port == 9000
    assert set(settings.providers) == {"openai"}
