"""What becomes of external programs, and of a run that has some, when anybody is killed."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.commands import DEADLINE_S, PIPEFLOW, write

pytestmark = pytest.mark.processes

#: Answers line by line.
ECHO = " while read line; do echo $line; done"
#: Tells its process id and that of one that it has started, and never comes to an end of its own.
STAYS = "sleep 1000 & echo $$ $! > {pids}; trap '' TERM; while :; do wait; done"
#: Gives an item, and the next once the program of the item before was killed.
KILLER = """
import os, select, signal

def items(pids, count):
    yield "first"
    with open(pids) as file:
        pid = int(file.readline().split()[0])
    sentinel = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([sentinel], [], [])
    for number in range(count):
        yield f"item {number}"
"""


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    fifo = tmp_path / "pids"
    os.mkfifo(fifo)
    return fifo


@contextmanager
def running(
    file: Path, *options: str, stderr: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The command, as long as the block lasts."""
    command = [*PIPEFLOW, "run", str(file), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told_by(pids: Path) -> list[int]:
    """The process ids that a program tells; waits for them."""
    with pids.open() as file:
        return [int(word) for word in file.readline().split()]


@contextmanager
def sentinels(numbers: list[int]) -> Iterator[list[int]]:
    ends = [os.pidfd_open(number) for number in numbers]
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def all_end(ends: list[int]) -> bool:
    return all(select.select([end], [], [], DEADLINE_S)[0] for end in ends)


def stages_of(mode: str, script: str, pids: Path) -> dict[str, Any]:
    return {
        "source": {"use": "range", "with": {"stop": 10**9}},
        "work": {
            "run": {"cmd": ["sh", "-c", script.format(pids=pids)], "mode": mode},
            "inputs": "source",
        },
        "end": {"use": "null", "inputs": "work"},
    }


MODES = ("stream", "item", "each")


@pytest.mark.parametrize("executor", ["local", "inline"])
@pytest.mark.parametrize("mode", MODES)
def test_programs_and_what_they_started_are_gone_when_the_command_is_killed(
    tmp_path: Path, pids: Path, mode: str, executor: str
) -> None:
    file = write(tmp_path, stages_of(mode, STAYS, pids))

    with running(file, "--quiet", "--executor", executor) as process:
        program, child = told_by(pids)
        with sentinels([program, child]) as ends:
            process.kill()
            process.wait(DEADLINE_S)
            # In one process nobody is left who could know of what the program itself has started.
            gone = all_end(ends if executor == "local" else ends[:1])
            if executor == "inline":
                os.kill(child, signal.SIGKILL)

    assert gone


@pytest.mark.parametrize("mode", MODES)
def test_a_program_is_gone_with_its_worker(tmp_path: Path, pids: Path, mode: str) -> None:
    file = write(tmp_path, stages_of(mode, STAYS, pids))
    events = tmp_path / "events.jsonl"

    with running(file, "--events", str(events), stderr=subprocess.PIPE) as process:
        numbers = told_by(pids)
        with sentinels(numbers) as ends:
            told = [json.loads(line) for line in events.read_text().splitlines()]
            started = [each for each in told if each["event"] == "worker_started"]
            (worker,) = [each["pid"] for each in started if each["stage"] == "work"]
            os.kill(worker, signal.SIGKILL)
            _, stderr = process.communicate(timeout=DEADLINE_S)
            gone = all_end(ends)

    assert gone
    assert process.returncode == 1
    assert "stage 'work' lost a worker" in stderr


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_a_program_killed_between_two_items_is_replaced_where_the_policy_lets_it(
    tmp_path: Path, pids: Path, executor: str
) -> None:
    tell = "[ -e {pids}.told ] || {{ touch {pids}.told; echo $$ > {pids}; }};"
    answer = 'read line; echo "$line"; '
    # It is known, and killed, once it has answered: no item is in its hand.
    script = answer + tell + ECHO
    if executor == "inline":
        pids.unlink()  # nobody could read from it meanwhile
        script = tell + answer + ECHO  # nobody looks before it has answered
    stages = stages_of("item", script, pids)
    stages["source"] = {"call": "killer:items", "with": {"pids": str(pids), "count": 20}}
    stages["end"] = {"use": "print", "inputs": "work"}
    stages["work"] |= {"on_error": "skip"}
    file = write(tmp_path, stages, {"killer": KILLER})

    with running(file, "--executor", executor, stderr=subprocess.PIPE) as process:
        stdout, stderr = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 0, stderr
    assert stdout.splitlines() == ["first", *(f"item {number}" for number in range(20))]
    assert "program 'sh' was ended by SIGKILL" in stderr


@pytest.mark.parametrize("executor", ["local", "inline"])
@pytest.mark.parametrize("mode", ["stream", "item"])
def test_a_program_killed_from_outside_ends_the_run_where_no_policy_covers_it(
    tmp_path: Path, pids: Path, executor: str, mode: str
) -> None:
    if executor == "inline" and mode == "item":
        pids.unlink()
    stages = stages_of(mode, "echo $$ > {pids};" + ECHO, pids)
    stages["source"] = {"call": "killer:items", "with": {"pids": str(pids), "count": 20}}
    file = write(tmp_path, stages, {"killer": KILLER})

    with running(file, "--executor", executor, stderr=subprocess.PIPE) as process:
        _, stderr = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 1
    assert "error[program-failed]: stage 'work' failed" in stderr
    assert "program 'sh' was ended by SIGKILL" in stderr


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_a_program_of_one_item_that_is_killed_costs_that_item(
    tmp_path: Path, pids: Path, executor: str
) -> None:
    script = "read line; [ $line = 3 ] && echo $$ > {pids} && sleep 1000; echo $line"
    stages = stages_of("each", script, pids)
    stages["source"]["with"] = {"stop": 6}
    stages["work"] |= {"on_error": "skip"}
    stages["end"] = {"use": "print", "inputs": "work"}
    file = write(tmp_path, stages)

    with running(file, "--executor", executor, stderr=subprocess.PIPE) as process:
        (program,) = told_by(pids)
        os.kill(program, signal.SIGKILL)
        stdout, stderr = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 0, stderr
    assert stdout.split() == [f"b'{number}\\n'" for number in (0, 1, 2, 4, 5)]


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_a_drain_lets_a_program_finish_what_it_has(
    tmp_path: Path, pids: Path, executor: str
) -> None:
    script = "read line; echo $$ > {pids}; cat > /dev/null; echo the end"
    stages = stages_of("stream", script, pids)
    stages["work"]["run"]["format"] = "lines"
    stages["text"] = {"use": "map", "inputs": "source", "with": {"expr": "str(item)"}}
    stages["work"]["inputs"] = "text"
    stages["end"] = {"use": "print", "inputs": "work"}
    file = write(tmp_path, stages)

    with running(file, "--executor", executor, stderr=subprocess.PIPE) as process:
        told_by(pids)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 130, stderr
    assert stdout == "the end\n"


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_a_drain_ends_a_program_that_is_a_source(tmp_path: Path, pids: Path, executor: str) -> None:
    stages: dict[str, Any] = {
        "source": {"run": ["sh", "-c", f"echo $$ > {pids}; exec sleep 1000"]},
        "end": {"use": "print", "inputs": "source"},
    }
    file = write(tmp_path, stages)

    command = running(file, "--executor", executor, stderr=subprocess.PIPE)
    with command as process, sentinels(told_by(pids)) as ends:
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=DEADLINE_S)
        gone = all_end(ends)

    assert gone
    assert process.returncode == 130, stderr


@pytest.mark.parametrize("mode", MODES)
def test_the_second_signal_ends_a_program_that_will_not_end(
    tmp_path: Path, pids: Path, mode: str
) -> None:
    file = write(tmp_path, stages_of(mode, STAYS, pids))

    with running(file, stderr=subprocess.PIPE) as process, sentinels(told_by(pids)) as ends:
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        for line in process.stderr:
            if "once more to stop at once" in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE_S)
        gone = all_end(ends)

    assert gone
    assert process.returncode == 130
