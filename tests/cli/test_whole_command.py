"""The command as people start it: a process of its own, on a terminal or not."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

COUNT = """\
stages:
  count:
    use: range
    with: {stop: 3}
  show:
    use: print
    inputs: count
"""

ENDLESS = """\
stages:
  tick:
    call: clockwork:tick
  show:
    use: print
    inputs: tick
"""

CLOCKWORK = """\
import time

def tick():
    n = 0
    while True:
        yield n
        n += 1
        time.sleep(0.01)
"""

BROKEN = """\
stages:
  count:
    use: range
    with: {stop: 3}
  half:
    use: map
    with: {expr: "1 / (item - 1)"}
    inputs: count
  show:
    use: print
    inputs: half
"""

STRAY = """\
stages:
  count:
    use: range
    with: {stop: 3}
  stray:
    call: shell:stray
    inputs: count
  show:
    use: print
    inputs: stray
"""

SHELL = """\
import os
import sys

def stray(x):
    os.system("echo from a program")
    os.write(1, b"to the descriptor\\n")
    print("to the first stdout", file=sys.__stdout__)
    return x
"""

UNEVEN = """\
stages:
  tick:
    call: clockwork:tick
  half:
    use: map
    with: {expr: "1 / (item % 2)"}
    inputs: tick
    on_error: dead_letter
  whole:
    use: print
    inputs: half
  id:
    use: map
    with: {expr: 'item["id"]'}
    inputs: half.errors
  broken:
    use: print
    inputs: id
"""

COMMAND = [sys.executable, "-m", "pipeflow", "run", "a.yaml", "--executor", "inline"]
DEADLINE_S = 30.0


def run(folder: Path, text: str, *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "a.yaml").write_text(text)
    return subprocess.run(
        [*COMMAND, *more],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.mark.parametrize("executor", ["inline", "local"])
@pytest.mark.parametrize("target", ["id", "broken"])
def test_until_a_stage_that_reads_dead_letters_ends_when_it_has_its_items(
    tmp_path: Path, executor: str, target: str
) -> None:
    (tmp_path / "clockwork.py").write_text(CLOCKWORK)

    done = run(tmp_path, UNEVEN, "--until", target, "--take", "2", "--executor", executor)

    assert (done.returncode, done.stdout) == (0, "tick:0\ntick:2\n")
    assert "ended early by 'take'" in done.stderr


def read_terminal(descriptor: int) -> str:
    """All that a terminal was told, until its other end closed."""
    told = b""
    deadline = time.monotonic() + DEADLINE_S
    while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # how Linux says that the last writer of a terminal is gone
            break
        if not chunk:
            break
        told += chunk
    return told.decode()


def test_results_go_to_stdout_and_the_rest_to_stderr(tmp_path: Path) -> None:
    done = run(tmp_path, COUNT, "--report", "r.json")

    report = json.loads((tmp_path / "r.json").read_text())
    assert (done.returncode, done.stdout) == (0, "0\n1\n2\n")
    assert re.fullmatch(r"a: 3 items in [\d.]+ s \(.*/s\)\n", done.stderr)
    assert report["run"]["status"] == "succeeded"
    assert report["ledger"] == {"balanced": True, "findings": []}


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_what_a_stage_writes_past_python_stays_out_of_stdout(tmp_path: Path, executor: str) -> None:
    (tmp_path / "shell.py").write_text(SHELL)

    done = run(tmp_path, STRAY, "--executor", executor)

    assert (done.returncode, done.stdout) == (0, "0\n1\n2\n")
    for text in ("from a program", "to the descriptor", "to the first stdout"):
        assert done.stderr.count(text) == 3


def test_a_failure_is_the_users_own_and_ends_with_1(tmp_path: Path) -> None:
    done = run(tmp_path, BROKEN)

    assert done.returncode == 1
    assert done.stdout == "-1.0\n"
    assert "a.yaml:5:3: error[stage-failed]: stage 'half' failed on item count:1" in done.stderr
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert "pipeflow/" not in done.stderr


def test_on_a_terminal_what_is_printed_stays_above_the_table(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(COUNT)
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm"}

    with subprocess.Popen(
        COMMAND, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, env=environ
    ) as process:
        os.close(theirs)
        told = read_terminal(ours)
        os.close(ours)
        code = process.wait(DEADLINE_S)

    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", told)
    assert code == 0
    assert "0\n1\n2\n" in plain
    assert "a: 3 items in" in plain.splitlines()[-1]
    assert told.count("\x1b[?25l") == told.count("\x1b[?25h")  # the cursor is given back


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "^C: draining"),
        (signal.SIGTERM, 143, "SIGTERM: draining"),
        (signal.SIGHUP, 129, "SIGHUP: draining"),
    ],
)
def test_a_signal_drains_the_run(
    tmp_path: Path, number: signal.Signals, code: int, said: str
) -> None:
    (tmp_path / "a.yaml").write_text(ENDLESS)
    (tmp_path / "clockwork.py").write_text(CLOCKWORK)

    with subprocess.Popen(
        [*COMMAND, "--report", "r.json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=DEADLINE_S)

    report = json.loads((tmp_path / "r.json").read_text())
    assert process.returncode == code
    assert said in err
    assert report["run"]["status"] == "interrupted"
    assert report["run"]["exit_code"] == code


def test_a_reader_that_has_seen_enough_ends_the_run_early(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(ENDLESS)
    (tmp_path / "clockwork.py").write_text(CLOCKWORK)

    with subprocess.Popen(
        COMMAND, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        err = process.stderr.read()
        code = process.wait(DEADLINE_S)

    assert code == 0
    assert "Traceback" not in err
    assert "ended early by 'show'" in err


HOARDER = """\
kept = []

def keep(x):
    kept.append(open("kept.txt", "a"))
    kept[-1].write(f"{x}\\n")
"""

HOARD = """\
stages:
  count:
    use: range
    with: {stop: 3}
  keep:
    call: hoarder:keep
    inputs: count
"""


def test_files_that_an_inline_stage_leaves_open_are_written_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "hoarder.py").write_text(HOARDER)

    done = run(tmp_path, HOARD, "--executor", "inline")

    assert done.returncode == 0
    assert sorted((tmp_path / "kept.txt").read_text().split()) == ["0", "1", "2"]
