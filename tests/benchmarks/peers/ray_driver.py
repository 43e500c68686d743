"""ray: the step is an actor, or some; source and sink are in the process that asks."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from tests.benchmarks.jobs import Chain
from tests.benchmarks.peers.needed import needed

#: Calls in flight: enough that an actor never waits for its next one.
WINDOW: Final = 64


class _Step:
    """The actor."""

    def __init__(self, step: Callable[[Any], Any]) -> None:
        self._step = step

    def do(self, item: Any) -> Any:
        return self._step(item)


def run(chain: Chain) -> None:
    """Do a chain: a call an item, and results in the order of the calls."""
    ray = needed("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # a benchmark tells nobody
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        actors = [ray.remote(num_cpus=0)(_Step).remote(chain.step) for _ in range(chain.workers)]
        window = min(WINDOW, chain.capacity)
        sink = chain.sinks[0]()
        calls: deque[Any] = deque()
        for i, item in enumerate(chain.source()):
            if len(calls) == window:
                sink(ray.get(calls.popleft()))
            calls.append(actors[i % len(actors)].do.remote(item))
        while calls:
            sink(ray.get(calls.popleft()))
        sink.finish()
    finally:
        ray.shutdown()
