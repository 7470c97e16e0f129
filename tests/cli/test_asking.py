"""Questions at a terminal: few, answerable, and a secret that is typed is never seen."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Sequence

from support.program import Program

CANARY = "sk-canary-0123456789abcdef"


def talk(llmgw: Program, words: Sequence[str], answers: Sequence[tuple[str, str]]) -> tuple[int, str]:
    """Run at a terminal, giving each answer once its question is shown; all that was shown is returned."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "llmgw", *words],
        stdin=theirs, stdout=theirs, stderr=theirs, env=llmgw.environ, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown, waiting, deadline = "", list(answers), time.monotonic() + 20
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 0.2)[0]:
            if child.poll() is not None:
                break
            continue
        try:
            more = os.read(ours, 4096)
        except OSError:  # the terminal's other side is closed
            break
        shown += more.decode()
        if waiting and waiting[0][0] in shown:
            time.sleep(0.1)  # the question stands there before echo is switched off
            os.write(ours, waiting.pop(0)[1].encode() + b"\n")
    code = child.wait(5)
    os.close(ours)
    assert not waiting, f"never asked {waiting[0][0]}: {shown}"
    return code, shown


def test_a_typed_credential_is_not_shown_and_not_kept_without_a_yes(llmgw: Program) -> None:
    """It is read without echo; without a keyring it goes into a plain file only after a yes to a plain warning. # B-15"""
    asked = ("API key of openai", CANARY)
    code, shown = talk(llmgw, ["provider", "add", "openai"], [asked, ("unencrypted?", "n")])
    assert code == 130
    assert CANARY not in shown
    assert not (llmgw.home / "credentials.toml").exists()
    code, shown = talk(llmgw, ["provider", "add", "openai"], [asked, ("unencrypted?", "y")])
    assert code == 0
    assert CANARY not in shown
    assert CANARY in (llmgw.home / "credentials.toml").read_text()


def test_init_asks_at_most_four_questions(llmgw: Program) -> None:
    """Provider, credential, where to keep it, start now: that is all, and the answers are what is written."""
    answers = [
        ("Which provider shall be added?", "anthropic"),
        ("API key of anthropic", CANARY),
        ("unencrypted?", "y"),
        ("Start the gateway now?", "no"),
    ]
    code, shown = talk(llmgw, ["init"], answers)
    assert code == 0, shown
    assert CANARY not in shown
    assert "[providers.anthropic]" in (llmgw.home / "llmgw.toml").read_text()
    (row,) = llmgw.run("provider", "list", "--json").json["providers"]
    assert row["name"] == "anthropic"
