"""What the machine can do at most: the same work with nothing between the stages."""

from __future__ import annotations

from tests.benchmarks.jobs import Chain


def serial(chain: Chain) -> None:
    """Do a chain in one process: functions called one after the other."""
    (sink,) = (make() for make in chain.sinks)
    step = chain.step
    for item in chain.source():
        sink(item if step is None else step(item))
    sink.finish()
