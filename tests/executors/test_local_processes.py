"""Real processes that die, hang, are interrupted: what is told, and that nothing is left."""

from __future__ import annotations

import errno
import gc
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import pipeflow
from pipeflow.errors import MachineError
from pipeflow.runtime import supervisor
from pipeflow.runtime.launch.messages import Launch
from pipeflow.runtime.launch.server_launcher import ServerLauncher
from pipeflow.telemetry.events import (
    Event,
    LogLine,
    RunFailed,
    WorkerDied,
    WorkerReady,
    WorkerStarted,
)
from pipeflow.telemetry.report import Report, Status
from pipeflow.testing.leftovers import Traces
from tests.processes import descendants, is_gone

pytestmark = pytest.mark.processes

TROUBLE = Path(__file__).parent.parent / "runtime" / "stages" / "trouble.py"
METHODS = ("forkserver", "spawn", "fork")

#: Nothing here takes a second on an idle machine; this is for a busy one.
DEADLINE_S = 30.0


def write(folder: Path, stages: dict[str, Any]) -> Path:
    shutil.copy(TROUBLE, folder / "trouble.py")
    file = folder / "pipeline.yaml"
    file.write_text(json.dumps({"stages": stages}))
    return file


def chain(how: str, **middle: Any) -> dict[str, Any]:
    """An endless source, a stage that falls, a sink."""
    return {
        "source": {"call": "trouble:numbers"},
        "fall": {"call": "trouble:fall", "inputs": "source", "with": {"how": how}, **middle},
        "sink": {"call": "trouble:ignore", "inputs": "fall"},
    }


def run(folder: Path, stages: dict[str, Any], **settings: Any) -> tuple[Report, list[Event]]:
    events: list[Event] = []
    report = pipeflow.run(write(folder, stages), listener=events.append, **settings)
    return report, events


def lines(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, LogLine)]


# ------------------------------------------------------------------------- deaths


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize(
    ("how", "exitcode", "signal_name"),
    [("kill", None, "SIGKILL"), ("segfault", None, "SIGSEGV"), ("exit", 0, None)],
)
def test_a_worker_that_dies_is_named_with_its_item(
    tmp_path: Path, how: str, exitcode: int | None, signal_name: str | None, method: str
) -> None:
    report, events = run(tmp_path, chain(how), start_method=method)

    died = [event for event in events if isinstance(event, WorkerDied)]
    assert [(d.stage, d.exitcode, d.signal, d.item) for d in died] == [
        ("fall", exitcode, signal_name, "source:100")
    ]
    assert (report.run.status, report.run.exit_code) == (Status.FAILED, 1)
    assert [(e.stage, e.item, e.type) for e in report.errors] == [
        ("fall", "source:100", "WorkerDied")
    ]
    assert report.ledger.balanced


def test_a_worker_that_dies_while_others_are_still_started_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text("import os\n\nos._exit(5)\n\n\ndef away(item): ...\n")
    stages: dict[str, Any] = {"source": {"call": "trouble:numbers"}}
    for number in range(8):
        before = f"stage{number - 1}" if number else "source"
        stages[f"stage{number}"] = {
            "call": "trouble:fall",
            "inputs": before,
            "with": {"how": "never"},
        }
    stages["sink"] = {"call": "gone:away", "inputs": "stage7"}

    report, _ = run(tmp_path, stages)  # readers are started first

    assert [(e.stage, e.type) for e in report.errors] == [("sink", "WorkerDied")]
    assert "exit status 5, while its stage was being loaded" in report.errors[0].message


def test_the_first_failure_ends_an_endless_run_and_is_told_once(tmp_path: Path) -> None:
    report, events = run(tmp_path, chain("raise"))

    told = [event.error for event in events if isinstance(event, RunFailed)]
    assert told == list(report.errors)
    assert (told[0].type, told[0].message, told[0].item) == (
        "ValueError",
        "no hundred",
        "source:100",
    )
    assert 'raise ValueError("no hundred")' in told[0].traceback


def test_what_a_dead_worker_had_started_goes_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    stages = {
        "source": {"call": "trouble:numbers"},
        "fall": {
            "call": "trouble:fall_with_child",
            "inputs": "source",
            "with": {"note": str(note)},
        },
    }

    run(tmp_path, stages)

    assert is_gone(int(note.read_text()))


def test_the_death_of_the_launch_server_ends_the_run(tmp_path: Path) -> None:
    def kill_parent(event: Event) -> None:
        # The source sleeps by then: nothing but its tie to the parent could end it.
        if isinstance(event, WorkerReady) and event.stage == "source":
            os.kill(parent_of(event.pid), signal.SIGKILL)

    report = pipeflow.run(write(tmp_path, chain("sleep")), listener=kill_parent)

    assert report.run.exit_code == 1
    assert "was ended from outside" in report.errors[0].message


# -------------------------------------------------------------------------- start


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_start_that_fails_half_way_leaves_nothing(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    launch = ServerLauncher.launch

    def fail_third(self: ServerLauncher, orders: Iterable[Launch]) -> Iterator[tuple[int, int]]:
        for number, pid in launch(self, orders):
            started.append(pid)
            if len(started) == 3:
                raise MachineError("a worker process could not be started")
            yield number, pid

    monkeypatch.setattr(ServerLauncher, "launch", fail_third)

    with pytest.raises(MachineError, match="could not be started"):
        run(tmp_path, chain("sleep"), start_method=method)

    assert len(started) == 3
    assert all(is_gone(pid) for pid in started)


def test_a_kernel_without_sentinels_of_processes_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "pidfd_open", refuse)

    stages = {"say": {"use": "files", "with": {"root": str(tmp_path), "pattern": "*.none"}}}

    report = pipeflow.run({"stages": stages})

    assert report.run.exit_code == 0


def test_an_error_of_the_listener_leaves_nothing(tmp_path: Path) -> None:
    pids: list[int] = []

    def fail(event: Event) -> None:
        if isinstance(event, WorkerStarted):
            pids.append(event.pid)
        if len(pids) == 3:
            raise RuntimeError("listener")

    with pytest.raises(RuntimeError, match="listener"):
        pipeflow.run(write(tmp_path, chain("sleep")), listener=fail)

    assert all(is_gone(pid) for pid in pids)


def test_too_few_descriptors_are_refused_before_the_start(tmp_path: Path) -> None:
    script = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40));"
    script += "from pipeflow.__main__ import main; sys.argv[1:] = sys.argv[1:]; sys.exit(main())"
    file = write(tmp_path, chain("sleep"))

    done = subprocess.run(
        [sys.executable, "-c", script, "run", str(file)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert done.returncode == 1
    assert "ulimit" in done.stderr
    assert "40" in done.stderr


def test_a_run_may_be_started_from_a_thread(tmp_path: Path) -> None:
    stages = {
        "source": {"call": "trouble:numbers", "with": {"stop": 500}},
        "sink": {"call": "trouble:ignore", "inputs": "source"},
    }
    reports: list[Report] = []
    thread = threading.Thread(target=lambda: reports.append(run(tmp_path, stages)[0]))

    thread.start()
    thread.join(DEADLINE_S)

    assert [report.run.status for report in reports] == [Status.SUCCEEDED]


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_a_run_that_is_over_holds_nothing_that_only_a_collector_would_find(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": {"call": "trouble:numbers", "with": {"stop": 5}},
        "sink": {"call": "trouble:ignore", "inputs": "source"},
    }
    run(tmp_path, stages, executor=executor)  # what is loaded and opened once
    gc.collect()
    before = Traces.now()
    gc.disable()
    try:
        run(tmp_path, stages, executor=executor)
        after = Traces.now()
    finally:
        gc.enable()

    assert after.descriptors == before.descriptors


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_worker_has_its_own_ends_its_environment_and_no_input(
    tmp_path: Path, method: str
) -> None:
    stages = {
        "source": {"call": "trouble:numbers", "with": {"stop": 1}},
        "sink": {
            "call": "trouble:describe",
            "inputs": "source",
            "with": {"name": "PLACE"},
            "env": {"PLACE": "number ${replica}"},
            "resources": {"threads": 3},
        },
        "other": {"call": "trouble:ignore", "inputs": "source"},
    }

    _, events = run(tmp_path, stages, start_method=method)

    module = "launch.server" if method == "forkserver" else "launch.boot"
    told = lines(events)
    # What it reads, its reports, its output twice, the life-line.
    assert told[:6] == [
        "pipes 5",
        "threads 3",
        "named number 0",
        "stdin ''",
        "hashed 1",
        f"script pipeflow.runtime.{module}",
    ]
    assert sorted(told[6:]) == ["on stderr", "unended"]


def test_variables_that_only_a_fresh_interpreter_reads_get_one(tmp_path: Path) -> None:
    stages = {
        "source": {"call": "trouble:numbers", "with": {"stop": 1}},
        "sink": {
            "call": "trouble:describe",
            "inputs": "source",
            "env": {"PYTHONHASHSEED": "0"},
        },
    }

    _, events = run(tmp_path, stages)

    assert "hashed 0" in lines(events)
    assert "script pipeflow.runtime.launch.boot" in lines(events)


def test_modules_of_the_current_folder_do_not_reach_a_worker_before_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in ("yaml", "pickle", "json", "select", "numpy"):
        (hostile / f"{name}.py").write_text("raise SystemExit('hostile')")
    monkeypatch.chdir(hostile)
    stages = {
        "source": {"call": "trouble:numbers", "with": {"stop": 5}},
        "sink": {"call": "trouble:ignore", "inputs": "source"},
    }

    report, _ = run(tmp_path, stages, start_method="spawn")

    assert report.run.status is Status.SUCCEEDED


# ---------------------------------------------------------------------------- end


def test_a_call_that_nobody_needs_is_killed_without_failing_the_run(tmp_path: Path) -> None:
    stages = {
        "source": {"call": "trouble:numbers"},
        "sleep": {"call": "trouble:sleep_after_first", "inputs": "source"},
        "first": {"use": "take", "inputs": "sleep", "with": {"n": 1}},
        "sink": {"call": "trouble:ignore", "inputs": "first"},
    }
    began = time.monotonic()

    report, _ = run(tmp_path, stages)

    assert report.run.status is Status.SUCCEEDED, report.errors
    assert report.ledger.balanced, report.ledger.findings
    assert {stage.name for stage in report.stages if stage.ended_early} >= {"sleep", "first"}
    assert time.monotonic() - began < DEADLINE_S


def test_the_reader_of_errors_of_a_killed_worker_is_excused(tmp_path: Path) -> None:
    stages = {
        "source": {"call": "trouble:numbers"},
        "sleep": {
            "call": "trouble:sleep_after_first",
            "inputs": "source",
            "on_error": "dead_letter",
        },
        "first": {"use": "take", "inputs": "sleep", "with": {"n": 1}},
        "broken": {"call": "trouble:ignore", "inputs": "sleep.errors"},
        "sink": {"call": "trouble:ignore", "inputs": "first"},
    }

    report, _ = run(tmp_path, stages)

    assert report.run.status is Status.SUCCEEDED, report.errors
    assert report.ledger.balanced, report.ledger.findings


def test_a_worker_that_lingers_after_its_end_is_killed_without_failing_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LINGER_S", 0.2)
    stages = {
        "source": {"call": "trouble:numbers", "with": {"stop": 2}},
        "sink": {"call": "trouble:leave_thread", "inputs": "source"},
    }

    report, events = run(tmp_path, stages)

    assert report.run.status is Status.SUCCEEDED
    assert any("a thread that never ends" in text for text in lines(events))


def test_a_wait_before_another_try_is_no_part_of_a_circle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOOK_S", 0.002)
    stages = {
        "source": {"call": "trouble:numbers", "with": {"stop": 100}},
        "refuse": {
            "call": "trouble:refuse",
            "inputs": {"from": "source", "capacity": 1},
            "with": {"note": str(tmp_path / "note"), "tries": 2},
            "on_error": {"retries": 1, "backoff": "300ms"},
        },
        "sink": {"call": "trouble:ignore", "inputs": "refuse"},
    }

    report, _ = run(tmp_path, stages)

    assert report.run.status is Status.SUCCEEDED, report.errors
    assert report.stages[1].retried == 1


# -------------------------------------------------------------------- interrupted


@contextmanager
def command(file: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """``pipeflow run`` as its own process, once all its workers are ready."""
    events = file.parent / "events.jsonl"
    os.mkfifo(events)
    program = [sys.executable, "-m", "pipeflow", "run", str(file), "--quiet"]
    with subprocess.Popen(
        [*program, "--events", str(events), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            with events.open() as stream:
                ready = 0
                while ready < 3:
                    ready += json.loads(stream.readline())["event"] == "worker_ready"
                drain = threading.Thread(target=stream.read, daemon=True)
                drain.start()
                yield process
                process.wait(DEADLINE_S)
                drain.join(DEADLINE_S)
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_the_first_signal_drains_and_the_ledger_balances(
    tmp_path: Path, number: int, status: int
) -> None:
    report = tmp_path / "report.json"

    with command(write(tmp_path, chain("never")), "--report", str(report)) as process:
        process.send_signal(number)

    facts = json.loads(report.read_text())
    assert process.returncode == status
    assert (facts["run"]["status"], facts["ledger"]["findings"]) == ("interrupted", [])
    assert [edge["unread"] for edge in facts["edges"]] == [0, 0]


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_a_drained_run_waits_no_more_before_it_tries_again(tmp_path: Path, executor: str) -> None:
    note, report = tmp_path / "note", tmp_path / "report.json"
    stages = {
        "source": {"call": "trouble:numbers"},
        "refuse": {
            "call": "trouble:refuse",
            "inputs": "source",
            "with": {"note": str(note), "tries": 4},
            "on_error": {"retries": 9, "backoff": "1h"},
        },
        "sink": {"call": "trouble:ignore", "inputs": "refuse"},
    }
    options = ("--report", str(report), "--executor", executor)

    with command(write(tmp_path, stages), *options) as process:
        await_file(note)
        process.send_signal(signal.SIGINT)

    facts = json.loads(report.read_text())
    assert process.returncode == 130
    (refuse,) = [stage for stage in facts["stages"] if stage["name"] == "refuse"]
    assert (refuse["retried"], refuse["failed"], facts["ledger"]["findings"]) == (3, 0, [])
    assert refuse["received"] == refuse["processed"]


@pytest.mark.parametrize("how", ["call", "run"])
def test_a_drained_run_gives_up_what_kills_its_process_at_every_try(
    tmp_path: Path, how: str
) -> None:
    note, report = tmp_path / "note", tmp_path / "report.json"
    script = tmp_path / "die.sh"
    kill = f'if test "$line" = 0; then echo >> {note}; kill -9 $$; fi'
    script.write_text(f"while read line; do {kill}; echo $line; done")
    works: dict[str, dict[str, Any]] = {
        "call": {"call": "trouble:die_of_first", "with": {"note": str(note)}},
        "run": {"run": {"cmd": ["sh", str(script)], "mode": "item"}},
    }
    policy = {"then": "skip", "retries": 50, "backoff": "1h"}
    stages = {
        "source": {"call": "trouble:numbers"},
        "die": {**works[how], "inputs": "source", "on_error": policy},
        "sink": {"call": "trouble:ignore", "inputs": "die"},
    }

    with command(write(tmp_path, stages), "--report", str(report)) as process:
        await_file(note)
        process.send_signal(signal.SIGINT)

    facts = json.loads(report.read_text())
    assert (process.returncode, facts["errors"]) == (130, [])
    (die,) = [stage for stage in facts["stages"] if stage["name"] == "die"]
    assert (die["skipped"], die["failed"], facts["ledger"]["findings"]) == (1, 0, [])
    assert die["received"] == die["processed"] + 1


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_the_second_signal_ends_a_wait_before_another_try(tmp_path: Path, executor: str) -> None:
    note = tmp_path / "note"
    stages = chain("never")
    stages["sink"] = {
        "call": "trouble:refuse",
        "inputs": "fall",
        "with": {"note": str(note), "tries": 10**6},
        "on_error": {"retries": 10**6, "backoff": "1h"},
    }

    with command(write(tmp_path, stages), "--executor", executor) as process:
        await_file(note)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)

    assert process.returncode in {130, 143}


@pytest.mark.parametrize("how", ["sleep", "stop"])
def test_the_second_signal_stops_a_run_that_is_stuck(tmp_path: Path, how: str) -> None:
    with command(write(tmp_path, chain(how))) as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)

    assert process.returncode in {130, 143}


def test_a_source_in_a_blocking_call_is_interrupted_after_its_grace(tmp_path: Path) -> None:
    stages = {
        "source": {"call": "trouble:one_and_sleep"},
        "middle": {"call": "trouble:fall", "inputs": "source", "with": {"how": "never"}},
        "sink": {"call": "trouble:ignore", "inputs": "middle"},
    }

    with command(write(tmp_path, stages), "--grace", "100ms") as process:
        process.send_signal(signal.SIGINT)

    assert process.returncode == 130


def test_a_source_that_cannot_be_interrupted_is_killed_after_its_grace(tmp_path: Path) -> None:
    stages = {
        "source": {"call": "trouble:deaf"},
        "middle": {"call": "trouble:fall", "inputs": "source", "with": {"how": "never"}},
        "sink": {"call": "trouble:ignore", "inputs": "middle"},
    }

    with command(write(tmp_path, stages), "--grace", "100ms") as process:
        process.send_signal(signal.SIGINT)

    assert process.returncode == 130


@pytest.mark.parametrize("method", METHODS)
def test_when_the_supervisor_is_killed_nothing_is_left(tmp_path: Path, method: str) -> None:
    note = tmp_path / "pid"
    stages = chain("never")
    stages["sink"] = {
        "call": "trouble:with_child",
        "inputs": "fall",
        "with": {"note": str(note)},
    }

    with command(write(tmp_path, stages), "--start-method", method) as process:
        await_file(note)
        family = [*descendants(process.pid), int(note.read_text())]
        process.kill()
        process.wait(DEADLINE_S)
        left = still_there(family, deadline_s=2.0)

    assert len(family) >= 5
    assert left == []


# ------------------------------------------------------------------------ helpers


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def await_file(path: Path) -> None:
    """Until a file has something in it."""
    deadline = time.monotonic() + DEADLINE_S
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} did not come"
        select.select([], [], [], 0.01)


def still_there(pids: list[int], *, deadline_s: float) -> list[int]:
    """Those of some processes that have not ended by then."""
    deadline = time.monotonic() + deadline_s
    while left := [pid for pid in pids if not is_gone(pid)]:
        if time.monotonic() >= deadline:
            return left
        select.select([], [], [], 0.01)
    return []
