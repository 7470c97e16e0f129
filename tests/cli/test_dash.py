"""`llmgw dash` in a terminal of its own, and where there is none."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

import pytest
from support.program import Program

COLOUR = re.compile(rb"\x1b\[[0-9;]*?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")
FIRST_PAINT_SECONDS = 1.0


class Terminal:
    """The program at a pseudo-terminal; ``seconds`` is the processor time it took, once it has ended."""

    def __init__(
        self, llmgw: Program, *words: str, size: tuple[int, int] = (100, 30), **environ: str
    ) -> None:
        self.written = b""
        self.code: int | None = None
        self.seconds = 0.0
        whole = llmgw.environ | {"TERM": "xterm-256color"} | environ
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(llmgw.home.parent)
            os.execve(sys.executable, [sys.executable, "-m", "llmgw", "dash", *words], whole)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def until(self, words: str, seconds: float = 20) -> bytes:
        """Read until the words were written; what was written until then."""
        end = time.monotonic() + seconds
        while words.encode() not in self.written:
            assert time.monotonic() < end, self.written[-2000:]
            self._read(0.1)
        return self.written

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def quit(self) -> int:
        """Leave, and wait for the end; the exit code."""
        self.press("q")
        return self.end()

    def end(self, seconds: float = 20) -> int:
        end = time.monotonic() + seconds
        while True:
            self._read(0.05)
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            assert time.monotonic() < end, self.written[-2000:]
        self.seconds = usage.ru_utime + usage.ru_stime
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)

    def _read(self, seconds: float) -> None:
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if ready:
            try:
                self.written += os.read(self.fd, 1 << 16)
            except OSError:  # it has ended
                time.sleep(seconds)


@pytest.mark.parametrize(
    ("words", "environ", "message"),
    [
        ((), {"TERM": "dumb"}, "this terminal (TERM=dumb) cannot show the dashboard"),
        ((), {"TERM": "xterm"}, "the dashboard needs a terminal"),
        (("--json",), {}, "the dashboard draws on a terminal"),
        (("--window", "2h"), {}, "there is no window `2h`"),
        (("--screen", "nowhere"), {}, "there is no screen `nowhere`"),
        (("--demo", "--replay", "2h"), {}, "exclude each other"),
    ],
)
def test_where_it_cannot_be_shown_it_says_so(
    llmgw: Program, words: tuple[str, ...], environ: dict[str, str], message: str
) -> None:
    """No terminal, or words that make no sense: code 2, and what to do instead."""
    done = llmgw.run("dash", *words, **environ)

    assert done.code == 2
    assert message in done.err
    if environ or "--json" in words:
        assert "llmgw watch" in done.err


def test_it_paints_soon_and_says_that_the_gateway_is_down(llmgw: Program) -> None:
    """Without a gateway the first picture says so; up to it takes a second of processor time at most, `q` leaves."""
    terminal = Terminal(llmgw)
    terminal.until("gateway is not running")
    terminal.until("Overview")

    assert terminal.quit() == 0
    assert terminal.seconds <= FIRST_PAINT_SECONDS + 0.5  # with its end, and the look for a gateway


def test_it_starts_a_gateway_and_sees_it(llmgw: Program) -> None:
    """`s` shows the command and runs it once that was agreed to; the dashboard then sees the gateway."""
    llmgw.home.mkdir(parents=True, exist_ok=True)
    (llmgw.home / "llmgw.toml").write_text("[server]\nport = 0\n")
    terminal = Terminal(llmgw)
    terminal.until("gateway is not running")
    terminal.press("s")
    terminal.until("$ llmgw serve")
    terminal.press("y")
    terminal.until("paste this", 40)

    assert terminal.quit() == 0
    assert b"lgw_" not in terminal.written  # its first key is not shown


def test_no_color_means_none(llmgw: Program) -> None:
    """With NO_COLOR nothing is coloured; the words are there."""
    terminal = Terminal(llmgw, NO_COLOR="1")
    written = terminal.until("gateway is not running")

    assert not COLOUR.findall(written)
    assert terminal.quit() == 0


def test_sixteen_colours_do(llmgw: Program) -> None:
    """TERM=xterm gets no colour beyond the sixteen."""
    terminal = Terminal(llmgw, TERM="xterm")
    written = terminal.until("gateway is not running")

    assert b"38;5;" not in written
    assert b"38;2;" not in written
    assert terminal.quit() == 0


def test_a_keymap_that_makes_no_sense_is_an_error(llmgw: Program) -> None:
    """An action that there is not: code 2 before anything is drawn, and the nearest one."""
    llmgw.home.mkdir(parents=True, exist_ok=True)
    (llmgw.home / "llmgw.toml").write_text('[dash.keymap]\nwindw = "W"\n')
    terminal = Terminal(llmgw)

    assert terminal.end() == 2
    assert b"did you mean `window`?" in terminal.written


def test_over_ssh_it_paints_less_often(llmgw: Program) -> None:
    """Ten times a second at most where the terminal is far away: what Textual finds when it is loaded."""
    words = (
        "import os, sys; os.environ['SSH_CONNECTION'] = 'far'; from llmgw.cli.commands import dash; dash._tell_textual();"
        "from textual import constants; print(constants.MAX_FPS, 'textual' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", words], env=llmgw.environ, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["10", "True"]


def test_the_command_alone_loads_no_textual(llmgw: Program) -> None:
    """Its variables are set before Textual is imported, so its file may not import it."""
    words = "import sys, llmgw.cli.commands.dash; print('textual' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", words], env=llmgw.environ, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "False"
