"""shmpipeline: the step is a process, source and sink are in the process that asks.

Its streams hold the newest array and no other, so one frame is in flight at a time: that is the
only way in which none gets lost.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, Final

from tests.benchmarks.jobs import Chain, FrameChain
from tests.benchmarks.model import NotAvailable
from tests.benchmarks.peers.needed import needed

#: A frame takes milliseconds; who has none after this long has lost it.
DEADLINE_S: Final = 10.0
_KIND: Final = "cpu.benchmark"


def run(chain: Chain) -> None:
    """Do a chain of frames.

    Raises:
        NotAvailable: The items are no arrays of one shape, or shmpipeline is not installed.
    """
    if not isinstance(chain, FrameChain):
        raise NotAvailable("shmpipeline has streams of arrays of one shape, not of objects")
    package = needed("shmpipeline")
    logging.getLogger("shmpipeline").setLevel(logging.WARNING)
    registry = package.get_default_registry().extended(_kernel(package, chain.step_into))
    # Forked, so that the step need not be imported anew: the start is not what is measured.
    manager = package.PipelineManager(_config(chain), spawn_method="fork", registry=registry)
    try:
        manager.build()
        manager.start()
        there, back = (manager.get_stream(name) for name in ("there", "back"))
        sink = chain.sinks[0]()
        for frame in chain.source():
            seen = back.count
            there.write(frame)
            sink(back.read_after(seen, timeout=DEADLINE_S))
        sink.finish()
    finally:
        manager.shutdown(force=True)


def _kernel(package: Any, step_into: Callable[[Any, Any], object]) -> Any:
    def compute_into(_kernel: Any, frame: Any, out: Any, _auxiliary: Any) -> None:
        step_into(frame, out)

    return type("Step", (package.Kernel,), {"kind": _KIND, "compute_into": compute_into})


def _config(chain: FrameChain) -> dict[str, Any]:
    stream = {"shape": list(chain.shape), "dtype": chain.dtype, "storage": "cpu"}
    return {
        "namespace": f"pipeflow-benchmark-{os.getpid()}",
        "shared_memory": [{"name": name, **stream} for name in ("there", "back")],
        "kernels": [{"name": "step", "kind": _KIND, "input": "there", "output": "back"}],
    }
