"""Programs that run with a budget of their own."""

import signal
import sys
import textwrap
import time

import pytest
from support.money import PRICES
from support.program import ROOT

CALLS = """
import json, os, sys, urllib.error, urllib.request

def ask(text="hello"):
    body = json.dumps({"model": "echo", "max_tokens": 100, "messages": [{"role": "user", "content": text}]})
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions", body.encode(),
        {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)
"""


@pytest.fixture
def served(llmgw, tmp_path):
    """A gateway whose echo costs money."""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text(PRICES)
    llmgw.run("serve", "--demo", "--port", "0", "--json")

    def script(body: str) -> list[str]:
        (tmp_path / "script.py").write_text(CALLS + textwrap.dedent(body))
        return [sys.executable, str(tmp_path / "script.py")]

    llmgw.script = script
    return llmgw


def leftovers(llmgw) -> tuple[str, str]:
    """The keys and the budgets that still count."""
    return llmgw.run("key", "list", "-q").out, llmgw.run("budget", "list", "-q").out


def test_a_run_has_a_receipt_and_leaves_nothing(served):
    """The program reaches the gateway with its own key, its output and exit code are its own, the receipt is on stderr."""
    script = served.script("ask(); ask(); print('done'); sys.exit(7)")
    result = served.run("run", "--budget", "2.50", "--tag", "night", "--", *script)
    assert (result.code, result.out) == (7, "done\n")
    first, *lines = result.err.splitlines()
    assert first.startswith("run-")
    assert "2 requests" in first
    assert "of $2.50" in first
    assert lines[0].split()[:2] == ["echo/echo", "2"]
    assert leftovers(served) == ("default\n", "")
    row = served.run("request", "list", "--tag", "night", "--json").json["requests"][0]
    assert row["key"] == first.partition(":")[0]
    assert served.run("db", "verify").code == 0


def test_the_limit_is_hard(served):
    """Calls that do not fit are refused with 402, what was spent never exceeds the budget, and the receipt tells it."""
    script = served.script(
        """
        from itertools import count
        for number in count():
            try:
                ask()
            except urllib.error.HTTPError as error:
                print(error.code, number)
                sys.exit(3)
        """
    )
    result = served.run("run", "--budget", "0.03", "--", *script)
    assert result.code == 3
    code, number = result.out.split()
    assert code == "402"
    assert int(number) > 0
    assert "1 refused at the limit" in result.err
    spent = sum(line["cost_nanousd"] for line in served.run("report", "daily", "--json").json["lines"])
    assert 0 < spent <= 30_000_000


def test_models_are_kept_to(served):
    """With --models the key opens those alone."""
    script = served.script("ask()")
    result = served.run("run", "--budget", "1", "--models", "gpt-*", "--", *script)
    assert result.code != 0
    assert "HTTPError" in result.err


def test_tokens_are_a_budget_too(served):
    """A budget may be in tokens; the receipt counts in them."""
    result = served.run("run", "--budget", "10k-tokens", "--", *served.script("ask()"))
    assert result.code == 0
    assert "of 10,000 tokens" in result.err


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 9), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_an_interrupted_run_cleans_up(served, tmp_path, sign, code):
    """Ctrl-C and SIGTERM go to the program; whatever it makes of them, key and budget are gone and the receipt is there."""
    script = served.script(
        """
        import signal, time
        ask()
        def stop(*_):
            sys.exit(9)
        signal.signal(signal.SIGINT, stop)
        open("ready", "w").close()
        time.sleep(30)
        """
    )
    process = served.start("run", "--budget", "1", "--", *script)
    ready = tmp_path / "ready"
    end = time.monotonic() + 15
    while not ready.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    (tmp_path / "none.toml").write_text("")
    assert (
        served.run("budget", "set", "-f", "none.toml").code == 0
    )  # a run keeps its budget whatever a file declares
    assert leftovers(served)[1].startswith("key:run-")
    process.send_signal(sign)
    _, err = process.communicate(timeout=15)
    assert process.returncode == code
    assert "1 request," in err
    assert leftovers(served) == ("default\n", "")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--budget", "1", "--", "no-such-program-anywhere"], 5),
        (["--budget", "many", "--", sys.executable], 2),
        (["--", sys.executable], 2),
        (["--budget", "1", "--on-exceed", "pray", "--", sys.executable], 2),
        (["--budget", "1", "--", sys.executable, "-V"], 3),
    ],
)
def test_exit_codes(llmgw, words, code):
    """What cannot run is refused before a key is made: a missing program, a wrong amount, a gateway that is down."""
    result = llmgw.run("run", *words)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("error: ")
    assert leftovers(llmgw) == ("", "")


def test_the_key_is_not_in_the_arguments(served):
    """The key travels in the environment alone."""
    script = served.script(
        "print('lgw_' in ' '.join(sys.argv), os.environ['OPENAI_API_KEY'][:4], 'PATH' in os.environ)"
    )
    assert served.run("run", "--budget", "1", "--", *script).out == "False lgw_ True\n"
    assert not list(ROOT.glob("ready"))
