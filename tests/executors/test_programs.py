"""External programs as stages: the same in every executor, whatever they do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.events import ItemFailed
from pipeflow.telemetry.report import ErrorFacts, Status
from tests.executors.running import EXECUTORS, Outcome, run

pytestmark = [pytest.mark.processes, pytest.mark.parametrize("executor", EXECUTORS)]

NUMBERS = {"call": "shapes:numbers", "with": {"stop": 40}}
TEXTS = {"use": "map", "inputs": "source", "with": {"expr": "f'line {item:02}'"}}
#: Answers each line at once, and does with some what the test is about.
ANSWERER = """
import os, signal, sys, time
for line in sys.stdin:
    {act}
    sys.stdout.write(line.upper())
    sys.stdout.flush()
"""


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def answering(act: str) -> list[str]:
    return python(ANSWERER.format(act=act))


def succeeded(outcome: Outcome) -> None:
    assert outcome.report.errors == ()
    assert outcome.report.ledger.findings == ()
    assert outcome.report.run.status is Status.SUCCEEDED


def failed(outcome: Outcome) -> ErrorFacts:
    assert outcome.report.ledger.findings == ()
    assert outcome.report.run.exit_code == 1
    (error,) = outcome.report.errors
    assert error.traceback == ""
    return error


# ------------------------------------------------------------------------ stream


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


def test_a_stream_program_of_several_replicas_gets_what_its_keys_say(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": NUMBERS,
        "sums": {
            "run": ["awk", "{ sum += $1 } END { print sum }"],
            "inputs": "source",
            "partition": {"key": "item % 2"},
            "replicas": 2,
        },
        "sink": {"keep": "sums"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert sum(outcome.items("sink")) == sum(range(40))
    assert len(outcome.items("sink")) == 2


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


# -------------------------------------------------------------------------- item


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_line_for_a_line_keeps_ids_and_order(
    tmp_path: Path, executor: str, replicas: int
) -> None:
    stages = {
        "source": NUMBERS,
        "texts": TEXTS,
        "upper": {
            "run": {"cmd": answering("pass"), "mode": "item"},
            "inputs": "texts",
            "replicas": replicas,
        },
        "sink": {"keep": "upper"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.kept["sink"] == [((0, n), f"LINE {n:02}") for n in range(40)]


def test_named_inputs_reach_a_program_as_one_object_and_null_is_nothing(
    tmp_path: Path, executor: str
) -> None:
    text = """
import json, sys
for line in sys.stdin:
    both = json.loads(line)
    print(json.dumps(both if both["left"] % 2 else None), flush=True)
"""
    stages = {
        "source": NUMBERS,
        "double": {"use": "map", "inputs": "source", "with": {"expr": "item * 2"}},
        "work": {
            "run": {"cmd": python(text), "mode": "item"},
            "inputs": {"left": "source", "right": "double"},
        },
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [{"left": n, "right": 2 * n} for n in range(1, 40, 2)]
    assert outcome.stage("work").empty == 40  # two items a call


@pytest.mark.parametrize("how", ["kill", "exit", "twice"])
def test_a_program_that_fails_at_an_item_is_replaced_and_the_item_given_up(
    tmp_path: Path, executor: str, how: str
) -> None:
    acts = {
        "kill": "os.kill(os.getpid(), 9)",
        "exit": "sys.exit('oh no')",
        "twice": "line = line + line",
    }
    act = f"if line.split()[1] in ('07', '23'): {acts[how]}"
    stages = {
        "source": NUMBERS,
        "texts": TEXTS,
        "upper": {
            "run": {"cmd": answering(act), "mode": "item"},
            "inputs": "texts",
            "on_error": "dead_letter",
        },
        "sink": {"keep": "upper"},
        "broken": {"keep": "upper.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    letters = outcome.items("broken")
    assert [letter["id"] for letter in letters] == ["source:7", "source:23"]
    assert outcome.items("sink") == [f"LINE {n:02}" for n in range(40) if n not in {7, 23}]
    words = {"kill": "was ended by SIGKILL", "exit": "exit status 1", "twice": "more than the one"}
    assert all(words[how] in letter["error"]["message"] for letter in letters)
    assert all(letter["error"]["type"] == "ProgramFailed" for letter in letters)
    assert all(letter["error"]["traceback"] == "" for letter in letters)


def test_a_program_that_dies_is_tried_again_with_the_same_item(
    tmp_path: Path, executor: str
) -> None:
    marker = tmp_path / "died"
    act = (
        f"if line.split()[1] == '07' and not os.path.exists({str(marker)!r}):"
        f" open({str(marker)!r}, 'w').close(); os.kill(os.getpid(), 9)"
    )
    stages = {
        "source": NUMBERS,
        "texts": TEXTS,
        "upper": {
            "run": {"cmd": answering(act), "mode": "item"},
            "inputs": "texts",
            "on_error": {"retries": 1, "backoff": "1ms"},
        },
        "sink": {"keep": "upper"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [f"LINE {n:02}" for n in range(40)]
    assert outcome.stage("upper").retried == 1


def test_without_a_policy_the_death_of_a_program_ends_the_run(
    tmp_path: Path, executor: str
) -> None:
    act = "if line.split()[1] == '07': os.kill(os.getpid(), 9)"
    stages = {
        "source": NUMBERS,
        "texts": TEXTS,
        "upper": {"run": {"cmd": answering(act), "mode": "item"}, "inputs": "texts"},
        "sink": {"keep": "upper"},
    }

    outcome = run(tmp_path, stages, executor)

    error = failed(outcome)
    assert error.item == "source:7"
    assert error.message.endswith("was ended by SIGKILL before it answered")


def test_five_deaths_in_a_row_end_the_run_whatever_the_policy(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": NUMBERS,
        "texts": TEXTS,
        "upper": {
            "run": {"cmd": ["false"], "mode": "item"},
            "inputs": "texts",
            "on_error": "skip",
        },
        "sink": {"keep": "upper"},
    }

    outcome = run(tmp_path, stages, executor)

    error = failed(outcome)
    assert "program 'false' ended with exit status 1" in error.message
    assert "5 times in a row" in error.message


def test_a_program_that_fails_after_its_last_item_ends_the_run(
    tmp_path: Path, executor: str
) -> None:
    text = ANSWERER.format(act="pass") + "\nsys.exit('the end was bad')"
    stages = {
        "source": NUMBERS,
        "texts": TEXTS,
        "upper": {"run": {"cmd": python(text), "mode": "item"}, "inputs": "texts"},
        "sink": {"keep": "upper"},
    }

    outcome = run(tmp_path, stages, executor)

    error = failed(outcome)
    assert error.message.endswith("exit status 1 after its last item: the end was bad")
    assert outcome.stage("upper").processed == 40


# -------------------------------------------------------------------------- each


def test_each_item_has_a_program_of_its_own_bytes_in_and_bytes_out(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 6}},
        "blocks": {**TEXTS, "with": {"expr": "bytes(range(256)) * 1000 * item"}},
        "packed": {
            "run": {"cmd": ["gzip", "-c"], "mode": "each"},
            "inputs": "blocks",
            "replicas": 2,
        },
        "sizes": {
            "use": "map",
            "inputs": "packed",
            "with": {"expr": "len(__import__('gzip').decompress(item))"},
        },
        "sink": {"keep": "sizes"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.kept["sink"] == [((0, n), 256_000 * n) for n in range(6)]


@pytest.mark.parametrize(
    ("form", "expr", "cmd", "results"),
    [
        ("lines", "'é %d' % item", ["cat"], [f"é {n}" for n in range(4)]),
        ("jsonl", "{'n': item}", ["cat"], [{"n": n} for n in range(4)]),
        ("jsonl", "{'n': item}", ["grep", "-v", "n.: 2"], None),
        (None, "'é'", ["cat"], ["é"] * 4),
    ],
)
def test_the_format_of_each_says_what_its_bytes_are(
    tmp_path: Path, executor: str, form: str | None, expr: str, cmd: list[str], results: Any
) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 4}},
        "items": {**TEXTS, "with": {"expr": expr}},
        "each": {
            "run": {"cmd": cmd, "mode": "each", **({"format": form} if form else {})},
            "inputs": "items",
            "on_error": "skip",
        },
        "shown": {
            "use": "map",
            "inputs": "each",
            "with": {"expr": "item.decode() if isinstance(item, bytes) else item"},
        },
        "sink": {"keep": "shown"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == (results or [{"n": n} for n in (0, 1, 3)])


def test_an_item_whose_program_fails_or_is_killed_has_failed(tmp_path: Path, executor: str) -> None:
    script = 'read x; case $x in 3) echo bad >&2; exit 4;; 5) kill -9 $$;; esac; printf "%s" "$x"'
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 8}},
        "each": {
            "run": {"cmd": ["sh", "-c", script], "mode": "each", "format": "jsonl"},
            "inputs": "source",
            "on_error": "dead_letter",
        },
        "sink": {"keep": "each"},
        "broken": {"keep": "each.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [0, 1, 2, 4, 6, 7]
    assert [letter["error"]["message"] for letter in outcome.items("broken")] == [
        "program 'sh' ended with exit status 4: bad",
        "program 'sh' was ended by SIGKILL",
    ]
    assert len([event for event in outcome.events if isinstance(event, ItemFailed)]) == 2


# --------------------------------------------------------------------- all modes


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


@pytest.mark.parametrize("mode", ["item", "each"])
def test_a_program_that_does_not_answer_in_time_is_ended_and_its_item_given_up(
    tmp_path: Path, executor: str, mode: str
) -> None:
    act = "if '07' in line: print('hm', file=sys.stderr); time.sleep(1000)"
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 10}},
        "texts": TEXTS,
        "upper": {
            "run": {"cmd": answering(act), "mode": mode, "format": "lines"},
            "inputs": "texts",
            "timeout": "2s",
            "on_error": "dead_letter",
        },
        "sink": {"keep": "upper"},
        "broken": {"keep": "upper.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [f"LINE {n:02}" for n in range(10) if n != 7]
    (letter,) = outcome.items("broken")
    assert letter["error"]["type"] == "TimeoutError"
    assert letter["error"]["message"] == (
        f"program '{Path(sys.executable).name}' has not answered within 2 s, and was ended: hm"
    )
