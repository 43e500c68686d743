"""Limits of the machine: one clear error before the start or at the fault, 1, and nothing left."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.faults.commands import pipeflow, write

pytestmark = pytest.mark.processes

ARRAYS = """
import numpy as np

def frames(count=4, length=1_000_000):
    for number in range(count):
        yield np.full(length, number, "f8")

def double(frame):
    return frame * 2

def check(frame):
    assert frame[0] == frame[-1]

def keep(frame, kept=[]):
    kept.append(frame)

def hoard(frame, kept=[]):
    kept.append(bytearray(50_000_000))
"""

#: Its first items become arrays beside the stage, and when all are read, the source needs more.
IN_TURN = """
import os
import numpy as np
import pipeflow

MIB = 2**20

def numbers(path):
    yield from range(3)
    with open(path):  # until the third was read
        pass
    yield np.ones(5 * MIB, "u1")

def make(item):
    if isinstance(item, int):
        frame = pipeflow.empty(2 * MIB, "u1")
        frame.fill(item)
        return frame

class Take:
    def __init__(self, path):
        self.path = path

    def __call__(self, frame):
        if frame[0] == 2:
            os.close(os.open(self.path, os.O_WRONLY))
"""

#: The reader of arrays, and of numbers behind them, goes on once the other source has had its own.
WHILE_FULL = """
import os
import numpy as np
import pipeflow

MIB = 2**20

class Make:
    def __init__(self, full):
        self.full = full

    def __call__(self, number):
        if number == 5:  # the last before it waits
            os.close(os.open(self.full, os.O_WRONLY))
        if number > 2:
            return number
        frame = pipeflow.empty(2 * MIB, "u1")
        frame.fill(number)
        return frame

class Take:
    def __init__(self, had):
        self.had = had

    def __call__(self, item):
        if isinstance(item, int) and item == 3:
            os.close(os.open(self.had, os.O_RDONLY))

def large(full):
    os.close(os.open(full, os.O_RDONLY))
    yield np.ones(5 * MIB, "u1")

class Have:
    def __init__(self, had):
        self.had = had

    def __call__(self, frame):
        os.close(os.open(self.had, os.O_WRONLY))
"""

CHAIN = {
    "source": {"call": "arrays:frames"},
    "double": {"call": "arrays:double", "inputs": "source"},
    "sink": {"call": "arrays:check", "inputs": "double"},
}

WRITER = {
    "source": {"use": "range", "with": {"stop": 1_000_000}},
    "writer": {"use": "jsonl.write", "inputs": "source", "with": {"path": "/mnt/out.jsonl"}},
}


def with_mount(folder: str, options: str) -> Sequence[str]:
    """Runs a command with a small file system of its own over a folder."""
    script = f'mount -t tmpfs -o {options} none {folder} && exec "$@"'
    before = ["unshare", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*before, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount")
    return before


@pytest.fixture
def group() -> Iterator[tuple[str, Path]]:
    """A control group for pids and memory: what to run a command with, and where its limits are."""
    roots = [Path("/sys/fs/cgroup") / name for name in ("pids", "memory")]
    folders = [root / f"pipeflow-test-{os.getpid()}" for root in roots]
    try:
        for folder in folders:
            folder.mkdir()
    except OSError:
        for folder in folders:
            if folder.is_dir():
                folder.rmdir()
        pytest.skip("this user may not make control groups of version 1")
    join = "".join(f"echo $$ > {folder}/cgroup.procs; " for folder in folders)
    yield join + 'exec "$@"', Path(f"/sys/fs/cgroup/{{}}/{folders[0].name}")
    for folder in folders:
        folder.rmdir()


def limit(group: tuple[str, Path], controller: str, file: str, value: str) -> Sequence[str]:
    script, template = group
    (Path(str(template).format(controller)) / file).write_text(value)
    return ["sh", "-c", script, "sh"]


def test_f24_too_few_processes_are_refused_before_the_first_is_started(
    tmp_path: Path, group: tuple[str, Path]
) -> None:
    file = write(tmp_path, CHAIN, {"arrays": ARRAYS})

    done = pipeflow("run", file, before=limit(group, "pids", "pids.max", "4"))

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("pipeflow: error: this machine: the run needs 5 processes")
    assert "ulimit -u, cgroup pids.max" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_f24_ulimit_of_processes_is_told_in_one_line_whatever_it_forbids() -> None:
    nobody = ["setpriv", "--reuid", "65534", "--clear-groups"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # the kernel exempts root
        file = write(folder, CHAIN, {"arrays": ARRAYS})
        if pipeflow("validate", file, before=nobody).returncode:
            pytest.skip("this user may not be nobody, or nobody may not read the package")

        none = pipeflow("run", file, before=["prlimit", "--nproc=1", *nobody])
        few = pipeflow("run", file, before=["prlimit", "--nproc=4", *nobody])
        enough = pipeflow("run", file, before=["prlimit", "--nproc=9", *nobody])

    assert (none.returncode, few.returncode, enough.returncode) == (1, 1, 0)
    for done in (none, few):
        assert done.stderr.startswith("pipeflow: error: this machine: ")
        assert "ulimit -u" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_f25_the_soft_limit_of_open_files_is_raised_as_far_as_needed(tmp_path: Path) -> None:
    file = write(tmp_path, CHAIN, {"arrays": ARRAYS})

    low = pipeflow("run", file, before=["prlimit", "--nofile=40:4096"])
    too_low = pipeflow("run", file, before=["prlimit", "--nofile=40:40"])

    assert low.returncode == 0, low.stderr
    assert too_low.returncode == 1
    assert "ulimit -n" in too_low.stderr
    assert len(too_low.stderr.splitlines()) == 1


def test_f15_a_small_dev_shm_is_none_of_our_business(tmp_path: Path) -> None:
    file = write(tmp_path, CHAIN, {"arrays": ARRAYS})

    done = pipeflow("run", file, before=with_mount("/dev/shm", "size=1m"))

    assert (done.returncode, done.stdout) == (0, "")


def test_f16_a_worker_that_the_kernel_killed_for_memory_is_told_so(
    tmp_path: Path, group: tuple[str, Path]
) -> None:
    stages = {**CHAIN, "sink": {"call": "arrays:hoard", "inputs": "double"}}
    file = write(tmp_path, stages, {"arrays": ARRAYS})

    done = pipeflow("run", file, before=limit(group, "memory", "memory.limit_in_bytes", "150M"))

    assert done.returncode == 1
    assert "SIGKILL: the machine, or its memory limit, ran out of memory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("mebibytes", [1000, 2000])
def test_arrays_find_room_in_a_bounded_address_space(tmp_path: Path, mebibytes: int) -> None:
    file, report = write(tmp_path, CHAIN, {"arrays": ARRAYS}), tmp_path / "r.json"

    done = pipeflow(
        "run", file, "--report", report, before=["prlimit", f"--as={mebibytes * 2**20}"]
    )

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    facts = json.loads(report.read_text())
    assert facts["ledger"] == {"balanced": True, "findings": []}
    assert facts["edges"][0]["bytes_shared"] >= 4 * 8_000_000


def test_too_small_an_address_space_is_named_before_the_start(tmp_path: Path) -> None:
    stages = {"source": {"use": "range", "with": {"stop": 1}}} | {
        f"sink{number}": {"use": "null", "inputs": "source"} for number in range(60)
    }

    done = pipeflow("run", write(tmp_path, stages), before=["prlimit", f"--as={400 * 2**20}"])

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pipeflow: error: this machine: the address space of each")
    assert "400 MiB (`ulimit -v`)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_memory_of_a_stage_bounds_its_own_and_not_the_shared(tmp_path: Path) -> None:
    stages: dict[str, Any] = {
        **CHAIN,
        "source": {"call": "arrays:frames", "with": {"count": 100}},
        "double": {**CHAIN["double"], "resources": {"memory": "300MiB"}},
    }
    stages["sink"] = {"call": "arrays:hoard", "inputs": "double", "resources": {"memory": "300MiB"}}
    greedy = write(tmp_path, stages, {"arrays": ARRAYS})

    done = pipeflow("run", greedy)

    assert done.returncode == 1
    assert "error[stage-failed]: stage 'sink' failed on item source:" in done.stderr
    assert "MemoryError" in done.stderr


def test_a_limit_near_what_is_in_hand_slows_the_run_and_does_not_fail_it(tmp_path: Path) -> None:
    slow = "import time\n\ndef take(frame):\n    time.sleep(0.15)\n"
    stages = {
        "source": {"call": "arrays:frames", "with": {"count": 8, "length": 131_072}},
        "double": CHAIN["double"],
        "sink": {"call": "slow:take", "inputs": "double"},
    }
    file = write(tmp_path, stages, {"arrays": ARRAYS, "slow": slow})

    done = pipeflow("run", file, "--set", "limits.memory=3MiB")

    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_process_beside_a_stage_gives_back_what_it_does_not_need_while_it_waits(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "read")
    path = {"path": str(tmp_path / "read")}
    stages = {
        "source": {"call": "turn:numbers", "with": path},
        "make": {"call": "turn:make", "inputs": "source", "on_error": "skip"},
        "sink": {"call": "turn:Take", "inputs": "make", "with": path},
    }
    file = write(tmp_path, stages, {"turn": IN_TURN})

    done = pipeflow("run", file, "--set", "limits.memory=8MiB")

    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_stage_gives_back_what_it_does_not_need_while_it_waits_for_room(tmp_path: Path) -> None:
    paths = {name: str(tmp_path / name) for name in ("full", "had")}
    for path in paths.values():
        os.mkfifo(path)
    stages = {
        "numbers": {"use": "range", "with": {"stop": 20}},
        "make": {"call": "full:Make", "inputs": "numbers", "with": {"full": paths["full"]}},
        "take": {
            "call": "full:Take",
            "inputs": {"from": "make", "capacity": 1},
            "with": {"had": paths["had"]},
        },
        "large": {"call": "full:large", "with": {"full": paths["full"]}},
        "have": {"call": "full:Have", "inputs": "large", "with": {"had": paths["had"]}},
    }
    file = write(tmp_path, stages, {"full": WHILE_FULL})

    done = pipeflow("run", file, "--set", "limits.memory=8MiB")

    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_stage_whose_workers_together_keep_all_memory_is_named(tmp_path: Path) -> None:
    stages = {
        "source": {"call": "arrays:frames", "with": {"count": 80, "length": 131_072}},
        "keeper": {"call": "arrays:keep", "inputs": "source", "replicas": 2},
    }
    file = write(tmp_path, stages, {"arrays": ARRAYS})

    done = pipeflow("run", file, "--set", "limits.memory=16MiB")

    assert done.returncode == 1
    told = re.findall(r"limits.memory \(16 MiB\): stage '(\w+)' holds (\d+) MiB", done.stderr)
    assert [name for name, _ in told] == ["keeper"]
    assert int(told[0][1]) >= 12


def test_too_small_a_file_size_is_named(tmp_path: Path) -> None:
    done = pipeflow("run", write(tmp_path, WRITER), before=["prlimit", "--fsize=100000"])

    assert done.returncode == 1
    assert "ulimit -f" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_f49_a_full_disk_is_named_with_the_file_and_leaves_no_whole_file(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=1m none /mnt && "$@"; code=$?; ls /mnt; exit $code'
    with_mount("/mnt", "size=1m")

    done = pipeflow(
        "run",
        write(tmp_path, WRITER),
        before=["unshare", "--mount", "sh", "-c", script, "sh"],
    )

    assert (done.returncode, done.stdout) == (1, "out.jsonl.partial\n")
    assert "No space left on device: '/mnt/out.jsonl.partial'" in done.stderr
    assert "stage 'writer' failed" in done.stderr
    assert "hint: no item is to blame: make room on that disk, and run again" in done.stderr
    assert "on_error" not in done.stderr
    assert done.stderr.count("error[") == 1


def test_f49_a_project_that_does_not_fit_names_the_file_that_it_ended_at(tmp_path: Path) -> None:
    done = pipeflow("init", "/mnt/project", before=with_mount("/mnt", "size=8k"))

    assert done.returncode == 2
    said = r"pipeflow: error: cannot write /mnt/project/\S+: No space left on device"
    assert re.fullmatch(said, done.stderr.splitlines()[-1])


def test_f49_a_report_is_not_promised_where_its_folder_cannot_be_written_to(
    tmp_path: Path,
) -> None:
    file = write(tmp_path, {"source": {"use": "range", "with": {"stop": 3}}})

    done = pipeflow("run", file, "--report", "/mnt/r.json", before=with_mount("/mnt", "size=1m,ro"))

    assert done.returncode == 2
    assert done.stderr == (
        "pipeflow: error: --report /mnt/r.json: the folder '/mnt' cannot be written to\n"
    )


@pytest.mark.parametrize("command", ["plan", "graph", "validate", "show", "stages"])
def test_f49_an_output_that_takes_no_more_is_one_clear_error(tmp_path: Path, command: str) -> None:
    file = write(tmp_path, {"source": {"use": "range", "with": {"stop": 3}}})
    script = ["sh", "-c", '"$@" > /dev/full', "sh"]

    done = pipeflow(command, *([] if command == "stages" else [file]), before=script)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "pipeflow: error: this machine: [Errno 28] No space left on device"
    )


@pytest.mark.parametrize("option", ["--report", "--events"])
def test_f49_a_record_of_the_run_that_cannot_be_written_is_named(
    tmp_path: Path, option: str
) -> None:
    file = write(tmp_path, {"source": {"use": "range", "with": {"stop": 3}}})

    done = pipeflow("run", file, option, "/dev/full", "--quiet")

    # What happens is a help to look at; the report is what was asked for.
    code, level = (1, "error") if option == "--report" else (0, "warning")
    assert done.returncode == code
    assert f"pipeflow: {level}: {option} /dev/full: No space left on device\n" in done.stderr


def test_f49_a_folder_that_cannot_be_written_is_named_before_the_first_item(tmp_path: Path) -> None:
    done = pipeflow("run", write(tmp_path, WRITER), before=with_mount("/mnt", "size=1m,ro"))

    assert done.returncode == 1
    assert "Read-only file system: '/mnt/out.jsonl.partial'" in done.stderr


def test_f56_without_home_terminal_locale_and_with_a_folder_that_is_gone_it_works(
    tmp_path: Path,
) -> None:
    file = write(tmp_path, CHAIN, {"arrays": ARRAYS})
    bare = shutil.which("env")
    assert bare is not None

    done = pipeflow(
        "run", file, before=[bare, "-i", "LC_ALL=C", f"TMPDIR={tmp_path / 'none'}", "PATH=/none"]
    )

    assert done.returncode == 0, done.stderr
