"""Draw the pictures of the documentation from a real run: `python docs/assets/make.py`; those of the dashboard by
`screens.py`.

A private gateway with a home of its own takes calls for imitated providers on loopback, so every figure was counted
and priced by the program itself. Only the key, which opens nothing any more, is shortened.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
sys.path.insert(0, str(ROOT / "tests"))

from support.fake_anthropic import FakeAnthropic  # noqa: E402  (the fakes live with the tests)
from support.fake_ollama import FakeOllama  # noqa: E402
from support.fake_openai import FakeOpenAI  # noqa: E402

sys.path.insert(0, str(HERE))
import screens as dash  # noqa: E402  (its own pictures)

WIDTH = 99
THEME = TerminalTheme(
    (17, 21, 28),
    (201, 209, 217),
    [
        (72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65),
        (121, 192, 255), (210, 168, 255), (86, 212, 221), (201, 209, 217),
    ],
)  # fmt: skip
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>PICTURE_TITLE</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono",
 monospace; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" \
height="{terminal_height}" /></clipPath>{lines}</defs>
<rect fill="#11151c" stroke="#30363d" x="1" y="1" width="INSIDE_WIDTH" height="INSIDE_HEIGHT" rx="10" />
<g transform="translate(20,20)"><circle r="6" fill="#484f58" /><circle cx="20" r="6" fill="#484f58" />\
<circle cx="40" r="6" fill="#484f58" /></g>
<g transform="translate(9, 41)" clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g></g>
</svg>
"""

QUESTIONS = (
    "Why does this test fail only on the second run? ",
    "Write the migration that adds a currency column. ",
    "Summarise the discussion in this ticket. ",
    "Translate the release notes into French. ",
)
SOURCE = "def settle(account, amount):\n    account.balance -= amount\n    return account.balance\n"


class Llmgw:
    """The program as installed, with a home and an environment of its own."""

    def __init__(self, home: Path, **environ: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        own = {"LLMGW_HOME": str(home), "HOME": str(home), "PYTHONPATH": str(ROOT), "TZ": "UTC"}
        self.environ = kept | own | {"COLUMNS": str(WIDTH), "FORCE_COLOR": "1"} | environ

    def __call__(self, *words: str) -> str:
        command = [sys.executable, "-m", "llmgw", *words]
        return subprocess.run(command, env=self.environ, check=True, text=True, stdout=subprocess.PIPE).stdout  # noqa: S603


def traffic(
    url: str, keys: dict[str, str], fakes: dict[str, FakeOpenAI | FakeAnthropic | FakeOllama]
) -> None:
    """Calls as three programs make them: sizes and lengths differ, one is refused upstream, one has a wrong name."""
    dice = random.Random(7)  # noqa: S311  (a picture, not a secret)

    def call(
        key: str, surface: str, model: str, kilobytes: float, output: int, *, cached: int = 0, owner: str = ""
    ) -> None:
        prompt = dice.choice(QUESTIONS) + SOURCE * int(kilobytes * 1000 / len(SOURCE))
        tokens = {
            "input_tokens": len(prompt) // 4 - cached * (surface == "messages"),
            "output_tokens": output,
        }
        wait, text = dice.uniform(0.25, 0.6), "word " * min(output, 160)
        owner = owner or ("anthropic" if surface == "messages" else "openai")
        fakes[owner].behave(
            **tokens,
            cache_read_tokens=cached,
            latency=wait,
            chunk_delay=0.01,
            text=text,
            usage_in="last" if owner == "groq" else "",
        )
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": prompt}]}
        headers = {"authorization": f"Bearer {keys[key]}", "anthropic-version": "2023-06-01"}
        path = "/v1/messages" if surface == "messages" else "/v1/chat/completions"
        if surface == "messages":
            body["max_tokens"] = 8000
        with httpx.Client(timeout=30, trust_env=False) as client:
            client.post(url + path, json=body, headers=headers)

    call("coder", "messages", "claude-sonnet-4-5", 62, 911)
    call("coder", "messages", "claude-sonnet-4-5", 66, 1204, cached=14_800)
    call("ci", "chat", "gpt-5.4-mini", 9, 412)
    with ThreadPoolExecutor(3) as pool:
        for kilobytes, output in ((9, 196), (12, 231), (8, 288)):
            pool.submit(call, "ci", "chat", "llama-3.1-8b-instant", kilobytes, output, owner="groq")
    call("chat", "chat", "llama3.2", 1, 160, owner="ollama")
    call("chat", "chat", "gpt-5.5", 5, 820)
    call("ci", "chat", "gtp-5.5", 1, 0, owner="ollama")
    fakes["openai"].behave(status=503)
    call("ci", "chat", "smart", 8, 377, owner="anthropic")
    call("coder", "messages", "claude-haiku-4-5", 12, 240, cached=2_048)
    call("chat", "chat", "gpt-5.4-mini", 2, 190)
    call("coder", "messages", "claude-sonnet-4-5", 71, 1533, cached=16_400)


def draw(name: str, title: str, screens: list[tuple[str, str]]) -> None:
    """Write one picture: commands and what they printed."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for number, (command, printed) in enumerate(screens):
        if number:
            console.print()
        console.print(Text.assemble(("$ ", "bright_black"), (command, "bold")))
        for line in printed.splitlines():
            console.print(Text.from_ansi(line), no_wrap=True, crop=True)
    svg = console.export_svg(theme=THEME, unique_id=name, code_format=FRAME)
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())  # type: ignore[union-attr]
    svg = (
        svg.replace("PICTURE_TITLE", title)
        .replace("INSIDE_WIDTH", f"{width - 2:g}")
        .replace("INSIDE_HEIGHT", f"{height - 2:g}")
    )
    svg = dash.LED.sub(dash.shifted, svg)
    (HERE / f"{name}.svg").write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE), encoding="utf-8")
    print(f"{name}.svg")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder)
        fakes = {
            "openai": stack.enter_context(FakeOpenAI()),
            "anthropic": stack.enter_context(FakeAnthropic()),
            "groq": stack.enter_context(FakeOpenAI()),
            "ollama": stack.enter_context(FakeOllama()),
        }
        credentials = {
            f"{name.upper()}_API_KEY": f"imitated-{name}-key" for name in ("openai", "anthropic", "groq")
        }
        llmgw = Llmgw(home, **credentials, OLLAMA_HOST=fakes["ollama"].url)
        (home / "llmgw.toml").write_text(
            "".join(
                f'[providers.{name}]\nbase_url = "{fakes[name].url}/v1"\n'
                for name in ("openai", "anthropic", "groq")
            )
            + '[models.smart]\ntargets = ["openai/gpt-5.5", "anthropic/claude-sonnet-4-5"]\n'
        )
        port = "8000" if _free(8000) else "0"
        served = llmgw("serve", "--port", port)
        stack.callback(llmgw, "stop")
        url = json.loads((home / "gateway.json").read_text())["url"]
        keys = {name: llmgw("key", "create", name, "-q").strip() for name in ("coder", "ci", "chat")}
        traffic(url, keys, fakes)
        time.sleep(1)
        shown = re.sub(r"(lgw_.{10})[\w-]+", r"\1…", served)
        draw("serve", "Starting llmgw", [("llmgw serve", shown), ("llmgw status", llmgw("status"))])
        draw(
            "requests",
            "What each request cost",
            [
                ("llmgw request list", llmgw("request", "list")),
                ("llmgw report daily --by model", llmgw("report", "daily", "--by", "model")),
            ],
        )

    dash.draw()


def _free(port: int) -> bool:
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


if __name__ == "__main__":
    main()
