"""pypeln: the step has processes of its own, source and sink are in the process that asks."""

from __future__ import annotations

from tests.benchmarks.jobs import Chain
from tests.benchmarks.peers.needed import needed


def run(chain: Chain) -> None:
    """Do a chain."""
    process = needed("pypeln").process
    assert chain.step is not None
    # A queue pickles later, in a thread of its own: what will be changed must be copied first.
    items = (item.copy() for item in chain.source()) if chain.reuses else chain.source()
    stage = process.map(chain.step, items, workers=chain.workers, maxsize=chain.capacity)
    sink = chain.sinks[0]()
    for result in stage | process.ordered if chain.workers > 1 else stage:
        sink(result)
    sink.finish()
