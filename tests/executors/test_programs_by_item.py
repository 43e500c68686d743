"""External programs that answer items one by one: the same in every executor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.events import ItemFailed
from tests.executors.judging import succeeded
from tests.executors.programs import ANSWERER, NUMBERS, TEXTS, answering, failed, python
from tests.executors.running import EXECUTORS, run

pytestmark = [pytest.mark.processes, pytest.mark.parametrize("executor", EXECUTORS)]

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
