"""The program under test."""

from collections.abc import Iterator

import pytest
from support.program import Program


@pytest.fixture
def llmgw(tmp_path) -> Iterator[Program]:
    """The real program with an empty home; a gateway left running is ended."""
    program = Program(tmp_path / "home")
    yield program
    if (program.home / "gateway.json").exists():
        program.run("stop")
