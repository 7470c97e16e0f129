"""How answers look."""

import csv
import io
import json
import re
import sys

import pytest
from support.program import Program

from llmgw.cli import notices, options, output
from llmgw.cli.output import Column
from llmgw.errors import BadRequest

MOMENT = 1_790_000_000_123_456_789
RECORDS = [
    {
        "name": "ci",
        "cost_nanousd": 68_000,
        "created_at": MOMENT,
        "error": {"code": "timeout"},
        "tags": ["a", "b"],
        "count": 1204,
    },
    {"name": "me", "cost_nanousd": None, "created_at": MOMENT, "error": None, "tags": [], "count": 3},
]
COLUMNS = [Column("name"), Column("cost_nanousd"), Column("count"), Column("error.code", wide=True)]


@pytest.fixture(autouse=True)
def given(monkeypatch):
    """Options as if nothing had been typed."""
    fresh = options.Given()
    for module in (options, output):
        monkeypatch.setattr(module, "given", fresh)
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return fresh


def test_json_is_one_object_with_both_forms_of_money(given, capsys):
    """JSON holds the schema, nano-dollars and dollars, RFC 3339 times and null for what is unknown."""
    given.output = options.Format.JSON
    output.rows(RECORDS, COLUMNS, noun="keys")
    said = json.loads(capsys.readouterr().out)
    first, second = said["keys"]
    assert said["schema"] == 1
    assert (first["cost_nanousd"], first["cost_usd"]) == (68_000, "0.000068")
    assert first["created_at"] == "2026-09-21T14:13:20.123456Z"
    assert (second["cost_nanousd"], second["cost_usd"]) == (None, None)


def test_jsonl_is_one_record_a_line(given, capsys):
    """jsonl can be cut anywhere between lines."""
    given.output = options.Format.JSONL
    output.rows(RECORDS, COLUMNS, noun="keys")
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["ci", "me"]


def test_csv_holds_every_field(given, capsys):
    """CSV has a header, all fields, nested ones with a dot, and survives a reading back."""
    given.output = options.Format.CSV
    output.rows(RECORDS, COLUMNS, noun="keys")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[0]["cost_usd"] == "0.000068"
    assert rows[0]["error.code"] == "timeout"
    assert rows[0]["tags"] == "a,b"
    assert rows[1]["cost_nanousd"] == ""


def test_plain_is_tab_separated(given, capsys):
    """plain gives the table's columns, exact, one record a line."""
    given.output = options.Format.PLAIN
    output.rows(RECORDS, COLUMNS, noun="keys")
    assert capsys.readouterr().out == "ci\t68000\t1204\ttimeout\nme\t\t3\t\n"


def test_quiet_prints_names(given, capsys):
    """-q leaves the names only."""
    given.quiet = True
    output.rows(RECORDS, COLUMNS, noun="keys")
    assert capsys.readouterr().out == "ci\nme\n"


def test_fields_choose(given, capsys):
    """--fields picks fields in every format, also inside others; an unknown one is an error that names those there are."""
    given.fields = ("error.code", "name")
    output.rows(RECORDS, COLUMNS, noun="keys")
    assert capsys.readouterr().out.splitlines()[0].split() == ["ERROR", "CODE", "NAME"]
    given.output = options.Format.JSON
    output.rows(RECORDS, COLUMNS, noun="keys")
    assert json.loads(capsys.readouterr().out)["keys"][0] == {"error.code": "timeout", "name": "ci"}
    given.fields = ("nonsense",)
    with pytest.raises(BadRequest) as caught:
        output.rows(RECORDS, COLUMNS, noun="keys")
    assert "cost_usd" in caught.value.hint


@pytest.mark.parametrize(("columns", "wide"), [("80", False), ("200", True)])
def test_narrow_terminals_leave_columns_out(monkeypatch, capsys, columns, wide):
    """Under 100 columns a table drops what is least needed."""
    monkeypatch.setenv("COLUMNS", columns)
    output.rows(RECORDS, COLUMNS, noun="keys")
    out = capsys.readouterr().out
    assert ("timeout" in out) is wide
    assert all(len(line) <= int(columns) for line in out.splitlines())


def test_numbers_are_aligned_right_and_money_never_rounds_to_nothing(capsys):
    """A table shows small money with its digits, an unknown one as such, numbers under each other's ends."""
    output.rows(RECORDS, COLUMNS[:3], noun="keys")
    head, first, second = capsys.readouterr().out.splitlines()
    assert "$0.000068" in first
    assert "unknown" in second
    assert head.index("COUNT") + 5 == len(first) == len(second)


def test_a_cut_list_says_so(capsys):
    """What was left out is announced on stderr."""
    output.rows(RECORDS, COLUMNS, noun="keys", total=1204)
    assert capsys.readouterr().err == "note: 2 of 1,204 keys (use --limit)\n"


def test_streams_write_as_records_come(given, capsys):
    """A tail writes a line at once; json means jsonl there, and csv has its header once."""
    output.Stream(COLUMNS, {"name": 6}, ident="name").write(RECORDS[0])
    head, line = capsys.readouterr().out.splitlines()
    assert head.startswith("NAME    COST")
    assert line.startswith("ci      $0.000068")
    given.output = options.Format.CSV
    stream = output.Stream(COLUMNS, {}, ident="name")
    stream.write(RECORDS[0])
    stream.write(RECORDS[0])
    assert len(capsys.readouterr().out.splitlines()) == 3
    given.output = options.Format.JSON
    output.Stream(COLUMNS, {}, ident="name").write(RECORDS[0])
    assert json.loads(capsys.readouterr().out)["name"] == "ci"


@pytest.mark.parametrize(
    ("environ", "words", "colored"),
    [
        ({}, [], False),
        ({"FORCE_COLOR": "1"}, [], True),
        ({"CLICOLOR_FORCE": "1"}, [], True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, [], False),
        ({"NO_COLOR": "1"}, ["--color", "always"], True),
        ({"FORCE_COLOR": "1"}, ["--color", "never"], False),
        ({"TERM": "dumb"}, [], False),
    ],
)
def test_colour_follows_the_conventions(tmp_path, environ, words, colored):
    """--color goes before NO_COLOR, that before FORCE_COLOR; a pipe and a dumb terminal get none. Tables obey as errors do."""
    program = Program(tmp_path / "h")
    result = program.run("key", "list", *words, **environ)
    assert ("\033[" in result.out) is colored
    assert ("\033[" in program.run(*words, "nonsense", **environ).err) is colored


EVIL = "a\x1b[31m\x1b]0;title\x07\x9b2J\r\x7fb\u202ec"
SPELLED = "a\\u001b[31m\\u001b]0;title\\u0007\\u009b2J\\u000d\\u007fb\\u202ec"


@pytest.mark.parametrize("colour", list(options.When))
@pytest.mark.parametrize("form", list(options.Format))
def test_nothing_that_is_stored_commands_a_terminal(given, capsys, form, colour):
    """Control characters of a value are spelled out in every format, and only there; JSON stays JSON."""
    given.output, given.color = form, colour
    rows = [{"name": EVIL, "cost_nanousd": 5, "tags": [EVIL], "note": f"one\n{EVIL}"}]
    columns = [Column("name"), Column("tags"), Column("note")]
    output.rows(rows, columns, noun="keys")
    output.record(rows[0])
    output.record(rows[0], text=f"{options.bold(EVIL, sys.stdout)} {EVIL}")
    output.text(EVIL)
    stream = output.Stream(columns, {}, ident="name")
    stream.write(rows[0])
    notices.error(EVIL, EVIL)
    told = capsys.readouterr()
    for text in (told.out, told.err):
        own = re.sub(r"\x1b\[(0|1|1;31|1;36)m", "", text) if colour is options.When.ALWAYS else text
        assert not set(own) & set("\x1b\x07\x9b\r\x7f\u202e")
        assert "\x1b[31m" not in text
        assert SPELLED in text
    if form in {options.Format.JSON, options.Format.JSONL}:
        first = json.JSONDecoder().raw_decode(told.out)[0]
        assert first.get("keys", [first])[0]["name"] == EVIL


def test_a_table_is_straight_whatever_it_holds(given, capsys):
    """What is spelled out is as wide as it is drawn."""
    output.rows(
        [{"name": EVIL, "count": 1}, {"name": "b", "count": 2}],
        [Column("name"), Column("count")],
        noun="keys",
    )
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("wide", [40, 60, 80, 100, 120, 150, 200])
def test_a_list_that_never_ends_fits_the_terminal(given, capsys, monkeypatch, wide):
    """No line is wider than the terminal whatever comes, and cost and status are always there."""
    from llmgw.cli.commands.request import TAIL, WIDTHS

    monkeypatch.setenv("COLUMNS", str(wide))
    stream = output.Stream(TAIL, WIDTHS, elastic="target")
    row = {
        "id": "req_6hc31cn3r0000",
        "ended_at": "14:02:31",
        "key": "laptop-of-anna",
        "target": "openrouter/deepseek/deepseek-v3.2-exp-and-a-longer-name",
        "tier": "premium",
        "cache": "bypass",
        "usage": {"input_tokens": 123_456, "output_tokens": 1_234},
        "ttft_us": 420_000,
        "latency_us": 4_200_000,
        "cost_nanousd": 68_000,
        "status": 200,
    }
    stream.write(row)
    stream.write(row | {"key": "ci", "target": "echo/echo", "cost_nanousd": 12_345_678_901})
    head, *lines = capsys.readouterr().out.splitlines()
    assert len(head) <= wide
    for line, cost in zip(lines, ("$0.000068", "$12.35"), strict=True):
        assert len(line) <= wide, line
        assert line.endswith("200")
        assert cost in line
    assert ("TTFT" in head) is (wide >= 150)
    assert ("IN" in head.split()) is (wide >= 120)
    assert ("TIME" in head) is (wide >= 60)
