"""pipeflow: wire ordinary Python functions in a YAML file; each stage runs in its own process.

The public names are found on first use: every worker imports this package, and should not pay for
what it does not need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pipeflow.api import load, plan, run, stream
    from pipeflow.errors import (
        Finding,
        InvalidPipeline,
        ItemNotSerializable,
        Location,
        MachineError,
        MemoryLimitReached,
        PipeflowError,
        StageFailed,
        UsageError,
        WorkerDied,
    )
    from pipeflow.stages.author import empty, log, metric, rng, stopping, to
    from pipeflow.telemetry.report import Report

    __version__: str

__all__ = [  # noqa: RUF022 - grouped by what they are for, not by the alphabet
    # run a pipeline from Python
    "run",
    "load",
    "plan",
    "Report",
    # inside a stage
    "stream",
    "to",
    "empty",
    "rng",
    "log",
    "metric",
    "stopping",
    # errors
    "PipeflowError",
    "InvalidPipeline",
    "UsageError",
    "MachineError",
    "StageFailed",
    "WorkerDied",
    "ItemNotSerializable",
    "MemoryLimitReached",
    "Finding",
    "Location",
    "__version__",
]

_HOMES: Final = {
    "pipeflow.api": ("run", "load", "plan", "stream", "__version__"),
    "pipeflow.telemetry.report": ("Report",),
    "pipeflow.stages.author": ("to", "empty", "rng", "log", "metric", "stopping"),
    "pipeflow.errors": (
        "PipeflowError",
        "InvalidPipeline",
        "UsageError",
        "MachineError",
        "StageFailed",
        "WorkerDied",
        "ItemNotSerializable",
        "MemoryLimitReached",
        "Finding",
        "Location",
    ),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'pipeflow' has no attribute '{name}'")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value  # found once; the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
