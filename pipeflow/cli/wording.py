"""How numbers are worded for people: seconds, rates, stage names with their replica."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.telemetry.masking import escape_controls


def seconds(value: float) -> str:
    """``0.31 s``, ``12.4 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if value < 1:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def rate(value: float) -> str:
    """``3.2/s`` or ``1,204/s``."""
    return f"{value:,.1f}/s" if value < 100 else f"{value:,.0f}/s"


def worker_name(stage: str, replica: int, replicas: Mapping[str, int]) -> str:
    """``decode``, or ``decode[1]`` when the stage has more than one worker."""
    return f"{stage}[{replica}]" if replicas.get(stage, 1) > 1 else stage


def in_one_line(name: str) -> str:
    """The name of a pipeline, which may be anything that a file's may."""
    return escape_controls(name).replace("\n", "\\n").replace("\t", "\\t")


def plural(number: int, word: str) -> str:
    """``1 error``, ``3 errors``, ``1,204 items``."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")
