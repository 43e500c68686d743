"""The bottleneck: which stage bounds the rate of a run, told from how the time was spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from pipeflow.telemetry.report import Bottleneck

#: Below this many seconds of a stage's time nothing can be told.
LEAST_SECONDS: Final = 0.05

#: A stage that works less than this part of its time bounds nothing by itself.
LEAST_SHARE: Final = 0.2

#: Shares of work that differ by less are alike.
ALIKE: Final = 0.05


class Timed(Protocol):
    """How the workers of one stage spent their time so far, in seconds, all together."""

    @property
    def name(self) -> str: ...
    @property
    def busy_s(self) -> float: ...
    @property
    def wait_in_s(self) -> float: ...
    @property
    def wait_out_s(self) -> float: ...


class Linked(Protocol):
    """An edge: ``stage.port`` and the reading stage."""

    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...


def find_bottleneck(stages: Sequence[Timed], edges: Iterable[Linked]) -> Bottleneck | None:
    """Name the stage that works while the others wait for it.

    It is the one with the greatest share of work in its time. Of several that work all the time, a
    later one is slower than those before it (a faster one would wait for input); and of those, it
    is the one for which its writers wait most. ``None`` when nothing ran long enough, or all were
    idle.
    """
    known = {stage.name: stage for stage in stages if _total(stage) >= LEAST_SECONDS}
    writers: dict[str, list[str]] = {name: [] for name in known}
    for edge in edges:
        writer = edge.source.partition(".")[0]
        if writer in known and edge.target in known:
            writers[edge.target].append(writer)
    most = max((_share(stage, stage.busy_s) for stage in known.values()), default=0.0)
    if most < LEAST_SHARE:
        return None
    busiest = [name for name in known if _share(known[name], known[name].busy_s) > most - ALIKE]
    before = set().union(*(_upstream(name, writers) for name in busiest))
    # In a graph without cycles some stage is before no other; with one, any of them will do.
    last = [name for name in busiest if name not in before] or busiest
    feeders = {name: [known[writer] for writer in writers[name]] for name in last}
    worst = max(last, key=lambda name: _pressure(feeders[name]))
    return Bottleneck(stage=worst, why=_why(known[worst], feeders[worst]))


def _upstream(name: str, writers: Mapping[str, Sequence[str]]) -> set[str]:
    """All stages from which items come to this one."""
    found: set[str] = set()
    waiting = list(writers[name])
    while waiting:
        writer = waiting.pop()
        if writer not in found:
            found.add(writer)
            waiting.extend(writers[writer])
    return found


def _why(stage: Timed, writers: Sequence[Timed]) -> str:
    text = f"busy {_percent(stage, stage.busy_s)} of its time"
    if writers:
        text += f", waiting for input {_percent(stage, stage.wait_in_s)}"
    blocked = max(writers, key=lambda writer: _share(writer, writer.wait_out_s), default=None)
    if blocked is not None and _share(blocked, blocked.wait_out_s) >= 0.1:
        text += f"; '{blocked.name}' waited to send {_percent(blocked, blocked.wait_out_s)} of its"
    return text


def _pressure(writers: Sequence[Timed]) -> float:
    return max((_share(writer, writer.wait_out_s) for writer in writers), default=0.0)


def _total(stage: Timed) -> float:
    return stage.busy_s + stage.wait_in_s + stage.wait_out_s


def _share(stage: Timed, seconds: float) -> float:
    total = _total(stage)
    return seconds / total if total > 0 else 0.0


def _percent(stage: Timed, seconds: float) -> str:
    return f"{100 * _share(stage, seconds):.0f} %"
