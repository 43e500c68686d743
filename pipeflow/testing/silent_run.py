"""A run of a test: in this process and in silence; what reaches its collectors is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeflow.planner.plan import Plan
    from pipeflow.telemetry.events import Event
    from pipeflow.telemetry.report import Report


def run_silently(
    plan: Plan, collected: Iterable[str], listener: Callable[[Event], None] = lambda _event: None
) -> tuple[Report, Mapping[str, list[object]]]:
    """Run a plan to its end.

    Args:
        plan: What runs.
        collected: Names under which its collectors keep items.
        listener: Hears the events.

    Returns:
        The account of the run, and what was kept.
    """
    from pipeflow.executors.base import RunOptions
    from pipeflow.executors.inline import InlineExecutor
    from pipeflow.testing.stand_ins import collecting

    with collecting(collected) as came, open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device
        options = RunOptions(signals=False, stdout_fd=nowhere.fileno(), progress_s=0.0)
        return InlineExecutor().run(plan, options, listener), came


def heed_interrupt(report: Report) -> None:
    """End the tests if Ctrl-C has ended the run: it met a stage in its turn, and means all of us.

    Raises:
        KeyboardInterrupt: It has.
    """
    if any(error.type == KeyboardInterrupt.__name__ for error in report.errors):
        raise KeyboardInterrupt
