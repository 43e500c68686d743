"""The bottleneck: which stage bounds the rate of a run, told from how the time was spent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from pipeflow.telemetry.report import Bottleneck

#: Below this many seconds of a stage's time nothing can be told.
LEAST_SECONDS: Final = 0.05

#: A stage that works less than this part of its time bounds nothing by itself.
LEAST_SHARE: Final = 0.2


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

    It is the one with the greatest share of work in its time; of equals, the one for which the
    stages before it waited most. ``None`` when nothing ran long enough, or all were idle.
    """
    known = {stage.name: stage for stage in stages if _total(stage) >= LEAST_SECONDS}
    writers: dict[str, list[Timed]] = {name: [] for name in known}
    for edge in edges:
        writer = known.get(edge.source.partition(".")[0])
        if writer is not None and edge.target in writers:
            writers[edge.target].append(writer)
    if not known:
        return None
    worst = max(
        known.values(),
        key=lambda stage: (round(_share(stage, stage.busy_s), 2), _pressure(writers[stage.name])),
    )
    if _share(worst, worst.busy_s) < LEAST_SHARE:
        return None
    return Bottleneck(stage=worst.name, why=_why(worst, writers[worst.name]))


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
