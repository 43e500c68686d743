"""Reads what a benchmark needs of the report of a run."""

from __future__ import annotations

import json
from pathlib import Path


def cpu_s(report: Path) -> float:
    """Give the processor time of all workers together, their start included, in seconds."""
    stages = json.loads(report.read_text())["stages"]
    return sum(float(worker["cpu_s"]) for stage in stages for worker in stage["workers"])
