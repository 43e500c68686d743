"""For authors of stages and pipelines: run one stage, compare executors, move a clock.

The names are found on first use: the pytest plug-in imports this package in every session.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pipeflow.testing.clocks import FakeClock
    from pipeflow.testing.everywhere import assert_same_everywhere
    from pipeflow.testing.one_stage import Emitted, run_stage, shared_state

__all__ = ["Emitted", "FakeClock", "assert_same_everywhere", "run_stage", "shared_state"]

_HOME_OF: Final = {
    "FakeClock": "pipeflow.testing.clocks",
    "Emitted": "pipeflow.testing.one_stage",
    "run_stage": "pipeflow.testing.one_stage",
    "shared_state": "pipeflow.testing.one_stage",
    "assert_same_everywhere": "pipeflow.testing.everywhere",
}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'pipeflow.testing' has no attribute '{name}'")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
