"""Two workers by hand: they share a queue, and the reader puts what comes in order again."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from tests.benchmarks.baselines.forked import FORK, run_together
from tests.benchmarks.jobs import Chain, Sink

WORKERS: Final = 2


def queue(chain: Chain) -> None:
    """Do a chain whose step has two workers."""
    tasks, results = FORK.Queue(chain.capacity), FORK.Queue(chain.capacity)
    (make_sink,) = chain.sinks
    assert chain.step is not None
    run_together(
        partial(_read, results, make_sink),
        *(partial(_work, tasks, chain.step, results) for _ in range(WORKERS)),
        partial(_write, chain.source, tasks),
    )


def _write(source: Callable[[], Iterable[Any]], tasks: Any) -> None:
    for numbered in enumerate(source()):
        tasks.put(numbered)
    for _ in range(WORKERS):
        tasks.put(None)


def _work(tasks: Any, step: Callable[[Any], Any], results: Any) -> None:
    while (numbered := tasks.get()) is not None:
        number, item = numbered
        results.put((number, step(item)))
    results.put(None)


def _read(results: Any, make_sink: Callable[[], Sink]) -> None:
    sink = make_sink()
    early: list[tuple[int, Any]] = []
    due, ended = 0, 0
    while ended < WORKERS:
        if (numbered := results.get()) is None:
            ended += 1
            continue
        heapq.heappush(early, numbered)
        while early and early[0][0] == due:
            sink(heapq.heappop(early)[1])
            due += 1
    sink.finish()
