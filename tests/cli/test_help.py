"""What the program says of itself."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from support.program import ROOT, Program

from llmgw.cli import app

NAMES = list(app.entries())


def verbs() -> list[tuple[str, ...]]:
    """Every command there is, as its words."""

    def below(words: tuple[str, ...], command: Any) -> list[tuple[str, ...]]:
        inner = getattr(command, "commands", {}).items()
        return [found for word, each in inner for found in below((*words, word), each)] or [words]

    return [words for name in NAMES for words in below((name,), app.load(name))]


ALL = verbs()


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help_with_a_runnable_example(words):
    """The help of each command says what it does and ends in at least one line that starts the program itself."""
    command = app.load(words[0])
    for word in words[1:]:
        command = command.commands[word]
    text, _, examples = (command.help or "").partition("Examples:")
    lines = [line.strip() for line in examples.strip().splitlines()]
    assert len(text.strip()) > 5
    assert lines
    assert all("llmgw " in line for line in lines)
    assert any(f"llmgw {' '.join(words)}" in line for line in lines)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_takes_the_global_options(words):
    """Formats, quiet and the rest reach every command without being declared in it."""
    command = app.load(words[0])
    for word in words[1:]:
        command = command.commands[word]
    options = {option for param in command.params for option in param.opts}
    assert {
        "--json",
        "-o",
        "--fields",
        "-q",
        "-v",
        "--utc",
        "--color",
        "--no-input",
        "--home",
        "--config",
    } <= options


@pytest.mark.parametrize("name", NAMES)
def test_every_file_says_its_place(name):
    """A command's file names a known panel and a summary that fits one line, so the list needs no import."""
    entry = app.entries()[name]
    source = (app.FOLDER / f"{name.replace('-', '_')}.py").read_text("utf-8")
    assert app.PLACE.search(source)
    assert entry.panel in app.PANELS
    assert 10 < len(entry.summary) < 100


def test_help_lists_exactly_the_files(tmp_path):
    """`llmgw --help` names every command of the folder under its panel, and nothing else."""
    out = Program(tmp_path / "h").run("--help").out
    listed = re.findall(r"^  ([a-z-]+)  +\S", out.partition("\nOptions")[0], re.MULTILINE)
    assert listed == NAMES
    assert "GATEWAY" in out


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["help"], ["key", "-h"], ["help", "key", "create"]])
def test_help_is_found_where_people_look(tmp_path, words):
    """`-h`, `--help` and `help WORDS` all print usage to stdout and succeed."""
    result = Program(tmp_path / "h").run(*words)
    assert result.code == 0
    assert "Usage: llmgw" in result.out
    assert result.err == ""


def test_bare_program_shows_help_and_whether_it_is_up(tmp_path):
    """Bare `llmgw` prints the help and one line on the gateway, and opens nothing."""
    result = Program(tmp_path / "h").run()
    assert result.code == 0
    assert "Usage: llmgw" in result.out
    assert "gateway is not running" in result.out


@pytest.mark.parametrize("topic", ["environment", "exit-codes", "formatting", "scopes"])
def test_topics_are_rendered(tmp_path, topic):
    """`help TOPIC` prints the page of that name, as JSON too."""
    program = Program(tmp_path / "h")
    assert len(program.run("help", topic).out) > 200
    assert program.run("help", topic, "--json").json["topic"] == topic


def test_tree_describes_every_command(tmp_path):
    """`help tree --json` gives an agent all commands with options and examples in one object."""
    tree = Program(tmp_path / "h").run("help", "tree", "--json").json
    assert tree["schema"] == 1
    assert [command["name"] for command in tree["commands"]] == NAMES
    create = next(
        verb
        for key in tree["commands"]
        if key["name"] == "key"
        for verb in key["commands"]
        if verb["name"] == "create"
    )
    assert "--expires" in create["options"]
    assert create["examples"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["staus"], "did you mean `llmgw status`?"),
        (["key", "lst"], "did you mean `llmgw key list`?"),
        (["start"], "did you mean `llmgw serve`?"),
        (["key", "rm"], "see `llmgw key --help`"),
        (["status", "--jsn"], "did you mean --json?"),
        (["help", "nothing"], "topics are"),
    ],
)
def test_unknown_words_are_met_with_a_guess(tmp_path, words, hint):
    """A mistyped command or option ends with exit code 2 (a topic 5), and the hint names what was meant."""
    result = Program(tmp_path / "h").run(*words)
    assert result.code == (5 if words[0] == "help" else 2)
    assert result.out == ""
    first, blank, second = result.err.strip().split("\n")
    assert first.startswith("error: ")
    assert not first.endswith(".")
    assert blank == ""
    assert second.startswith("hint: ")
    assert hint in second


@pytest.mark.parametrize("words", [["--version"], ["version"], ["version", "--json"]])
def test_version(tmp_path, words):
    """The version is told by option and by command."""
    from llmgw import __version__

    assert __version__ in Program(tmp_path / "h").run(*words).out


LIGHT = """
import sys, runpy
sys.argv = ["llmgw", *{words!r}]
try:
    runpy.run_module("llmgw", run_name="__main__", alter_sys=True)
except SystemExit:
    pass
heavy = ("textual", "uvicorn", "starlette", "httpx", "pyreqwest", "sqlite_utils", "keyring", "pydantic", "llmgw.providers.")
print("LOADED", [name for name in sys.modules if name.startswith(heavy)], file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["status"],
        ["key", "list"],
        ["request", "list"],
        ["budget", "set", "all", "5/day"],
        ["kill", "status"],
        ["logs"],
    ],
    ids=" ".join,
)
def test_quick_commands_import_nothing_heavy(tmp_path, words):
    """What people run all the time loads neither server nor dashboard nor provider nor HTTP client."""
    program = Program(tmp_path / "h")
    program.run("key", "list")  # makes the database, which needs sqlite_utils once
    done = subprocess.run(
        [sys.executable, "-c", LIGHT.format(words=words)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=program.environ,
    )
    assert "LOADED []" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["status"]], ids=" ".join)
def test_quick_commands_start_quickly(tmp_path, words):
    """`llmgw --help` and `llmgw status` take no more than a quarter of a second of CPU, measured in the process."""
    import resource

    program = Program(tmp_path / "h")
    program.run("key", "list")
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        program.run(*words)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.25


def test_completion_scripts_and_names(tmp_path):
    """Scripts exist for three shells, and the shell completes commands and the names of keys."""
    program = Program(tmp_path / "h")
    for shell in ("bash", "zsh", "fish"):
        assert "llmgw" in program.run("completion", shell).out
    program.run("key", "create", "nightly")
    asked = {"_LLMGW_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    assert program.run(COMP_WORDS="llmgw sta", **asked).out.split() == ["status", "statusline"]
    asked["COMP_CWORD"] = "3"
    assert program.run(COMP_WORDS="llmgw key show ni", **asked).out.split() == ["nightly"]


def test_a_closed_pipe_is_no_drama(tmp_path):
    """A reader that goes away early causes no traceback."""
    program = Program(tmp_path / "h")
    done = subprocess.run(
        f"{sys.executable} -m llmgw help tree | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        env=program.environ,
        cwd=ROOT,
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_help_tree_is_json_all_the_way(tmp_path):
    """The same tree in jsonl is one line."""
    out = Program(tmp_path / "h").run("-o", "jsonl", "help", "tree").out
    assert len(out.splitlines()) == 1
    assert json.loads(out)["commands"]
