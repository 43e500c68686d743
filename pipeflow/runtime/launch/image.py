"""What workers share: installed packages, imported once by the launch server before it forks.

Importing a package may do anything. So the server looks at itself before and after: a thread, an
open descriptor, a child, a signal handler, printed text, a variable that was changed, a source of
random numbers, a name that belongs to a module beside the pipeline file - and nobody shares it: the
supervisor ends this server, which has no worker yet, and starts one that has loaded nothing.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pipeflow.runtime.launch import pools, ties
from pipeflow.runtime.launch.messages import Preload, Preloaded
from pipeflow.transports.allocator import keep_freed_memory
from pipeflow.values import dataclass

#: Libraries that say that a process which has loaded them must not be forked.
UNFORKABLE: Final = frozenset(
    {"cupy", "grpc", "jax", "jaxlib", "mpi4py", "pycuda", "pyspark", "ray", "tensorflow"}
)

_OUTPUTS: Final = (1, 2)
_NUMPY_GENERATORS: Final = ("Generator", "RandomState")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traces:
    """What an import may change in this process, beyond its modules."""

    threads: int
    descriptors: tuple[tuple[int, str], ...]
    children: tuple[int, ...]
    handlers: tuple[object, ...]
    folder: str
    path: tuple[str, ...]
    env: Mapping[str, str]
    modules: frozenset[str]


#: Threads that OpenBLAS was told when it was loaded here; empty: it was loaded by somebody else.
_loaded_with = ""


def load(order: Preload) -> Preloaded:
    """Import what is asked for, and say whether this process may still be forked."""
    global _loaded_with  # noqa: PLW0603 - what is loaded is the process's own, and so is this
    os.environ.update(order.env)
    _loaded_with = order.env.get("OPENBLAS_NUM_THREADS", "")
    before = _traces()
    # The collector would look at every new object, and find nothing.
    gc.disable()
    try:
        problem = _import_unheard(order.imports) or _difference(before, _traces(), order.beside)
        if "numpy" in sys.modules:
            keep_freed_memory()  # once for all: copies of this process have the same allocator
    finally:
        gc.freeze()  # forked workers share these pages as long as nobody touches them
        gc.enable()
    return Preloaded(problem=problem, threads_adjustable=not problem and pools.adjustable())


def adopt(threads: int) -> None:
    """In a new worker: see that it is as if the worker had imported the packages itself."""
    if "numpy" in sys.modules and str(threads) != _loaded_with:
        pools.set_threads(threads)
    numbers = sys.modules.get("numpy.random")
    if numbers is not None:
        numbers.seed()  # two workers that start with one state would draw the same numbers


def _import_unheard(imports: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    """Import, with what is printed meanwhile kept; gives what went wrong."""
    sink = os.memfd_create("pipeflow-preload", os.MFD_CLOEXEC)
    kept = [(number, os.dup(number)) for number in _OUTPUTS]
    try:
        for number in _OUTPUTS:
            os.dup2(sink, number)
        problem = _import(imports)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        printed = os.fstat(sink).st_size
    finally:
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
        os.close(sink)
    return problem or ("something was printed" if printed else "")


def _import(imports: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    for module, names in imports:
        try:
            __import__(module, fromlist=names)
        except BaseException as error:  # a package of somebody else: a boundary
            return f"import of '{module}' failed: {type(error).__name__}: {error}"
    return ""


def _traces() -> _Traces:
    return _Traces(
        threads=ties.threads(),
        descriptors=_descriptors(),
        children=ties.children(),
        handlers=tuple(signal.getsignal(number) for number in signal.valid_signals()),
        folder=os.getcwd(),  # noqa: PTH109 - the process's own, compared as text
        path=tuple(sys.path),
        env=dict(os.environ),
        modules=frozenset(sys.modules),
    )


def _difference(before: _Traces, now: _Traces, beside: frozenset[str]) -> str:
    """The first of the changes that forbid that workers share the modules; or nothing."""
    new = {name.partition(".")[0] for name in now.modules - before.modules}
    if now.threads > 1:
        return f"there are {now.threads} threads"
    if now.descriptors != before.descriptors:
        return "a descriptor was left open, or closed"
    if now.children != before.children:
        return "a process was started"
    if now.handlers != before.handlers:
        return "a signal handler was set"
    if (now.folder, now.path) != (before.folder, before.path):
        return "the current folder or the path of modules was changed"
    # A new variable is what a worker would have got as well; a changed one may be a stage's own.
    if any(now.env.get(name) != value for name, value in before.env.items()):
        return "a variable of the environment was changed"
    if new & beside:
        return f"a module beside the pipeline file has the same name: {min(new & beside)}"
    if new & UNFORKABLE:
        return f"'{min(new & UNFORKABLE)}' must not be forked"
    if _draws_random_numbers(gc.get_objects()):
        return "a generator of random numbers was made"
    return ""


def _descriptors() -> tuple[tuple[int, str], ...]:
    found = []
    for name in sorted(os.listdir("/proc/self/fd"), key=int):  # noqa: PTH208 - no tree of files
        try:
            found.append((int(name), os.readlink(f"/proc/self/fd/{name}")))  # noqa: PTH115 - as above
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
    return tuple(found)


def _draws_random_numbers(objects: Iterable[object]) -> bool:
    """Whether there is a generator that every worker would begin with in the same state.

    The shared one of ``random`` seeds itself after a fork; numpy's old one is seeded by ``adopt``.
    """
    random = sys.modules.get("random")
    shared = random.random.__self__ if random is not None else None  # a bound method
    legacy = getattr(sys.modules.get("numpy.random.mtrand"), "_rand", None)
    kinds: set[type] = set()
    if random is not None:  # who has loaded none has made none
        kinds |= {*_with_subclasses(random.Random)} - {*_with_subclasses(random.SystemRandom)}
    for name in _NUMPY_GENERATORS:
        kind: type[Any] | None = getattr(sys.modules.get("numpy.random"), name, None)
        if kind is not None:
            kinds |= {*_with_subclasses(kind)}
    # Never isinstance: a proxy would be asked what it stands for.
    found = [each for each in objects if type(each) in kinds]
    return any(each is not shared and each is not legacy for each in found)


def _with_subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    yield kind
    for each in type.__subclasses__(kind):
        yield from _with_subclasses(each)
