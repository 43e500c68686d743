"""Which variables a worker has, decided from the plan; setting them is left to others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeflow.planner.plan import StagePlan

#: Variables by which libraries learn how many threads to start.
THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

#: What the interpreter or the loader reads once, at their start.
_READ_AT_START: Final = ("PYTHON", "LD_", "DYLD_", "LC_", "LANG", "MALLOC_", "GLIBC_")


def stage_environment(stage: StagePlan, replica: int) -> dict[str, str]:
    """Variables of one worker, on top of the inherited ones; what the stage says itself wins."""
    return dict.fromkeys(THREAD_VARIABLES, str(stage.threads)) | own_variables(stage, replica)


def own_variables(stage: StagePlan, replica: int) -> dict[str, str]:
    """Those of them that do not bound threads: its part of the GPUs, and what the file sets."""
    seen = {}
    if stage.gpus:
        seen["CUDA_VISIBLE_DEVICES"] = str(stage.gpus[replica % len(stage.gpus)])
    own = {name: value.replace("${replica}", str(replica)) for name, value in stage.env.items()}
    return seen | own


def needs_fresh_interpreter(env: Mapping[str, str]) -> bool:
    """Whether a stage sets variables that only take effect when a program starts."""
    return any(name.startswith(_READ_AT_START) for name in env)
