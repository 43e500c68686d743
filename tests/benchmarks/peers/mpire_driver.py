"""mpire: the step has a pool of workers, source and sink are in the process that asks."""

from __future__ import annotations

from tests.benchmarks.jobs import Chain
from tests.benchmarks.peers.needed import needed


def run(chain: Chain) -> None:
    """Do a chain; small items travel in chunks."""
    pool_type = needed("mpire").WorkerPool
    sink = chain.sinks[0]()
    items = (item.copy() for item in chain.source()) if chain.reuses else chain.source()
    with pool_type(n_jobs=chain.workers) as pool:
        results = pool.imap(
            chain.step,
            # A tuple in a tuple: mpire would unpack the item's own as arguments.
            ((item,) for item in items),
            chunk_size=chain.chunk,
        )
        for result in results:
            sink(result)
    sink.finish()
