"""External programs for the whole stream, and in every mode: the same in every executor."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeflow.telemetry.events import WorkerStarted
from tests.executors.programs import NUMBERS, TEXTS, failed, python, succeeded
from tests.executors.running import EXECUTORS, run

pytestmark = [pytest.mark.processes, pytest.mark.parametrize("executor", EXECUTORS)]


def test_a_program_reads_all_before_it_writes_and_counts_its_results_anew(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": NUMBERS,
        "sorted": {"run": ["sort", "-rn"], "inputs": "source"},
        "sink": {"keep": "sorted"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.kept["sink"] == [((1, n), 39 - n) for n in range(40)]
    work = outcome.stage("sorted")
    assert (work.received, work.processed, work.emitted["out"]) == (40, 40, 40)


@pytest.mark.parametrize("program", [["tac"], ["cat"]], ids=["late", "at-once"])
def test_text_goes_through_a_program_as_it_is_and_more_of_it_than_its_pipes_hold(
    tmp_path: Path, executor: str, program: list[str]
) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 3000}},
        "texts": {**TEXTS, "with": {"expr": "f'{item:05}: é {\"x\" * 200}'"}},
        "through": {"run": program, "inputs": {"from": "texts", "capacity": 4}},
        "sink": {"keep": {"from": "through", "capacity": 2}},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    texts = [f"{number:05}: é {'x' * 200}" for number in range(3000)]
    assert outcome.items("sink") == (texts[::-1] if program == ["tac"] else texts)


def test_a_program_that_writes_much_before_it_reads_does_not_lock_up(
    tmp_path: Path, executor: str
) -> None:
    text = "import sys; print('x' * 500_000); print(len(sys.stdin.read()))"
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 30_000}},
        "texts": TEXTS,
        "work": {"run": python(text), "inputs": "texts"},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    whole = sum(len(f"line {number:02}\n") for number in range(30_000))
    assert outcome.items("sink") == ["x" * 500_000, str(whole)]


def test_a_program_that_needs_no_more_ends_its_stage_early(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 10**9}},
        "texts": TEXTS,
        "few": {"run": ["head", "-n", 3], "inputs": "texts"},
        "sink": {"keep": "few"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == ["line 00", "line 01", "line 02"]


def test_readers_that_need_no_more_end_a_program_that_would_go_on_for_ever(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "endless": {"run": ["sh", "-c", "trap '' PIPE; while :; do echo y; done"]},
        "few": {"use": "take", "inputs": "endless", "with": {"n": 5}},
        "sink": {"keep": "few"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == ["y"] * 5


def test_a_program_without_inputs_is_a_source_and_one_without_readers_a_sink(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": {"run": {"cmd": ["seq", 1000], "format": "jsonl"}},
        "sum": {"use": "map", "inputs": "source", "with": {"expr": "item * 2"}},
        "save": {"run": ["dd", "status=none", f"of={tmp_path / 'out.txt'}"], "inputs": "sum"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    saved = (tmp_path / "out.txt").read_text().splitlines()
    assert saved == [str(2 * number) for number in range(1, 1001)]
    assert outcome.stage("save").received == 1000


def test_output_of_a_sink_is_let_go_whatever_it_is_and_told(tmp_path: Path, executor: str) -> None:
    stages = {"source": NUMBERS, "sink": {"run": ["gzip", "-c"], "inputs": "source"}}

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    (line,) = [line for line in outcome.lines() if "no stage reads" in line]
    assert re.fullmatch(r"program 'gzip' wrote [0-9,]+ bytes that no stage reads: a stage .*", line)


def test_an_exit_status_ends_the_run_with_the_programs_own_words(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": NUMBERS,
        "work": {
            "run": ["sh", "-c", "cat; echo one >&2; echo 'no room left' >&2; exit 3"],
            "inputs": "source",
        },
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    error = failed(outcome)
    assert error.message == (
        "program 'sh' ended with exit status 3 (it was given 40 items): one; no room left"
    )
    assert (error.type, error.phase, error.item) == ("ProgramFailed", "program", "")
    assert outcome.lines()[-2:] == ["one", "no room left"]


@pytest.mark.parametrize("stage", ["source", "work"])
def test_a_stream_program_that_is_killed_ends_the_run(
    tmp_path: Path, executor: str, stage: str
) -> None:
    kill = ["sh", "-c", "echo 1; kill -9 $$"]
    stages = {
        "source": {"run": kill} if stage == "source" else NUMBERS,
        "work": {"run": ["cat"] if stage == "source" else kill, "inputs": "source"},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    error = failed(outcome)
    assert error.stage == stage
    assert "program 'sh' was ended by SIGKILL" in error.message


def test_a_program_that_fails_before_it_has_an_item_ends_the_run(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "quiet": {"run": ["sleep", "1000"]},
        "work": {"run": ["sh", "-c", "exit 7"], "inputs": "quiet"},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    error = failed(outcome)
    assert (error.stage, error.message) == (
        "work",
        "program 'sh' ended with exit status 7 (it was given 0 items)",
    )


def test_all_that_a_program_wrote_before_it_ended_arrives(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": {"run": ["sh", "-c", "echo a; printf b"]},
        "work": {"run": ["sh", "-c", "cat; printf c"], "inputs": "source"},
        "sink": {"keep": "work"},
    }

    for _ in range(3):
        outcome = run(tmp_path, stages, executor)
        succeeded(outcome)
        assert outcome.items("sink")[-2:] == ["b", "c"]


def test_what_a_program_leaves_behind_holds_up_nobody(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "work": {"run": ["sh", "-c", "sleep 1000 & cat"], "inputs": "source"},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == list(range(40))


@pytest.mark.parametrize(
    ("output", "form", "message"),
    [
        (r"'a\nb\377\n'", "lines", r"line 2 of what program 'printf' wrote is not UTF-8"),
        (r"'1\n\n{\n'", "jsonl", "line 3 of what program 'printf' wrote is not JSON"),
    ],
)
def test_output_that_is_no_item_is_told_with_its_line(
    tmp_path: Path, executor: str, output: str, form: str, message: str
) -> None:
    stages = {
        "source": {"run": {"cmd": ["printf", output.strip("'")], "format": form}},
        "sink": {"keep": "source"},
    }

    outcome = run(tmp_path, stages, executor)

    assert message in failed(outcome).message


def test_an_item_that_is_no_line_is_named(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "texts": {**TEXTS, "with": {"expr": "'a\\nb' if item == 7 else 'a'"}},
        "work": {"run": ["cat"], "inputs": "texts"},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.report.ledger.findings == ()
    (error,) = outcome.report.errors
    assert error.item == "source:7"
    assert "holds a line break" in error.message


# ------------------------------------------------------------------- all modes


@pytest.mark.parametrize("mode", ["stream", "item", "each"])
def test_a_program_that_is_not_there_is_told_before_anything_runs(
    tmp_path: Path, executor: str, mode: str
) -> None:
    stages = {
        "source": NUMBERS,
        "work": {"run": {"cmd": ["no-such-program"], "mode": mode}, "inputs": "source"},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    error = failed(outcome)
    assert error.stage == "work"
    assert not [event for event in outcome.events if isinstance(event, WorkerStarted)]
    assert "there is no program 'no-such-program' in the folders of PATH" in error.message
    assert outcome.items("sink") == []


@pytest.mark.parametrize("mode", ["stream", "item", "each"])
def test_a_program_has_the_variables_of_its_stage(tmp_path: Path, executor: str, mode: str) -> None:
    script = 'while read x; do echo "$WORD $OMP_NUM_THREADS"; done'
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 1}},
        "texts": TEXTS,
        "work": {
            "run": {"cmd": ["sh", "-c", script], "mode": mode, "format": "lines"},
            "inputs": "texts",
            "env": {"WORD": "hello ${replica}"},
            "resources": {"threads": 3},
        },
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == ["hello 0 3"]
