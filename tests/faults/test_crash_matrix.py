"""Every way to fail, at every moment, in every place: one cause, the books kept, nothing left.

Some of the cases run always; all of them with ``PIPEFLOW_CRASHES=all``.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import pipeflow

pytestmark = pytest.mark.processes

STAGES = Path(__file__).parent / "stages"
ALL = os.environ.get("PIPEFLOW_CRASHES") == "all"
#: None takes a second on an idle machine.
DEADLINE_S = 30.0

FAULTS = (
    *("raise", "unpicklable raise", "sys.exit", "os._exit(0)", "abort", "segfault"),
    *("SIGKILL", "SIGSTOP", "hang", "out of memory"),
)
MOMENTS = (
    *("import", "constructor", "first item", "in the middle"),
    *("while pickling", "while unpickling", "in finish", "in close"),
)
PLACES = ("source", "middle", "sink", "replica")

#: Where our own code lies: no frame of it may be shown.
OURS = str(Path(pipeflow.__file__).parent)
#: A source unpickles nothing, and a sink pickles nothing.
IMPOSSIBLE = {("while unpickling", "source"), ("while pickling", "sink")}
#: Those that never end by themselves: only a signal, or a deadline, ends the run.
ENDLESS = {"SIGSTOP", "hang"}
LOADING = {"import", "constructor"}

SIGNALS = {"abort": "SIGABRT", "segfault": "SIGSEGV", "SIGKILL": "SIGKILL"}
RAISED = {
    "raise": "ValueError",
    "unpicklable raise": "Odd",
    "sys.exit": "SystemExit",
    "out of memory": "MemoryError",
}
CODES = {
    "import": "import-failed",
    "constructor": "constructor-failed",
    "while pickling": "not-serializable",
    "while unpickling": "not-loadable",
    "in finish": "finish-failed",
    "in close": "close-failed",
}
WRAPPED = {"while pickling": "ItemNotSerializable", "while unpickling": "ItemNotLoadable"}


@dataclass(frozen=True)
class Case:
    fault: str
    moment: str
    place: str

    def __str__(self) -> str:
        return f"{self.fault} - {self.moment} - {self.place}"

    @property
    def stage(self) -> str:
        """Name of the stage that is hit."""
        return "middle" if self.place == "replica" else self.place


def cases() -> Iterator[Case]:
    """All of them, or a selection in which each two of fault, moment and place meet."""
    everything = itertools.product(enumerate(FAULTS), enumerate(MOMENTS), enumerate(PLACES))
    for (a, fault), (b, moment), (c, place) in everything:
        if (moment, place) not in IMPOSSIBLE and (ALL or (a + b + c) % len(PLACES) == 0):
            yield Case(fault, moment, place)


def write(folder: Path, case: Case, policy: dict[str, Any] | None = None) -> Path:
    for file in STAGES.glob("faulty*.py"):
        shutil.copy(file, folder)
    module = dict.fromkeys(("source", "middle", "sink"), "faulty")
    if case.moment == "import":
        module[case.stage] = "faulty_import"
    middle: dict[str, Any] = {"call": f"{module['middle']}:Middle", "inputs": "source"}
    if case.place == "replica":
        middle["call"] = f"{module['middle']}:Replica"
        middle |= {
            "replicas": 2,
            "partition": {"key": "0 if isinstance(item, int) and item % 2 else 1"},
        }
    stages = {
        "source": {"call": f"{module['source']}:Source"},
        "middle": middle,
        "sink": {"call": f"{module['sink']}:Sink", "inputs": "middle"},
    }
    if policy is not None:
        plain = {"middle": "Plain", "sink": "PlainSink"}[case.stage]
        stages[case.stage] |= {"call": f"{module[case.stage]}:{plain}", **policy}
        stages["bad"] = {
            "use": "jsonl.write",
            "inputs": f"{case.stage}.errors",
            "with": {"path": str(folder / "bad.jsonl")},
        }
    file = folder / "pipeline.yaml"
    file.write_text(json.dumps({"stages": stages}))
    return file


@dataclass(frozen=True)
class Result:
    code: int
    said: str
    report: dict[str, Any]
    events: list[dict[str, Any]]


def run(folder: Path, case: Case, policy: dict[str, Any] | None = None) -> Result:
    file = write(folder, case, policy)
    report, events = folder / "report.json", folder / "events.jsonl"
    program = [sys.executable, "-m", "pipeflow", "run", str(file), "--quiet"]
    # A busy machine may stop all of us for a while: only who hangs there is short of patience.
    patience = "1s" if case.fault in ENDLESS and case.moment in LOADING else "1m"
    options = ["--report", str(report), "--events", str(events), "--start-timeout", patience]
    environ = {**os.environ, "FAULT": case.fault, "MOMENT": case.moment, "ROLE": case.place}
    with subprocess.Popen(
        [*program, *options, "--grace", "500ms", "--stuck-after", "200ms"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    ) as process:
        assert process.stderr is not None
        said = ""
        asked = False
        for line in process.stderr:
            said += line
            if not asked and policy is None and "here it hangs" in line:
                process.send_signal(signal.SIGINT)
                asked = True
        code = process.wait(DEADLINE_S)
    told = [json.loads(line) for line in events.read_text().splitlines()]
    return Result(code, said, json.loads(report.read_text()), told)


@pytest.mark.parametrize("case", tuple(cases()), ids=str)
def test_one_cause_is_named_the_books_are_kept_and_nothing_is_left(
    tmp_path: Path, case: Case
) -> None:
    result = run(tmp_path, case)

    errors = result.report["errors"]
    assert result.report["ledger"]["findings"] == []
    assert OURS not in result.said
    if case.fault in ENDLESS and case.moment not in LOADING:
        # It was interrupted, and had time to end: nothing has failed.
        assert (result.code, errors, deaths(result)) == (130, [], [])
        return
    assert result.code == 1
    assert [error["stage"] for error in errors] == [case.stage]
    assert errors[0]["type"].rpartition(".")[2] == kind(case)
    assert item(case) in {errors[0]["item"], ""}
    assert errors[0]["message"] in result.said.replace("\n", " ")
    if case.fault in SIGNALS:
        assert [(d["stage"], d["signal"]) for d in deaths(result)] == [
            (case.stage, SIGNALS[case.fault])
        ]
        assert SIGNALS[case.fault] in errors[0]["message"]
    if case.fault in RAISED:
        # Where it happened, in the user's own code and nobody else's.
        assert "in fail" in errors[0]["traceback"]
        assert f"error[{code(case)}]" in result.said
    if case.fault not in ENDLESS and case.moment == "while unpickling" and case.fault not in RAISED:
        assert "it was unpickling" in errors[0]["message"]
    if case.fault in {"abort", "segfault"}:
        assert "faulty.py" in errors[0]["traceback"]
        assert "pipeflow/runtime" not in errors[0]["traceback"]


#: What may happen with an item in hand, and be that item's own failure.
OF_ITEMS = ("first item", "in the middle", "while pickling", "while unpickling")


def covered() -> Iterator[Case]:
    """Cases in a stage whose policy goes on; all of them, or a selection as above."""
    everything = itertools.product(
        enumerate(FAULTS), enumerate(MOMENTS), enumerate(("middle", "sink"))
    )
    for (a, fault), (b, moment), (c, place) in everything:
        possible = moment != "in finish"
        endless = fault in ENDLESS and moment not in OF_ITEMS  # no time limit holds there
        chosen = ALL or (a + b + c) % 2 == 0
        if chosen and possible and not endless and (moment, place) not in IMPOSSIBLE:
            yield Case(fault, moment, place)


@pytest.mark.parametrize("case", tuple(covered()), ids=str)
def test_where_the_policy_goes_on_any_fault_of_an_item_is_a_dead_letter(
    tmp_path: Path, case: Case
) -> None:
    result = run(tmp_path, case, {"on_error": "dead_letter", "timeout": "700ms"})

    assert result.report["ledger"]["findings"] == []
    assert OURS not in result.said
    if case.moment not in OF_ITEMS:
        # Import, constructor and close belong to no item.
        assert result.code == 1
        (error,) = result.report["errors"]
        assert (error["stage"], error["item"]) == (case.stage, "")
        assert error["type"].rpartition(".")[2] == kind(case)
        return
    assert (result.code, result.report["errors"]) == (0, [])
    (letter,) = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert letter["id"] == item(case, covered=True)
    told = "TimeoutError" if case.fault in ENDLESS else kind(case)
    assert letter["error"]["type"].rpartition(".")[2] == told
    (stage,) = [each for each in result.report["stages"] if each["name"] == case.stage]
    assert (stage["received"], stage["processed"], stage["dead_lettered"]) == (40, 39, 1)


def deaths(result: Result) -> list[dict[str, Any]]:
    return [event for event in result.events if event["event"] == "worker_died"]


def kind(case: Case) -> str:
    """Type of the error that is told."""
    if case.fault in SIGNALS or case.fault == "os._exit(0)":
        return "WorkerDied"
    if case.fault in ENDLESS:
        return "StartTimeout"
    if case.moment in WRAPPED:
        return WRAPPED[case.moment]
    return RAISED[case.fault]


def code(case: Case) -> str:
    """What kind of mistake is told."""
    if case.moment == "in finish" and case.place == "source":
        return "stage-failed"  # it has no ``finish``: for it that is one more step
    return CODES.get(case.moment, "stage-failed")


def item(case: Case, *, covered: bool = False) -> str:
    """Id of the item that is told, where one is in somebody's hand, or is looked for."""
    if case.place == "source" and (case.fault in SIGNALS or case.fault == "os._exit(0)"):
        return ""  # it was about to make one
    if case.moment == "in the middle":
        return "source:8" if case.place == "replica" else "source:4"
    if case.moment == "while unpickling" and (case.fault in RAISED or covered):
        return "source:20"
    return {"first item": "source:0", "while pickling": "source:20"}.get(case.moment, "")
