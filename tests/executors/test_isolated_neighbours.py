"""What an isolated stage does beside its items: running ahead, logging from wherever it can."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pipeflow
from pipeflow.api import make_executor
from pipeflow.executors.base import RunOptions
from pipeflow.telemetry.events import Event, LogLine
from pipeflow.telemetry.report import Report
from tests.executors.running import EXECUTORS

pytestmark = pytest.mark.processes

AHEAD = """
import os
from pathlib import Path
import numpy as np

def note(file: Path, number: int) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT), "wb") as out:
        out.write(number.to_bytes(8, "little"))  # in one call: nobody sees half of it

def many(item: int, made: Path, count: int, size: int):
    for number in range(count):
        note(made, number + 1)
        yield np.full(size, number) if size else number

def one(number: int, made: Path, size: int):
    note(made, number + 1)
    return np.full(size, number) if size else number

def look(item, made: Path, most: int) -> None:
    ahead = int.from_bytes(made.read_bytes(), "little") - int(np.ravel(item)[0]) - 1
    assert ahead <= most, ahead
"""

LOGS = """
import gc
import os
import pipeflow

class Circle:
    def __init__(self):
        self.me = self

    def __del__(self):
        pipeflow.log.info("gone")

def leaves_circles(item: int):
    gc.set_threshold(3)  # so it is collected in the middle of whatever comes next
    Circle()
    return {"deep": [item, {"er": item}]}

def forks(item: int) -> int:
    children = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            for _ in range(1000):
                pipeflow.log.info("said by a child")
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    return item
"""

STARTS = """
import subprocess
from pathlib import Path

def starts(item: int, pids: Path) -> list[str]:
    if item == 0:
        # A program that has started one itself.
        inner = f"sleep 1000 & echo $! >> {pids}; echo $$ >> {pids}; wait"
        subprocess.run(["sh", "-c", inner], check=True)
    return [state(pid) for pid in pids.read_text().split()]

def state(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "gone"
"""

VENDORED = """
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "vendored"))
from things import Thing

def make(stop: int):
    for number in range(stop):
        yield Thing(number)

def pass_on(thing: Thing) -> Thing:
    if thing.number % 10 == 3:
        os._exit(1)
    return thing

def number_of(thing: Thing) -> int:
    return thing.number
"""

UNLOADABLE = """
class Sealed:
    def __init__(self, number: int):
        self.number = number

    def __reduce__(self):
        return open_seal, (self.number,)

def open_seal(number: int):
    raise ValueError(f"seal {number} cannot be opened")

def one(number: int):
    return Sealed(number) if number == 3 else number

def many(number: int):
    yield number
    yield one(number)
"""


def run(folder: Path, code: str, text: str, executor: str = "local") -> tuple[Report, list[Event]]:
    (folder / "beside.py").write_text(code)
    file = folder / "pipeline.yaml"
    file.write_text(text)
    events: list[Event] = []
    report = make_executor(executor).run(pipeflow.plan(file), RunOptions(), events.append)
    assert report.ledger.findings == ()
    return report, events


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("function", ["many", "one"])
@pytest.mark.parametrize(("capacity", "size"), [("1", 0), ("8", 0), ("{bytes: 2MiB}", 131_072)])
def test_a_stage_in_a_process_of_its_own_runs_no_further_ahead_than_its_edge_allows(
    tmp_path: Path, executor: str, function: str, capacity: str, size: int
) -> None:
    made = tmp_path / "made"
    count = 200
    work = f"count: {count}, size: {size}" if function == "many" else f"size: {size}"
    # What the edge holds, what waits to get in, and the one that is being made.
    held = int(capacity) if capacity.isdigit() else 2
    report, _ = run(
        tmp_path,
        AHEAD,
        f"""
stages:
  source: {{use: range, with: {{stop: {1 if function == "many" else count}}}}}
  work:
    call: beside:{function}
    inputs: source
    on_error: skip
    with: {{made: "{made}", {work}}}
  sink:
    call: beside:look
    inputs: {{from: work, capacity: {capacity}}}
    with: {{made: "{made}", most: {held + held // 8 + 2}}}
""",
        executor,
    )

    assert report.errors == ()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_finalizer_may_log_in_the_middle_of_anything(tmp_path: Path, executor: str) -> None:
    report, events = run(
        tmp_path,
        LOGS,
        """
stages:
  source: {use: range, with: {stop: 500}}
  work: {call: 'beside:leaves_circles', inputs: source, on_error: skip, timeout: 5s}
  sink: {use: 'null', inputs: work}
""",
        executor,
    )

    assert [stage.skipped for stage in report.stages] == [0, 0, 0]
    assert len([event for event in events if isinstance(event, LogLine)]) > 400


def test_processes_that_an_isolated_stage_forks_may_log_all_at_once(tmp_path: Path) -> None:
    report, events = run(
        tmp_path,
        LOGS,
        """
stages:
  source: {use: range, with: {stop: 3}}
  work: {call: 'beside:forks', inputs: source, on_error: skip}
  sink: {use: 'null', inputs: work}
""",
    )

    assert report.errors == ()
    lines = [event for event in events if isinstance(event, LogLine)]
    said = [line for line in lines if line.text == "said by a child"]
    assert len(said) == 3 * 4 * 1000


def test_programs_that_a_call_has_started_end_with_it_when_its_time_is_up(tmp_path: Path) -> None:
    """Else each item that takes too long leaves one at work until the run is over."""
    seen = tmp_path / "seen.jsonl"
    report, _ = run(
        tmp_path,
        STARTS,
        f"""
stages:
  source: {{use: range, with: {{stop: 2}}}}
  work:
    call: beside:starts
    inputs: source
    on_error: skip
    timeout: 500ms
    with: {{pids: "{tmp_path / "pids"}"}}
  sink: {{use: jsonl.write, inputs: work, with: {{path: "{seen}"}}}}
""",
    )

    assert report.stages[1].skipped == 1
    (states,) = [json.loads(line) for line in seen.read_text().splitlines()]
    assert len(states) == 2
    assert set(states) <= {"gone", "Z", "X"}


def test_classes_of_items_are_found_where_a_module_of_the_user_has_put_them(tmp_path: Path) -> None:
    (tmp_path / "vendored").mkdir()
    (tmp_path / "vendored" / "things.py").write_text(
        "class Thing:\n    def __init__(self, number):\n        self.number = number\n"
    )
    report, _ = run(
        tmp_path,
        VENDORED,
        """
stages:
  source: {call: 'beside:make', with: {stop: 20}}
  work: {call: 'beside:pass_on', inputs: source, on_error: skip}
  sink: {call: 'beside:number_of', inputs: work}
""",
    )

    assert report.errors == ()
    assert [(stage.processed, stage.skipped) for stage in report.stages[1:]] == [(18, 2), (18, 0)]


@pytest.mark.parametrize("function", ["one", "many"])
def test_a_result_that_cannot_be_loaded_ends_the_run_and_names_its_item(
    tmp_path: Path, function: str
) -> None:
    report, _ = run(
        tmp_path,
        UNLOADABLE,
        f"""
stages:
  source: {{use: range, with: {{stop: 20}}}}
  work: {{call: 'beside:{function}', inputs: source, on_error: skip}}
  sink: {{use: 'null', inputs: work}}
""",
    )

    (error,) = report.errors
    assert error.item.split(".")[0] == "source:3"
    assert "seal 3 cannot be opened" in error.message
    # What was done before it counts.
    assert report.stages[1].processed >= 3
