"""w5: how long it takes until the first item is through, and until all is over."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.benchmarks.model import Bar, Kind, Metrics, Sense, System, Workload, WrongResult
from tests.benchmarks.noted import read_notes
from tests.benchmarks.programs import Ended, run_program
from tests.benchmarks.workloads.systems import ours

ITEMS = 10
SCRIPT = Path(__file__).parent.parent / "baselines" / "chain_script.py"


def w5_3() -> Workload:
    """A small pipeline whose stages import next to nothing."""
    return Workload(
        name="w5_3",
        what="3 stages, nothing heavy imported: from the exec to the first item, and to the end",
        systems=(
            ours("pipeflow", "w5_3.yaml", {"count": ITEMS}, _read),
            _script("fork + Pipe", 3, ""),
            _python("import numpy", "import numpy"),
            _python("import nothing", "pass"),
        ),
        bars=(
            Bar(
                system="pipeflow",
                metric="total_ms",
                against="import numpy",
                sense=Sense.AT_MOST,
                limit=2.5,
            ),
        ),
    )


def w5_20() -> Workload:
    """A long pipeline whose stages all import numpy."""
    by_hand = "fork, no preload"
    return Workload(
        name="w5_20",
        what="20 stages that import numpy: from the exec to the first item, and to the end",
        systems=(
            ours("pipeflow", "w5_20.yaml", {"count": ITEMS}, _read),
            _script(by_hand, 20, "numpy"),
        ),
        bars=(
            Bar(
                system="pipeflow",
                metric="first_ms",
                against=by_hand,
                sense=Sense.AT_MOST,
                limit=0.3,
            ),
        ),
    )


def _script(name: str, stages: int, module: str) -> System:
    def measure(folder: Path) -> Metrics:
        command = [sys.executable, str(SCRIPT), str(stages), str(ITEMS), str(folder), module]
        return _read(folder, _succeeded(run_program(command)))

    return System(name=name, kind=Kind.HAND, measure=measure)


def _python(name: str, code: str) -> System:
    def measure(_: Path) -> Metrics:
        ended = _succeeded(run_program([sys.executable, "-c", code]))
        return {"total_ms": ended.wall_s * 1e3}

    return System(name=name, kind=Kind.LIMIT, measure=measure)


def _succeeded(ended: Ended) -> Ended:
    if ended.code != 0:
        raise WrongResult(f"it exited {ended.code}:\n{ended.said}")
    return ended


def _read(folder: Path, ended: Ended) -> Metrics:
    noted = read_notes(folder)
    noted.require(items=ITEMS, total=ITEMS * (ITEMS - 1) / 2)
    arrived_ns = int(noted.sinks[0]["arrived_ns"])
    return {
        "first_ms": (arrived_ns - ended.began_ns) / 1e6,
        "total_ms": ended.wall_s * 1e3,
    }
