"""What a plain run loads: stages of the author's own, a pipe between each two, and nothing else.

Each module costs a tenth of a millisecond or more before the first item, in the command and once
more in the launch server. A file that is split in two is two modules.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

#: Most modules of ours in a worker and in the command: who adds one sees whether all runs need it.
MOST_IN_A_WORKER = 133
MOST_IN_THE_COMMAND = 230

#: What only other runs use.
NOT_IN_A_WORKER = (
    *("argparse", "decimal", "json", "networkx", "yaml"),
    *("pipeflow.cli.main", "pipeflow.config", "pipeflow.executors.processes"),
    *("pipeflow.planner.make", "pipeflow.runtime.supervisor", "pipeflow.runtime.watch"),
    *("pipeflow.runtime.isolation", "pipeflow.runtime.programs", "pipeflow.runtime.shared"),
    *("pipeflow.runtime.flow.mailbox", "pipeflow.runtime.flow.recounting"),
    *("pipeflow.runtime.loops.batches", "pipeflow.runtime.loops.many"),
    *("pipeflow.runtime.loops.program", "pipeflow.runtime.loops.stream"),
    *("pipeflow.runtime.loops.tasks", "pipeflow.runtime.loops.tries"),
    *("pipeflow.runtime.waits.beside", "pipeflow.spec.options", "pipeflow.spec.pipeline"),
    *("pipeflow.spec.program", "pipeflow.spec.shared", "pipeflow.spec.stage_type"),
    *("pipeflow.stages.declare", "pipeflow.stages.expression", "pipeflow.stages.keys"),
    *("pipeflow.stages.operators", "pipeflow.stages.registry"),
    *("pipeflow.stages.sinks", "pipeflow.stages.sources"),
)
NOT_IN_THE_COMMAND = (
    *(
        "bz2",
        "ctypes",
        "dataclasses",
        "decimal",
        "gzip",
        "inspect",
        "json",
        "logging",
        "random",
        "rich",
    ),
    *("tokenize", "traceback", "networkx", "yaml", "jsonschema", "multiprocessing"),
    *("pipeflow.cli.records", "pipeflow.cli.live", "pipeflow.cli.pump", "pipeflow.config.render"),
    *("pipeflow.runtime.worker", "pipeflow.runtime.loops", "pipeflow.stages.declare"),
    *("pipeflow.stages.convert", "pipeflow.transports.channel", "pipeflow.transports.codec"),
    *("pipeflow.transports.frames", "pipeflow.transports.pipe", "pipeflow.transports.slots"),
)

FILE = """\
stages:
  numbers: {call: 'own:numbers'}
  pass: {call: 'own:forward', inputs: numbers}
  note: {call: 'own:note', inputs: pass}
"""
OWN = """\
import sys

def numbers():
    yield from range(3)

def forward(item):
    return item

def note(item):
    with open("loaded.txt", "w") as file:
        file.write(" ".join(sorted(sys.modules)))
"""
COMMAND = """
import sys
sys.argv[0] = "pipeflow"
sys.modules["__main__"].__file__ = "pipeflow"
from pipeflow import __main__

def told(code):
    print(*sorted(sys.modules), file=open("command.txt", "w"))
    sys.exit(code)

__main__._leave = told
__main__.main()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where such a run has noted what its last worker and its command had loaded."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "plain.yaml").write_text(FILE)
    (folder / "own.py").write_text(OWN)
    subprocess.run(
        [sys.executable, "-c", COMMAND, "run", "plain.yaml", "--quiet"], cwd=folder, check=True
    )
    return folder


@pytest.mark.parametrize(
    ("where", "most", "unwanted"),
    [
        pytest.param("loaded.txt", MOST_IN_A_WORKER, NOT_IN_A_WORKER, id="a worker"),
        pytest.param("command.txt", MOST_IN_THE_COMMAND, NOT_IN_THE_COMMAND, id="the command"),
    ],
)
def test_a_plain_run_loads_what_it_uses(
    folder: Path, where: str, most: int, unwanted: tuple[str, ...]
) -> None:
    loaded = (folder / where).read_text().split()

    inside = tuple(f"{name}." for name in unwanted)
    assert [name for name in loaded if name in unwanted or name.startswith(inside)] == []
    ours = [name for name in loaded if name.startswith("pipeflow.")]
    assert "pipeflow.planner.plan" in ours
    assert len(ours) <= most, "\n".join(ours)
