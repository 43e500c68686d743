"""What stages start goes with the run, what they print arrives, and our mistakes leave nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pipeflow
from pipeflow.runtime.launch import ties
from pipeflow.runtime.supervisor import Supervisor
from tests.faults.commands import DEADLINE_S, PIPEFLOW, write
from tests.faults.commands import pipeflow as command
from tests.processes import is_gone

pytestmark = pytest.mark.processes

FAMILY = """
import os
import subprocess
import sys
import time

SLEEP = [sys.executable, "-c", "import time; time.sleep(1000)"]

def note(path, pid):
    with open(path, "a") as file:
        file.write(f"{pid}\\n")

def start(path):
    note(path, subprocess.Popen(SLEEP).pid)
    note(path, subprocess.Popen(SLEEP, start_new_session=True).pid)
    if (first := os.fork()) == 0:
        os.setsid()
        if (second := os.fork()) == 0:
            os.execv(SLEEP[0], SLEEP)
        note(path, second)
        os._exit(0)
    os.waitpid(first, 0)

def endless(path, how):
    if how == "endless":
        yield from range(10**12)
    yield 0

def work(item, path, how):
    if item == 0:
        start(path)
        if how == "raise":
            raise ValueError("on purpose")
        if how == "die":
            os.abort()
    return item
"""


def family(folder: Path, how: str) -> tuple[Path, Path]:
    note = folder / "pids"
    given = {"path": str(note), "how": how}
    stages = {
        "source": {"call": "family:endless", "with": given},
        "work": {"call": "family:work", "inputs": "source", "with": given},
    }
    return write(folder, stages, {"family": FAMILY}), note


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize(("how", "code"), [("end", 0), ("raise", 1), ("die", 1)])
def test_f37_f38_what_a_stage_started_is_gone_with_the_run_even_from_its_own_session(
    tmp_path: Path, how: str, code: int, method: str
) -> None:
    file, note = family(tmp_path, how)

    done = command("run", file, "--start-method", method)

    pids = [int(line) for line in note.read_text().split()]
    assert done.returncode == code, done.stderr
    assert len(pids) == 3
    assert [pid for pid in pids if not is_gone(pid)] == []


def test_f10_f37_when_the_command_is_killed_all_that_its_stages_started_is_gone(
    tmp_path: Path,
) -> None:
    file, note = family(tmp_path, "endless")
    os.mkfifo(note)

    with subprocess.Popen([*PIPEFLOW, "run", str(file), "--quiet"]) as process:
        # Whoever notes opens the pipe anew: one descriptor is kept open to read all of them.
        reader = os.fdopen(os.open(note, os.O_RDWR), "r")
        pids = [int(reader.readline()) for _ in range(3)]
        ends = [os.pidfd_open(pid) for pid in pids]
        process.kill()
        process.wait(DEADLINE_S)
        gone = [_ends_in_time(end) for end in ends]
        reader.close()

    for end in ends:
        os.close(end)
    assert gone == [True, True, True]


def _ends_in_time(sentinel: int) -> bool:
    import select

    return bool(select.select([sentinel], [], [], DEADLINE_S)[0])


def test_f12_a_parent_that_died_before_the_tie_was_made_is_noticed() -> None:
    assert ties.die_with_parent(os.getppid(), signal.SIGCONT)
    assert not ties.die_with_parent(os.getppid() + 1, signal.SIGCONT)
    ties.die_with_parent(os.getppid(), 0)


# --------------------------------------------------------------------------- output


def test_f39_a_stage_that_prints_a_lot_blocks_nobody(tmp_path: Path) -> None:
    chatty = (
        "def talk(item):\n    for _ in range(100):\n        print('x' * 999)\n    return item\n"
    )
    stages = {
        "source": {"use": "range", "with": {"stop": 200}},
        "talk": {"call": "chatty:talk", "inputs": "source"},
        "end": {"use": "null", "inputs": "talk"},
    }

    done = command("run", write(tmp_path, stages, {"chatty": chatty}))

    assert done.returncode == 0
    assert done.stderr.count("talk | " + "x" * 999 + "\n") == 20_000


def test_f40_bad_bytes_half_lines_and_controls_arrive_as_harmless_lines(tmp_path: Path) -> None:
    chatty = r"""
import os, sys
def talk(item):
    os.write(1, b"\xff\xfe bytes\n")
    os.write(2, b"\x1b[2J\x1b]0;title\x07clear\n")
    print("turned \u202e")
    print("a", end="\r\n")
    print("half", end="")
"""
    stages = {
        "source": {"use": "range", "with": {"stop": 1}},
        "talk": {"call": "chatty:talk", "inputs": "source"},
    }

    done = command("run", write(tmp_path, stages, {"chatty": chatty}), "--quiet")

    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "talk | \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} bytes",
        r"talk | \x1b[2J\x1b]0;title\x07clear",
        r"talk | turned \u202e",
        "talk | a",
        "talk | half",
    ]


# --------------------------------------------------------- programs that use the interface

PROGRAM = """
import sys, threading, time
import pipeflow

print("before", end=" ")
{more}
report = pipeflow.run({{"stages": {{"source": {{"use": "range", "with": {{"stop": 3}}}},
    "twice": {{"use": "map", "with": {{"expr": "item * 2"}}, "inputs": "source"}},
    "end": {{"use": "null", "inputs": "twice"}}}}}}, start_method="{method}")
print(report.run.status.value, report.stages[2].received)
"""


@pytest.mark.parametrize("method", ["", "forkserver", "spawn", "fork"])
def test_f21_f23_f58_an_unguarded_program_runs_once_and_prints_once(
    tmp_path: Path, method: str
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.format(more="", method=method))

    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "before succeeded 3\n"), done.stderr
    assert done.stderr == ""


def test_f21_a_program_with_threads_is_not_forked(tmp_path: Path) -> None:
    more = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    (tmp_path / "program.py").write_text(PROGRAM.format(more=more, method="fork"))

    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert done.returncode == 1
    assert "start method 'fork' needs a process with one thread" in done.stderr


# ----------------------------------------------------------------------- our own mistakes


@pytest.mark.parametrize("place", ["start", "_judge", "_turn", "_bury", "_look", "end"])
def test_f60_whatever_goes_wrong_in_the_supervisor_leaves_nothing(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: Callable[..., Any] = getattr(Supervisor, place)
    calls = 0

    def broken(self: Supervisor, *arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2 or place in {"start", "end"}:
            raise RuntimeError("a mistake of ours")
        return before(self, *arguments, **named)

    monkeypatch.setattr(Supervisor, place, broken)
    slow = "import time\ndef slow(item):\n    time.sleep(0.005)\n"
    stages = {
        "source": {"use": "range", "with": {"stop": 200}},
        "end": {"call": "slow:slow", "inputs": "source"},
    }

    with pytest.raises(RuntimeError, match="a mistake of ours"):
        pipeflow.run(write(tmp_path, stages, {"slow": slow}))

    assert threading.active_count() == 1


def test_f52_only_what_is_written_down_has_the_time_of_day() -> None:
    """Every wait is by the monotonic clock: a clock that jumps ends no wait, and makes none."""
    root = Path(pipeflow.__file__).parent
    used = {
        str(file.relative_to(root))
        for folder in ("runtime", "executors", "transports")
        for file in (root / folder).rglob("*.py")
        if re.search(r"\btime\.time\b|\bclock\.time\(|datetime\.now", file.read_text("utf-8"))
    }

    # The time of a dead letter, and that of the start in the report.
    assert used == {
        "runtime/loops/base.py",
        "runtime/supervisor.py",
        "executors/inline/telling.py",
    }


def test_f59_a_failed_run_is_1_and_a_wrong_file_2(tmp_path: Path) -> None:
    failing: dict[str, Any] = {
        "source": {"use": "range", "with": {"stop": 1}},
        "end": {"use": "map", "inputs": "source", "with": {"expr": "1 / 0"}},
    }
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(json.dumps({"stages": {"a": {"use": "rnage"}}}))

    assert command("run", write(tmp_path, failing)).returncode == 1
    assert command("run", wrong).returncode == 2
    assert command("run", wrong, "--no-such-option").returncode == 2
