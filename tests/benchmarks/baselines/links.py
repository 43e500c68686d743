"""What most people write: a process a stage, and multiprocessing's Queue or Pipe between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tests.benchmarks.baselines.forked import FORK, run_together
from tests.benchmarks.jobs import Chain, Sink

BATCH: Final = 256


@dataclass(frozen=True, slots=True)
class Link:
    """Two ends; ``None`` is the end of the stream."""

    put: Callable[[Any], None]
    get: Callable[[], Any]


def queue(chain: Chain) -> None:
    """Do a chain with multiprocessing.Queue."""
    # A queue pickles later, in a thread of its own: what will be changed must be copied first.
    _run(chain, lambda: _queue(chain.capacity), copies=chain.reuses)


def pipe(chain: Chain) -> None:
    """Do a chain with multiprocessing.Pipe."""
    _run(chain, _pipe, copies=False)


def queue_batch(chain: Chain) -> None:
    """Do a chain with multiprocessing.Queue and lists of 256 items."""
    first, second = _queue(16), _queue(16)
    (make_sink,) = chain.sinks
    assert chain.step is not None
    run_together(
        partial(_read_batches, second, make_sink),
        partial(_step_batches, first, chain.step, second),
        partial(_write_batches, chain.source, first),
    )


def _queue(capacity: int) -> Link:
    made = FORK.Queue(capacity)
    return Link(made.put, made.get)


def _pipe() -> Link:
    reader, writer = FORK.Pipe(duplex=False)
    return Link(writer.send, reader.recv)


def _run(chain: Chain, link: Callable[[], Link], *, copies: bool) -> None:
    lasts = [link() for _ in chain.sinks]
    readers = [partial(_read, *each) for each in zip(lasts, chain.sinks, strict=True)]
    if chain.step is None:
        run_together(*readers, partial(_write, chain.source, lasts, copies=copies))
        return
    first = link()
    run_together(
        *readers,
        partial(_step, first, chain.step, lasts),
        partial(_write, chain.source, [first], copies=copies),
    )


def _write(source: Callable[[], Iterable[Any]], links: Sequence[Link], *, copies: bool) -> None:
    puts = [link.put for link in links]
    for made in source():
        item = made.copy() if copies else made
        for put in puts:
            put(item)
    for put in puts:
        put(None)


def _step(link: Link, step: Callable[[Any], Any], links: Sequence[Link]) -> None:
    get = link.get
    (put,) = (each.put for each in links)
    while (item := get()) is not None:
        put(step(item))
    put(None)


def _read(link: Link, make_sink: Callable[[], Sink]) -> None:
    get, sink = link.get, make_sink()
    while (item := get()) is not None:
        sink(item)
    sink.finish()


def _write_batches(source: Callable[[], Iterable[Any]], link: Link) -> None:
    for batch in _batches(source()):
        link.put(batch)
    link.put(None)


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _step_batches(link: Link, step: Callable[[Any], Any], onward: Link) -> None:
    while (batch := link.get()) is not None:
        onward.put([step(item) for item in batch])
    onward.put(None)


def _read_batches(link: Link, make_sink: Callable[[], Sink]) -> None:
    sink = make_sink()
    while (batch := link.get()) is not None:
        for item in batch:
            sink(item)
    sink.finish()
