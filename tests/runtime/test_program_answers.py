"""A program that answers item by item: what is made of answers that come late, or too often."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipeflow.errors import ProgramFailed, ProgramGivenUp, ProgramTimeout
from pipeflow.runtime.programs.one_by_one import EachProgram, ItemProgram, Terms
from pipeflow.spec.program import Program, ProgramMode

pytestmark = pytest.mark.processes

SAYS = "import sys\nfor line in sys.stdin: {act}; sys.stdout.flush()"


def terms(*command: str, timeout_s: float | None = None, replaced: bool = False) -> Terms:
    program = Program(command=command, mode=ProgramMode.ITEM)
    return Terms(program=program, environ=dict(os.environ), timeout_s=timeout_s, replaced=replaced)


@contextmanager
def answering(act: str, *, replaced: bool = False) -> Iterator[ItemProgram]:
    script = SAYS.format(act=act)
    program = ItemProgram(terms(sys.executable, "-c", script, replaced=replaced))
    try:
        yield program
    finally:
        program.close()


def test_more_than_one_line_at_once_is_an_error_and_the_next_item_gets_another_program() -> None:
    with answering("sys.stdout.write(line if 'a' in line else line * 2)") as program:
        assert program("a1") == "a1"
        with pytest.raises(ProgramFailed, match=r"more than the one line .*: 'b'"):
            program("b")
        assert program("a2") == "a2"


def test_what_comes_after_the_last_answer_is_told_at_the_end() -> None:
    script = SAYS.format(act="sys.stdout.write(line)") + "\nprint('and more')"
    program = ItemProgram(terms(sys.executable, "-c", script))
    program("a")

    with pytest.raises(ProgramFailed, match="it came late, so answers may belong to other items"):
        program.finish()
    program.close()


def test_an_answer_longer_than_a_pipe_to_a_line_longer_than_a_pipe() -> None:
    with answering("sys.stdout.write(line[:-1] * 2 + '\\n')") as program:
        assert program("x" * 300_000) == "x" * 600_000


def test_deaths_are_counted_in_a_row_only() -> None:
    with answering("sys.stdout.write(line) if 'a' in line else sys.exit(3)") as program:
        for _ in range(2):
            for _ in range(4):
                with pytest.raises(ProgramFailed, match="exit status 3 before it answered"):
                    program("b")
            assert program("a") == "a"
        for _ in range(4):
            with pytest.raises(ProgramFailed):
                program("b")
        with pytest.raises(ProgramGivenUp, match="5 times in a row"):
            program("b")


@pytest.mark.parametrize("kind", [ItemProgram, EachProgram])
def test_a_program_that_takes_too_long_is_ended(kind: type[ItemProgram | EachProgram]) -> None:
    with pytest.raises(ProgramTimeout, match=r"'sleep' has not answered within 0\.2 s"):
        kind(terms("sleep", "1000", timeout_s=0.2))("a")


def test_one_that_has_never_answered_may_keep_its_lines_back() -> None:
    with pytest.raises(ProgramTimeout, match="does it write each line at once"):
        ItemProgram(terms("sleep", "1000", timeout_s=0.2))("a")


def test_a_program_that_closes_its_output_has_failed() -> None:
    program = ItemProgram(terms("sh", "-c", "exec >&-; sleep 1000"))

    with pytest.raises(ProgramFailed, match="closed its output before it answered"):
        program("a")


def test_one_that_cannot_be_started_says_why() -> None:
    with pytest.raises(ProgramFailed, match="'no-such-program' in the folders of PATH"):
        EachProgram(terms("no-such-program"))("a")
