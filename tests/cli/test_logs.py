"""Reading the gateway's log."""

from llmgw.cli.commands.logs import Line, parse, recent

TEXT = """2026-11-21T03:00:00.000Z info llmgw: up
2026-11-21T03:00:01.000Z error llmgw.dispatch: broke
Traceback (most recent call last):
  ValueError
2026-11-21T03:00:02.000Z warning llmgw: odd: very
"""


def test_text_lines_with_tracebacks():
    """A line that begins no event belongs to the one before."""
    first, second, third = parse(TEXT.splitlines())
    assert first == Line("2026-11-21T03:00:00.000Z", "info", "llmgw", "up")
    assert second.message.endswith("ValueError")
    assert third.message == "odd: very"


def test_json_lines():
    """JSON logs are read as the same events, exceptions behind their message."""
    (line,) = parse(
        ['{"time":"2026-11-21T03:00:00.000Z","level":"info","logger":"a","message":"b","exception":"c"}']
    )
    assert line == Line("2026-11-21T03:00:00.000Z", "info", "a", "b\nc")


def test_rotated_files_are_read_as_far_as_needed(tmp_path):
    """The last lines are found across a rotation, oldest first."""
    path = tmp_path / "gateway.log"
    path.write_text("2026-11-21T03:00:02.000Z info a: three\n")
    (tmp_path / "gateway.log.1").write_text(
        "2026-11-21T03:00:00.000Z info a: one\n2026-11-21T03:00:01.000Z info a: two\n"
    )
    assert [line.message for line in recent(path, lambda _: True, 2)] == ["two", "three"]
    assert [line.message for line in recent(path, lambda _: True, 0)] == ["one", "two", "three"]
