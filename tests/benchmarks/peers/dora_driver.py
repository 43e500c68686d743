"""dora: source, step and sink are nodes, each a process of its own; ``dora run`` starts them."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.jobs import Chain
from tests.benchmarks.model import NotAvailable
from tests.benchmarks.peers.needed import needed
from tests.benchmarks.programs import ROOT

_NODE: Final = "tests.benchmarks.peers.dora_node"
#: dora drops what is too much for a reader unless it is told to let the writer wait.
_POLICY: Final = "backpressure"


def run(chain: Chain) -> None:
    """Do a chain; each worker of the step is a node, and they get items in turn.

    Raises:
        NotAvailable: dora, or its command, is not installed.
        RuntimeError: The command failed.
    """
    needed("dora")
    command = shutil.which("dora", path=str(Path(sys.executable).parent))
    if command is None:
        raise NotAvailable("dora-rs-cli is not installed: pip install 'pipeflow[bench]'")
    with tempfile.TemporaryDirectory(prefix="pipeflow-benchmark-dora-") as name:
        folder = Path(name)
        (folder / "chain.pickle").write_bytes(pickle.dumps(chain))
        # JSON is YAML.
        (folder / "dataflow.yml").write_text(json.dumps(dataflow(chain, folder)))
        done = subprocess.run(
            [command, "run", "dataflow.yml"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"dora run exited {done.returncode}\n{done.stdout}\n{done.stderr}")


def dataflow(chain: Chain, folder: Path) -> dict[str, Any]:
    """Give the description of the nodes, as dora reads it."""
    steps = [f"step-{i}" for i in range(chain.workers)]

    def node(name: str, role: str, **ports: Any) -> dict[str, Any]:
        return {
            "id": name,
            "path": sys.executable,
            "args": f"-m {_NODE} {role} {folder / 'chain.pickle'}",
            "env": {"PYTHONPATH": str(ROOT)},
            **ports,
        }

    def reads(output: str) -> dict[str, Any]:
        return {"source": output, "queue_size": chain.capacity, "queue_policy": _POLICY}

    return {
        "nodes": [
            node("source", "source", outputs=steps),
            *(
                node(step, "step", inputs={"item": reads(f"source/{step}")}, outputs=["result"])
                for step in steps
            ),
            node("sink", "sink", inputs={step: reads(f"{step}/result") for step in steps}),
        ]
    }
