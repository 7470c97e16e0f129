"""The documentation keeps up with the code: what is generated is current, what is named exists, no link is dead."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.program import ROOT

from llmgw.cli import app as cli
from llmgw.cli.options import global_params
from llmgw.cli.programs import PROGRAMS
from llmgw.rules import caching

DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md"), *(ROOT / "examples").glob("*.md")])
SCRIPTS = sorted([*(ROOT / "examples").glob("*.sh"), *(ROOT / "examples").glob("*.y*ml")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
OPERATORS = set("|&;()<>")


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_reference_is_current(generator):
    """Every generated page is what `python docs/generate.py` would write now."""
    stale = [
        name
        for name, text in generator.pages().items()
        if (generator.REFERENCE / name).read_text(encoding="utf-8") != text
    ]

    assert not stale, "run `python docs/generate.py`"


def test_every_command_and_option_is_explained(generator):
    """Every command has a summary and an example, every option a sentence, and the reference has them all."""
    page = (generator.REFERENCE / "cli.md").read_text(encoding="utf-8")
    for name, command in generator.commands():
        assert re.search(rf"^#+ {name}$", page, re.MULTILINE), name
        words, _, examples = (command.help or "").partition("Examples:")
        assert words.strip(), name
        if not hasattr(command, "commands"):
            assert name in examples, f"{name} has no example"
        for param in generator.options(command):
            assert getattr(param, "help", None), f"{name}: {param.name} is not explained"


def test_every_setting_is_explained(generator):
    """Every option of llmgw.toml has a description, in the reference of the file and in that of the variables."""
    page = (generator.REFERENCE / "config.md").read_text(encoding="utf-8")
    for section, _, rows in generator.settings():
        assert f"## [{section}]" in page
        for name, _, _, words in rows:
            assert words, f"{section}.{name} is not explained"


def test_every_header_is_explained(generator):
    """The headers that the reference explains are those that the code reads and sends."""
    ours = {
        name
        for name in (*generator.REQUEST_HEADERS, *generator.ANSWER_HEADERS)
        if name.startswith("x-llmgw-")
    }

    assert generator.headers_in_code() == ours


def test_every_rule_of_the_caches_is_explained(generator):
    """The reasons for which the caches pass a request by, and the kinds of answers, are those of the code."""
    assert generator.passed_by() == generator.PASSED_BY.keys()
    assert {caching.USUAL, caching.DETERMINISTIC, caching.DATED} == generator.KINDS.keys()


def test_every_program_has_a_page():
    """Whatever `llmgw connect` knows has a guide of its name, and the index leads to every page."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")

    assert {path.stem for path in (DOCS / "guides").glob("*.md")} >= PROGRAMS.keys()
    for path in DOCS.rglob("*.md"):
        if path.name != "index.md":
            assert f"({path.relative_to(DOCS)})" in index, shown(path)


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_no_link_is_dead(path):
    """Every relative link leads to a file that is there, and to a heading in it."""
    for link in LINK.findall(BLOCK.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def _anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*PAGES, *SCRIPTS], ids=shown)
def test_shell_examples_name_what_exists(path):
    """Every `llmgw ...` that is shown names a command there is, with options it takes."""
    for words in _calls(path):
        _follow(words)


def _calls(path: Path) -> Iterator[list[str]]:
    """The words after `llmgw` wherever it is called: in blocks of shell, in inline code, in scripts."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        shell = [body for language, body in BLOCK.findall(text) if language in {"sh", "console"}]
        inline = re.findall(r"`(llmgw [^`]*)`", BLOCK.sub("", text))
        lines = [line for body in shell for line in _lines(body)] + inline
    else:
        comments = re.findall(r"`(llmgw [^`]*)`", text)
        lines = [
            line for line in _lines(text) if path.suffix == ".sh" or line.startswith("llmgw ")
        ] + comments
    for line in lines:
        for part in (line, *re.findall(r"\$\((llmgw [^)]*)\)", line)):
            yield from _split(part)


def _lines(body: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", " ", body)
    return [re.sub(r"^(\$|command:|test:) ", "", line) for line in map(str.strip, joined.splitlines())]


def _split(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # a quotation that goes on in the next line
        words = line.split()
    for number, word in enumerate(words):
        if word == "llmgw" or word.endswith("/llmgw"):
            end = next((n for n, w in enumerate(words) if n > number and set(w) <= OPERATORS), len(words))
            yield words[number + 1 : end]


def _follow(words: list[str]) -> None:
    """Walk down the command tree along these words; AssertionError where they leave it."""
    command: Any = cli.root()
    line = f"llmgw {' '.join(words)}"
    rest = iter(words)
    for word in rest:
        if word == "--":
            return
        if word.startswith("-") and len(word) > 1:
            name = word.partition("=")[0]
            known = {
                option: param
                for param in (*command.params, *global_params())
                for option in (*getattr(param, "opts", ()), *getattr(param, "secondary_opts", ()))
            } | {"-h": None, "--help": None}
            assert name in known, f"{line}: no option {name}"
            param = known[name]
            if param is not None and not param.is_flag and not param.count and "=" not in word:
                next(rest, None)
        elif hasattr(command, "commands"):
            found = command.get_command(None, word)
            assert found is not None or word in {"...", "COMMAND"}, f"{line}: no command {word}"
            if found is None:
                return
            command = found


def test_a_wrong_example_would_be_noticed():
    """The check above is no rubber stamp: commands, subcommands and options that do not exist are found."""
    for wrong in ("llmgw frobnicate", "llmgw key destroy ci", "cd x && llmgw serve --prt 3"):
        (words,) = _split(wrong)
        with pytest.raises(AssertionError):
            _follow(words)


def test_the_two_commands():
    """README names the two commands as they are, and CI ends with what the second one does."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    steps = [line for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines() if line.strip()]

    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/llmgw serve\n" in readme
    assert ".venv/bin/pip install -e '.[dev]' && .venv/bin/pytest -n auto\n" in readme
    assert any(re.match(r"pip install .*(-e|--editable) '\.\[dev\]'$", step) for step in steps)
    assert steps[-1] == "pytest -n auto"


def test_features_name_tests_that_exist():
    """Every test that the list of features calls a witness is there."""
    page = (DOCS / "reference" / "features.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)

    assert named
    for path, function in named:
        source = ROOT / path
        assert source.exists(), path
        if function:
            defined = {
                each.name
                for each in ast.walk(ast.parse(source.read_text()))
                if isinstance(each, ast.FunctionDef)
            }
            assert function in defined, f"{path}::{function}"


def test_pictures_are_of_the_program():
    """The pictures show commands that exist, load nothing from a network and hold no whole key."""
    for path in (DOCS / "assets").glob("*.svg"):
        text = path.read_text(encoding="utf-8").replace("&#160;", " ")
        assert not re.search(r"""(href|src|url\()=?["']?https?:""", text)
        assert not re.search(r"lgw_[\w-]{20}", text)
        for words in re.findall(r">llmgw ([a-z -]+)<", text):
            if not words.startswith("is "):
                _follow(words.split())


def test_nothing_of_this_machine():
    """No page and no example names a folder of the machine it was written on."""
    for path in (*PAGES, *SCRIPTS):
        assert not re.search(re.escape(str(ROOT.parent)) + "/", path.read_text(encoding="utf-8")), shown(path)
