"""Installed packages are imported once for all workers, unless somebody might notice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pipeflow
from pipeflow.executors.base import RunOptions
from pipeflow.executors.local import LocalExecutor
from pipeflow.telemetry.report import Report, Status

pytestmark = pytest.mark.processes

#: Notes in which process a module is imported, and who is its parent.
NOTE = """
import os
with open(os.environ["NOTES"], "a") as file:
    file.write(f"{__name__} {os.getpid()} {os.getppid()}\\n")
"""

SOURCE = "def numbers(): return range(4)\n"
WORK = "def work(x): return x\n"
SINK = "def keep(x): open('kept', 'a').write(f'{x}\\n')\n"


class Folder:
    """A folder with a pipeline, and packages that count as installed."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.installed = path / "lib" / "site-packages"
        self.installed.mkdir(parents=True)
        monkeypatch.setenv("NOTES", str(path / "notes"))
        monkeypatch.setenv("PYTHONPATH", str(self.installed))
        monkeypatch.syspath_prepend(str(self.installed))
        monkeypatch.chdir(path)

    def package(self, name: str, code: str = "") -> None:
        (self.installed / f"{name}.py").write_text(NOTE + code, encoding="utf-8")

    def module(self, name: str, code: str) -> None:
        (self.path / f"{name}.py").write_text(code, encoding="utf-8")

    def write(self, work: str, **settings: object) -> Path:
        """Write three stages of which the middle one has this code, in two replicas."""
        self.module("first", SOURCE)
        self.module("middle", work)
        self.module("last", SINK)
        stages = {
            "first": {"call": "first:numbers"},
            "middle": {"call": "middle:work", "inputs": "first", "replicas": 2, **settings},
            "last": {"call": "last:keep", "inputs": "middle"},
        }
        file = self.path / "p.yaml"
        file.write_text(json.dumps({"stages": stages}), encoding="utf-8")
        return file

    def run(self, work: str, start_method: str = "", **settings: object) -> Report:
        """Run them."""
        report = pipeflow.run(self.write(work, **settings), start_method=start_method)
        assert report.run.status is Status.SUCCEEDED, report.errors
        return report

    def kept(self) -> list[str]:
        return (self.path / "kept").read_text(encoding="utf-8").split()

    def importers(self, module: str) -> list[int]:
        """Processes that have imported a module."""
        notes = (self.path / "notes").read_text(encoding="utf-8").splitlines()
        return [int(line.split()[1]) for line in notes if line.split()[0] == module]


def workers(report: Report, stage: str = "middle") -> list[int]:
    return sorted(w.pid for each in report.stages if each.name == stage for w in each.workers)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    return Folder(tmp_path, monkeypatch)


def test_an_installed_package_is_imported_once_and_a_module_beside_the_file_by_each_worker(
    folder: Folder,
) -> None:
    folder.package("library")
    folder.module("helper", "import library\n" + NOTE)

    report = folder.run("import helper\n" + NOTE + WORK)

    (server,) = folder.importers("library")
    assert server not in [w.pid for each in report.stages for w in each.workers]
    assert sorted(folder.importers("helper")) == workers(report)
    assert sorted(folder.importers("middle")) == workers(report)
    assert folder.kept() == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(
            "import threading\n"
            "threading.Thread(target=threading.Event().wait, daemon=True).start()\n",
            id="a-thread",
        ),
        pytest.param("import socket\nopened = socket.socket()\n", id="an-open-descriptor"),
        pytest.param(
            "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\n", id="a-process"
        ),
        pytest.param(
            "import signal\nsignal.signal(signal.SIGUSR2, lambda *_: None)\n", id="a-handler"
        ),
        pytest.param("print('welcome')\n", id="a-greeting"),
        pytest.param("import os\nos.environ['HOME'] = '/nowhere'\n", id="a-changed-variable"),
        pytest.param("import random\nown = random.Random()\n", id="random-numbers"),
        pytest.param("import sys\nsys.path.append('/nowhere')\n", id="a-changed-path"),
        pytest.param("import jax\n", id="what-must-not-be-forked"),
    ],
)
def test_a_package_that_does_something_is_imported_by_each_worker_itself(
    folder: Folder, code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder.package("jax")
    folder.package("library", code)

    report = folder.run("import library\n" + WORK)

    assert sorted(folder.importers("library")[1:]) == workers(report)
    assert folder.kept() == ["0", "1", "2", "3"]
    assert capfd.readouterr().out == ""


def run_expecting(expected: Path, runs: Path) -> Report:
    """Run a file after another one, or the same, was read and not planned yet."""
    executor = LocalExecutor()
    executor.warm("")
    try:
        executor.expect(pipeflow.load(expected))
        return executor.run(pipeflow.plan(runs), RunOptions(), lambda _event: None)
    finally:
        executor.close()


def test_what_a_pipeline_shares_is_imported_before_it_is_planned_and_only_once(
    folder: Folder,
) -> None:
    folder.package("library")
    file = folder.write("import library\n" + WORK)

    report = run_expecting(file, file)

    (server,) = folder.importers("library")
    assert server not in workers(report)
    assert folder.kept() == ["0", "1", "2", "3"]


def test_what_was_expected_in_vain_is_in_no_worker(folder: Folder) -> None:
    folder.package("library")
    folder.package("other")
    expected = folder.write("import library\n" + WORK)
    runs = expected.rename(folder.path / "runs.yaml")
    folder.module("chosen", "import other, sys\ndef work(x): return 'library' in sys.modules\n")
    runs.write_text(runs.read_text().replace("middle:work", "chosen:work"), encoding="utf-8")
    folder.write("import library\n" + WORK)

    report = run_expecting(expected, runs)

    (server,) = folder.importers("other")
    assert server not in [*workers(report), *folder.importers("library")]
    assert folder.kept() == ["False"] * 4


@pytest.mark.parametrize(
    "settings",
    [{"env": {"A": "1"}}, {"resources": {"cpus": [0]}}, {"resources": {"memory": "8GiB"}}],
)
def test_of_a_stage_that_stands_apart_nothing_is_imported_before_the_plan(
    folder: Folder, settings: dict[str, object]
) -> None:
    folder.package("library")
    file = folder.write("import library\n" + WORK, **settings)

    report = run_expecting(file, file)

    assert sorted(folder.importers("library")) == workers(report)


def test_a_package_that_kills_or_fails_its_process_is_left_to_the_workers(folder: Folder) -> None:
    folder.package("deadly", "os._exit(3) if 'WORKER' not in os.environ else None\n")
    folder.package("broken", "raise RuntimeError('not today')\n")

    folder.run("import os\nos.environ['WORKER'] = '1'\nimport deadly\n" + WORK)
    folder.run("try:\n    import broken\nexcept RuntimeError:\n    pass\n" + WORK)

    assert folder.kept() == ["0", "1", "2", "3"] * 2


def test_a_preload_that_ends_its_server_costs_a_server_and_no_run(folder: Folder) -> None:
    folder.package("deadly", "import signal\nif not os.path.exists('once'):\n"
                             "    open('once', 'w').close()\n"
                             "    os.kill(os.getpid(), signal.SIGKILL)\n")  # fmt: skip

    report = folder.run("import deadly\n" + WORK)

    assert sorted(folder.importers("deadly")[1:]) == workers(report)


def test_a_package_never_takes_the_name_of_a_module_beside_the_file(folder: Folder) -> None:
    folder.package("helper")
    folder.package("library", "import helper\n")
    folder.module("helper", "who = 'mine'\n")

    folder.run("import library\nimport helper\n\ndef work(x): return helper.who\n")

    assert folder.kept() == ["mine"] * 4


def test_a_stage_with_variables_of_its_own_imports_by_itself(folder: Folder) -> None:
    folder.package("library", "import os\nmode = os.environ.get('MODE', 'none')\n")
    folder.module("first", "import library\n" + SOURCE)

    report = folder.run(
        "import library\n\ndef work(x): return library.mode\n",
        env={"MODE": "own-${replica}"},
    )

    assert sorted(set(folder.kept())) == ["own-0", "own-1"]
    assert set(workers(report)) <= set(folder.importers("library"))


def test_a_module_that_changes_variables_imports_by_itself(folder: Folder) -> None:
    folder.package("library", "import os\nmode = os.environ.get('MODE', 'none')\n")
    early = "import os\nos.environ['MODE'] = 'set'\nimport library\n"

    folder.run(early + "\ndef work(x): return library.mode\n")

    assert folder.kept() == ["set"] * 4


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="replicas share one core")
@pytest.mark.parametrize(("method", "own"), [("", True), ("forkserver", False), ("spawn", True)])
def test_replicas_of_pure_python_are_programs_of_their_own(
    folder: Folder, method: str, own: bool
) -> None:
    report = folder.run(
        "import json\n\ndef work(x): return 'launch.boot' in open('/proc/self/cmdline').read()\n",
        method,
    )

    assert folder.kept() == [str(own)] * 4
    assert len(workers(report)) == 2


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_the_collector_works_in_every_worker(folder: Folder, method: str) -> None:
    folder.run("import gc\n\ndef work(x): return gc.isenabled()\n", method)

    assert folder.kept() == ["True"] * 4


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_every_start_method_gives_the_same(folder: Folder, method: str) -> None:
    folder.package("library", "offset = 10\n")
    folder.write("import library\n\ndef work(x): return x + library.offset\n")

    # A program of its own: this process may have threads, and then it must not be forked.
    subprocess.run(
        [sys.executable, "-m", "pipeflow", "run", "p.yaml", "--start-method", method],
        check=True,
        timeout=30,
    )

    assert folder.kept() == ["10", "11", "12", "13"]
    assert len(folder.importers("library")) == (1 if method == "forkserver" else 2)


COUNT_THREADS = """
import ctypes
import os

import numpy as np

from pipeflow.runtime.launch import pools


def work(x):
    np.ones((300, 300)) @ np.ones((300, 300))
    told = {os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    library = ctypes.CDLL(next(path for path in pools._mapped() if "openblas" in path))
    names = [f"{a}openblas_get_num_threads{b}" for a in ("", "scipy_") for b in ("", "64_")]
    counts = [getattr(library, name)() for name in names if hasattr(library, name)]
    running = len(os.listdir("/proc/self/task"))
    return f"{told}{counts}{running}".replace(" ", "")
"""


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_hold_for_a_library_that_was_loaded_before(folder: Folder, threads: int) -> None:
    for method in ("spawn", "forkserver"):
        folder.run(COUNT_THREADS, method, resources={"threads": threads})

    spawned, shared = folder.kept()[:4], folder.kept()[4:]
    assert shared == spawned
    assert shared[0].startswith(f"{{'{threads}'}}[{min(threads, len(os.sched_getaffinity(0)))}]")


def test_replicas_draw_different_random_numbers(folder: Folder) -> None:
    folder.run(
        "import random\n\nimport numpy as np\nimport numpy.random\n\n"
        "FIRST = (random.random(), np.random.random())\n\n\n"
        "def work(x): return f'{FIRST[0]},{FIRST[1]}'\n"
    )

    drawn = set(folder.kept())
    assert len(drawn) == 2
    assert len({pair.split(",")[0] for pair in drawn}) == 2
    assert len({pair.split(",")[1] for pair in drawn}) == 2


def test_what_a_shared_package_does_at_the_end_is_done_by_each_worker(folder: Folder) -> None:
    folder.package(
        "library",
        "import atexit, os\n"
        "atexit.register(lambda: open('ended', 'a').write(f'{os.getpid()}\\n'))\n",
    )

    report = folder.run("import library\n" + WORK)

    assert len(folder.importers("library")) == 1
    ended = {int(line) for line in (folder.path / "ended").read_text("utf-8").split()}
    assert set(workers(report)) <= ended


def test_workers_that_share_a_package_have_the_hash_seed_of_the_command(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    folder.package("library")

    folder.run("import library\n\ndef work(x): return hash('a')\n")

    expected = subprocess.run(
        [sys.executable, "-c", "print(hash('a'))"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert set(folder.kept()) == {expected}


@pytest.mark.parametrize("change", ["", "os.environ['MODE'] = 'set'\n"])
def test_of_stages_in_one_process_each_has_its_say(folder: Folder, change: str) -> None:
    """What one of them may change another's packages would see, so the whole process is alone."""
    folder.package("library", "mode = os.environ.get('MODE', 'none')\n")
    for name in ("first", "other", "more"):
        folder.module(name, "import library\n" + SOURCE + WORK)
    folder.module(
        "change", f"import os\n{change}import library\ndef work(x): return library.mode\n"
    )
    folder.module("last", SINK)
    stages = {
        "first": {"call": "first:numbers"},
        "other": {"call": "other:work", "inputs": "first"},
        "more": {"call": "more:work", "inputs": "first"},
        "plain": {"call": "more:work", "inputs": "other", "replicas": 2},
        "changed": {"call": "change:work", "inputs": "plain", "replicas": 2},
        "last": {"call": "last:keep", "inputs": "changed"},
        "rest": {"call": "more:work", "inputs": "more"},
    }
    file = folder.path / "p.yaml"
    file.write_text(json.dumps({"stages": stages}), encoding="utf-8")

    subprocess.run(
        [sys.executable, "-m", "pipeflow", "run", str(file), "--fuse"], check=True, timeout=30
    )

    # "plain" has imported the library in the same process before "changed" could change anything.
    assert folder.kept() == ["none"] * 4
    assert (len(folder.importers("library")) > 1) is bool(change)
