"""Looking at a file runs nothing of the user's, starts no process and opens no connection.

Each command runs in a process of its own, with an audit hook in place before pipeflow is imported.
The user's module writes a file when it is imported: a canary.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
from pathlib import Path

Path(__file__).with_name("canary").write_text("imported")
import helper


def load(stop: int = 3):
    yield from range(stop)


class Keep:
    def __init__(self, size: int = 2): ...
    def __call__(self, item): return item
    def finish(self): return None
"""
HELPER = 'raise SystemExit("the helper was imported")\n'
PIPELINE = """
params: {stop: 3}
stages:
  load:
    call: mine:load
    with: {stop: "${params.stop}"}
  keep:
    call: mine:Keep
    inputs: load
  inner:
    call: package.part:work
    inputs: load
  show: {use: print, inputs: [keep, inner]}
"""
#: Watches what the command does; tells it as JSON at the end.
WATCHED = """
import json, sys

seen = []
forbidden = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork")

def watch(event, args):
    if event.startswith(forbidden):
        seen.append(event)
    if event == "exec" and "user_code" in str(getattr(args[0], "co_filename", "")):
        seen.append(f"exec {args[0].co_filename}")

sys.addaudithook(watch)
from pipeflow.cli.main import main

code = main(sys.argv[1:])
print(json.dumps({"code": code, "seen": seen}), file=sys.stderr)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "user_code"
    (folder / "package").mkdir(parents=True)
    (folder / "mine.py").write_text(MODULE, encoding="utf-8")
    (folder / "helper.py").write_text(HELPER, encoding="utf-8")
    (folder / "package" / "__init__.py").write_text(MODULE, encoding="utf-8")
    (folder / "package" / "part.py").write_text("def work(item): return item\n", encoding="utf-8")
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return path


@pytest.mark.processes
@pytest.mark.parametrize(
    "command",
    [
        ["validate", "pipeline.yaml"],
        ["plan", "pipeline.yaml"],
        ["graph", "pipeline.yaml"],
        ["show", "pipeline.yaml"],
        ["schema"],
        ["schema", "pipeline.yaml", "--stages"],
        ["validate", ".", "--write-schema"],
    ],
    ids=" ".join,
)
def test_a_command_that_only_looks_runs_nothing_of_the_user(command: list[str], file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *command],
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    told = json.loads(done.stderr.splitlines()[-1])
    assert told == {"code": 0, "seen": []}, done.stderr
    assert not list(file.parent.rglob("canary"))
    assert not list(file.parent.rglob("__pycache__"))


@pytest.mark.processes
def test_a_broken_file_runs_nothing_either(file: Path) -> None:
    text = (
        file.read_text(encoding="utf-8").replace("mine:Keep", "mine:Kep").replace("{stop", "{sop")
    )
    file.write_text(text, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "validate", file.name],
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert json.loads(done.stderr.splitlines()[-1]) == {"code": 2, "seen": []}
    assert not list(file.parent.rglob("canary"))
