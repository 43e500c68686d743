"""Forked processes and Pipes, as a script: ``chain_script.py STAGES COUNT FOLDER MODULE``.

It imports no more than it needs, for the time from its exec is what is measured. With
a MODULE each process imports that for itself, as stages do that nobody loaded beforehand.
"""

from __future__ import annotations

import importlib
import itertools
import json
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    _Pair = tuple[Connection[int | None, int | None], Connection[int | None, int | None]]


def main(stages: int, count: int, folder: str, module: str) -> int:
    """Fork a process a stage; the first one last, when all that it writes to are there."""
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in range(stages - 1)]
    processes = [context.Process(target=_sink, args=(pipes[-1], folder, module))]
    processes += [
        context.Process(target=_step, args=(before, after, module))
        for before, after in itertools.pairwise(pipes)
    ]
    processes.append(context.Process(target=_source, args=(pipes[0], count, folder, module)))
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return max(abs(process.exitcode or 0) for process in processes)


def _source(pipe: _Pair, count: int, folder: str, module: str) -> None:
    _import(module)
    _note(f"{folder}/source.json", {"first_ns": time.perf_counter_ns()})
    for item in range(count):
        pipe[1].send(item)
    pipe[1].send(None)


def _step(before: _Pair, after: _Pair, module: str) -> None:
    _import(module)
    while (item := before[0].recv()) is not None:
        after[1].send(item)
    after[1].send(None)


def _sink(pipe: _Pair, folder: str, module: str) -> None:
    _import(module)
    times_ns, total = [], 0
    while (item := pipe[0].recv()) is not None:
        times_ns.append(time.perf_counter_ns())
        total += item
    facts = {"arrived_ns": times_ns[0], "last_ns": times_ns[-1], "items": len(times_ns)}
    _note(f"{folder}/sink-0.json", {**facts, "total": total})


def _import(module: str) -> None:
    if module:
        importlib.import_module(module)


def _note(file: str, facts: dict[str, int]) -> None:
    with open(file, "w", encoding="utf-8") as out:  # noqa: PTH123 - pathlib is an import more
        json.dump(facts, out)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], "".join(sys.argv[4:])))
