"""On a terminal: Ctrl-C once, twice, three times, a hang-up; and a reader that has seen enough."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.commands import DEADLINE_S, PIPEFLOW, write

pytestmark = pytest.mark.processes

STEPS = """
import os
import time

def tick():
    number = 0
    while True:
        yield number
        number += 1
        time.sleep(0.001)

def keep(item):
    return item

def stuck(item):
    if item == 3:
        print("here it hangs")
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                pass
    return item

def deaf(item):
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return stuck(item)
"""


def chain(step: str) -> dict[str, dict[str, str]]:
    return {
        "tick": {"call": "steps:tick"},
        "step": {"call": f"steps:{step}", "inputs": "tick"},
        "show": {"use": "print", "inputs": "step"},
    }


@dataclass
class Terminal:
    """A command whose controlling terminal we hold the other end of."""

    process: subprocess.Popen[bytes]
    descriptor: int
    told: bytes = field(default=b"")

    def type(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def wait_for(self, text: str, count: int = 1) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while self.told.count(text.encode()) < count:
            assert time.monotonic() < deadline, self.told.decode()
            assert self._read(), self.told.decode()

    def end(self) -> tuple[int, str]:
        """Hear all until it has ended; its exit code and all that was told."""
        while self._read():
            pass
        return self.process.wait(DEADLINE_S), self.told.decode().replace("\r", "")

    def hang_up(self) -> int:
        os.close(self.descriptor)
        self.descriptor = -1
        return self.process.wait(DEADLINE_S)

    def _read(self) -> bool:
        if not select.select([self.descriptor], [], [], DEADLINE_S)[0]:
            return False
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # how Linux says that the last writer of a terminal is gone
            return False
        self.told += data
        return bool(data)


@contextmanager
def on_terminal(
    folder: Path,
    step: str,
    *options: str,
    kind: str = "dumb",
    stages: Mapping[str, Any] | None = None,
    modules: Mapping[str, str] | None = None,
) -> Iterator[Terminal]:
    file = write(folder, stages or chain(step), modules or {"steps": STEPS})
    ours, theirs = pty.openpty()
    # Else the kernel throws away at Ctrl-C what was written and that we have not read yet.
    modes = termios.tcgetattr(theirs)
    modes[3] |= termios.NOFLSH
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    process = subprocess.Popen(
        # ``setsid --ctty``: its own session, with this terminal in control, as a shell has it.
        ["setsid", "--ctty", *PIPEFLOW, "run", str(file), *options],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": kind},
    )
    os.close(theirs)
    terminal = Terminal(process, ours)
    try:
        yield terminal
    finally:
        process.kill()
        process.wait(DEADLINE_S)
        if terminal.descriptor >= 0:
            os.close(terminal.descriptor)


def test_f33_one_control_c_drains_without_a_traceback_and_the_books_are_kept(
    tmp_path: Path,
) -> None:
    report = tmp_path / "report.json"

    with on_terminal(tmp_path, "keep", "--report", str(report)) as terminal:
        terminal.wait_for("10\r\n")
        terminal.type(b"\x03")
        code, told = terminal.end()

    facts = json.loads(report.read_text())
    assert code == 130
    assert "^C: draining; once more to stop at once" in told
    assert "Traceback" not in told
    assert facts["run"]["status"] == "interrupted"
    assert facts["ledger"] == {"balanced": True, "findings": []}
    assert [edge["unread"] for edge in facts["edges"]] == [0, 0]
    numbers = [int(line) for line in told.splitlines() if line.isdigit()]
    assert numbers == list(range(facts["stages"][0]["emitted"]["out"]))


def test_f34_the_second_control_c_stops_a_stuck_stage_at_once(tmp_path: Path) -> None:
    with on_terminal(tmp_path, "stuck") as terminal:
        terminal.wait_for("here it hangs")
        terminal.type(b"\x03")
        terminal.wait_for("draining")
        terminal.type(b"\x03")
        code, told = terminal.end()

    assert code == 130
    assert "Traceback" not in told


def test_f32_f34_the_third_control_c_kills_who_ignores_being_asked(tmp_path: Path) -> None:
    with on_terminal(tmp_path, "deaf") as terminal:
        terminal.wait_for("here it hangs")
        terminal.type(b"\x03")
        terminal.wait_for("draining")
        terminal.type(b"\x03\x03")
        code, told = terminal.end()

    assert code == 130
    assert "Traceback" not in told


def test_a_drain_in_which_nothing_moves_ends_after_its_grace(tmp_path: Path) -> None:
    with on_terminal(tmp_path, "stuck", "--grace", "500ms") as terminal:
        terminal.wait_for("here it hangs")
        terminal.type(b"\x03")
        code, told = terminal.end()

    assert code == 130
    assert "stopped: the run is drained, and nothing has moved for" in told


@pytest.mark.parametrize("kind", ["dumb", "xterm"])
@pytest.mark.parametrize(("step", "grace"), [("keep", "30s"), ("stuck", "500ms")])
def test_f51_a_terminal_that_is_closed_ends_the_run(
    tmp_path: Path, step: str, grace: str, kind: str
) -> None:
    report = tmp_path / "report.json"
    options = ["--grace", grace, "--report", str(report)]

    with on_terminal(tmp_path, step, *options, kind=kind) as terminal:
        terminal.wait_for("here it hangs" if step == "stuck" else "10\r\n")
        code = terminal.hang_up()

    assert code == 129
    assert json.loads(report.read_text())["run"]["status"] == "interrupted"


HOSTILE = r"""
import os
import pipeflow

EVIL = "\x1b]0;title\x07\x1b[2J\x9b5n\u202eevil"

def make():
    for number in range(3):
        yield EVIL + str(number)

def use(item, raw):
    print(EVIL)
    if raw:
        os.write(2, EVIL.encode() + b"\n")
    pipeflow.log.warning(EVIL)
    if item.endswith("2"):
        error = ValueError(EVIL)
        error.add_note(EVIL)
        raise error
    return item
"""


@pytest.mark.parametrize("kind", ["dumb", "xterm"])
@pytest.mark.parametrize("executor", ["local", "inline"])
def test_s12_nothing_that_a_stage_says_moves_the_terminal(
    tmp_path: Path, executor: str, kind: str
) -> None:
    stages: dict[str, Any] = {
        "make": {"call": "hostile:make"},
        # In one process a stage has the descriptors of all: only its streams are ours to read.
        "use": {"call": "hostile:use", "inputs": "make", "with": {"raw": executor == "local"}},
        "show": {"use": "print", "inputs": "use"},
    }
    options = ("--executor", executor)

    with on_terminal(
        tmp_path, "", *options, kind=kind, stages=stages, modules={"hostile": HOSTILE}
    ) as terminal:
        code, told = terminal.end()

    assert code == 1
    assert r"\x1b]0;title\x07\x1b[2J\x9b5n\u202eevil" in told
    assert [each for each in ("\x1b]", "\x1b[2J", "\x07", "\x9b", "\u202e") if each in told] == []


def test_f50_a_reader_that_has_seen_enough_ends_the_run_well(tmp_path: Path) -> None:
    file = write(tmp_path, chain("keep"), {"steps": STEPS})
    command = " ".join(f"'{word}'" for word in (*PIPEFLOW, "run", str(file)))

    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "0\n")
    assert "Traceback" not in done.stderr
    assert "ended early by 'show'" in done.stderr


def test_f39_a_reader_of_messages_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    stages: dict[str, Any] = {
        "source": {"use": "range", "with": {"stop": 5}},
        "talk": {"call": "talk:talk", "inputs": "source"},
    }
    file = write(tmp_path, stages, {"talk": "def talk(item):\n    print('x' * 100_000)\n"})
    command = " ".join(f"'{word}'" for word in (*PIPEFLOW, "run", str(file)))

    done = subprocess.run(
        ["bash", "-c", f"{command} 2>&1 | head -c 10; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert done.returncode == 0
