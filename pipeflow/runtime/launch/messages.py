"""What the supervisor and its launch server tell each other, as frames over one stream socket."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Start one worker. Answered by ``Launched`` or ``NotLaunched``.

    Attributes:
        worker: Its number.
        brief: Its packed briefs; the server does not look inside.
        keep: Descriptors that it keeps, by their numbers; all others are closed.
        output: Becomes its standard output and standard error.
        stdin: Whether it keeps the server's standard input; else it reads nothing.
        group: Process group to join; 0: one of its own.
        replace: Whether a fresh interpreter takes the place of the forked one.
        env: Variables set on top of the server's; with ``replace`` only.
        manager: It is no worker, but the manager of shared state, and this its pickled brief.
    """

    worker: int
    brief: bytes
    keep: tuple[int, ...]
    output: int
    stdin: bool = False
    group: int = 0
    replace: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    manager: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """What all workers are told alike; comes before the first ``Launch``.

    Attributes:
        plan: The pickled ``Plan``.
    """

    plan: bytes


@dataclass(frozen=True, slots=True)
class LoadOurs:
    """Import modules of ours that the workers will most likely need; not answered."""

    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preload:
    """Import installed packages, for the workers that come to share. Answered by ``Preloaded``.

    Attributes:
        imports: Modules, each with the names that are taken from it, as ``from a import b`` does.
        env: Variables that hold while they are imported, and afterwards.
        beside: Names of the modules beside the pipeline file: none of them may be taken by a
            module of an installed package.
    """

    imports: tuple[tuple[str, tuple[str, ...]], ...]
    env: Mapping[str, str] = field(default_factory=dict)
    beside: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lend:
    """Take descriptors, which travel beside this message. Answered by ``Taken``.

    Attributes:
        numbers: What each of them is called from now on, in the order in which they travel.
        limit: Open files that this process, and the workers after it, may have.
    """

    numbers: tuple[int, ...]
    limit: int


@dataclass(frozen=True, slots=True)
class AllLaunched:
    """No more workers will come: the server closes its copies of their descriptors."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Send a signal to a worker, if it was not reaped yet.

    Attributes:
        worker: Its number.
        number: The signal.
        whole_group: Also to what the worker has started.
    """

    worker: int
    number: int
    whole_group: bool = True


@dataclass(frozen=True, slots=True)
class Launched:
    """A worker's process exists."""

    worker: int
    pid: int


@dataclass(frozen=True, slots=True)
class NotLaunched:
    """A worker's process could not be made.

    Attributes:
        number: The ``errno``.
    """

    worker: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """A worker's process is gone, and what it had started with it.

    Attributes:
        status: Exit status; negative numbers are signals.
        cpu_s: Processor time of it and of its own children.
        peak_rss_bytes: Greatest resident size.
    """

    worker: int
    pid: int
    status: int
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preloaded:
    """What became of a preload.

    Attributes:
        problem: Why this process must not be forked any more; empty: workers may share it.
        threads_adjustable: Whether the number of threads of what was loaded can be set afterwards.
    """

    problem: str = ""
    threads_adjustable: bool = True


@dataclass(frozen=True, slots=True)
class Taken:
    """Descriptors have come.

    Attributes:
        number: 0, or the ``errno`` of what went wrong.
    """

    number: int = 0


Request = Planned | LoadOurs | Preload | Lend | Launch | AllLaunched | Signal
Reply = Preloaded | Taken | Launched | NotLaunched | Exited
