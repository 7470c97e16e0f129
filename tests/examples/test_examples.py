"""The examples: those that can run do, against a real gateway on the built-in echo; the others are read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.program import ROOT, Program

from llmgw.cli import json5
from llmgw.cli.programs import PROGRAMS, Link, Machine

EXAMPLES = ROOT / "examples"
PRINTS = """#!{python}
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A gateway on echo; programs find it through `llmgw` on their PATH, as they would."""
    folder = tmp_path_factory.mktemp("examples")
    program = Program(folder / "home")
    shims = folder / "bin"
    shims.mkdir()
    _script(shims / "llmgw", f'#!/bin/sh\nexec "{sys.executable}" -m llmgw "$@"\n')
    for name in ("claude", "aider"):
        _script(shims / name, PRINTS.format(python=sys.executable))
    program.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    program.environ["PATH"] = f"{shims}{os.pathsep}{program.environ['PATH']}"
    assert program.run("serve", "--demo", "--port", "0").code == 0
    yield program
    program.run("stop")


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _run(gateway: Program, *command: str) -> str:
    done = subprocess.run(
        command, env=gateway.environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _through(gateway: Program, *command: str) -> str:
    return _run(gateway, "llmgw", "exec", "--", *command)


def test_openai_sdk(gateway):
    """The OpenAI example gets a plain answer with its cost, a stream and a tool call, and all are in the ledger."""
    said = _through(gateway, sys.executable, str(EXAMPLES / "openai_sdk.py"), "echo")
    only = "import sys; sys.path.insert(0, sys.argv.pop()); import openai_sdk; openai_sdk.with_tool()"
    called = _through(gateway, sys.executable, "-c", only, "echo/tool=weather", str(EXAMPLES))

    assert "Say hello in one word." in said
    assert "echo/echo took it for 0 dollars" in said
    assert "Count to five." in said
    assert "wants weather({'city': 'echo'})" in called
    rows = gateway.run("request", "list", "--model", "echo*", "--json").json
    assert {row["surface"] for row in rows["requests"]} >= {"chat"}


def test_anthropic_sdk(gateway):
    """The Anthropic example gets a plain answer, a stream and a token count from a target of the other dialect."""
    said = _through(gateway, sys.executable, str(EXAMPLES / "anthropic_sdk.py"))

    assert "Say hello in one word." in said
    assert "Count to five." in said
    assert re.search(r"^\d+ tokens$", said, re.MULTILINE)


def test_curl(gateway):
    """The curl example lists models, shows the gateway's headers and streams Anthropic's events."""
    said = _through(gateway, "sh", str(EXAMPLES / "curl.sh"))

    assert '"gateway-auto"' in said
    assert "x-llmgw-request-id: req_" in said
    assert "event: message_stop" in said
    tagged = gateway.run("request", "list", "--tag", "example", "-q").out.split()
    assert len(tagged) == 1


@pytest.mark.parametrize(
    ("name", "variable", "path"),
    [("claude_code", "ANTHROPIC_BASE_URL", ""), ("aider", "OPENAI_API_BASE", "/v1")],
)
def test_programs(gateway, name, variable, path):
    """A script for a program starts it pointed at the gateway, with a key of its own."""
    words, environ = json.loads(_run(gateway, "sh", str(EXAMPLES / f"{name}.sh"), "hello"))

    url = gateway.run("status", "--json").json["url"]
    assert environ[variable] == url + path
    assert "hello" in words
    key = name.replace("_", "-")
    assert key in gateway.run("key", "list", "-q").out.split()
    assert environ["OPENAI_API_KEY"] == (gateway.home / "keys" / f"{key}.key").read_text().strip()


def test_opencode():
    """The OpenCode example is what `llmgw connect opencode` writes, with the key taken from the environment."""
    ours = json.loads((EXAMPLES / "opencode.json").read_text())

    assert ours == _connected("opencode", "{env:OPENAI_API_KEY}")


def test_openclaw():
    """The OpenClaw example is what `llmgw connect openclaw` writes, with the key taken from the environment. # D-29"""
    text = (EXAMPLES / "openclaw.md").read_text()
    ours = json5.loads(re.search(r"```json5\n(.*?)```", text, re.DOTALL)[1])

    assert ours == _connected("openclaw", "${LLMGW_KEY}")


def _connected(program: str, key: str):
    link = Link("http://127.0.0.1:8000", key, "gateway-auto")
    (rewrite,) = PROGRAMS[program].files(link, Machine(Path("/"), {}, Path("/"))).values()
    return json.loads(rewrite(""))


def test_fallback_config(gateway):
    """The config example is valid, and every target it names belongs to a provider it declares."""
    path = EXAMPLES / "fallback.toml"
    declared = tomllib.loads(path.read_text())

    checked = gateway.run("--config", str(path), "config", "check", "--json")

    assert checked.code == 0, checked.err
    targets = [name for alias in declared["models"].values() for name in alias["targets"]]
    targets += [name for names in declared["tiers"].values() for name in names]
    assert {name.partition("/")[0] for name in targets} <= declared["providers"].keys()


def test_compose():
    """The compose example needs a secret before it opens the gateway, and publishes it on this machine alone."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    service = yaml.safe_load((EXAMPLES / "compose.yml").read_text())["services"]["gateway"]

    assert service["environment"]["GATEWAY_SECRET"].startswith("${GATEWAY_SECRET:?")
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert service["command"].split() == ["llmgw", "serve", "--foreground", "--host", "0.0.0.0"]


def test_prometheus_is_told_where_to_scrape():
    """examples/prometheus.yml asks the gateway's own path with a token from a file, and compose brings both."""
    import yaml

    scraping = yaml.safe_load((EXAMPLES / "prometheus.yml").read_text())["scrape_configs"][0]
    compose = yaml.safe_load((EXAMPLES / "compose.yml").read_text())
    assert scraping["metrics_path"] == "/metrics"
    assert scraping["static_configs"][0]["targets"] == ["gateway:8000"]
    assert scraping["authorization"]["credentials_file"] == "/run/secrets/metrics_token"
    assert compose["services"]["prometheus"]["secrets"] == ["metrics_token"]
    assert compose["services"]["gateway"]["environment"]["LLMGW_METRICS_SECRET"] == "${METRICS_TOKEN:-}"
    assert compose["services"]["prometheus"]["profiles"] == ["monitoring"]


def test_grafana():
    """The dashboard is one of panels that ask Prometheus; that they ask for what there is shows tests/api/test_metrics.py."""
    dashboard = json.loads((EXAMPLES / "grafana.json").read_text())
    assert all(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    assert dashboard["templating"]["list"][0]["query"] == "prometheus"


def test_every_example_is_tested():
    """No example lies about untested."""
    tested = Path(__file__).read_text()

    untested = {path.stem for path in EXAMPLES.glob("*.*") if path.stem not in tested}
    assert not untested
