"""joblib: the step has a pool of workers, source and sink are in the process that asks."""

from __future__ import annotations

from tests.benchmarks.jobs import Chain
from tests.benchmarks.peers.needed import needed


def run(chain: Chain) -> None:
    """Do a chain; small items travel in batches, and one worker is none for joblib, so two."""
    joblib = needed("joblib")
    sink = chain.sinks[0]()
    parallel = joblib.Parallel(
        n_jobs=max(2, chain.workers),
        return_as="generator",
        batch_size=chain.chunk,
        max_nbytes=None,
    )
    items = (item.copy() for item in chain.source()) if chain.reuses else chain.source()
    for result in parallel(joblib.delayed(chain.step)(item) for item in items):
        sink(result)
    sink.finish()
