"""What a stage says to its log reaches the listener from its constructor on, by level."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeflow
from pipeflow.api import make_executor
from pipeflow.executors.base import RunOptions
from pipeflow.telemetry.events import Event, LogLine
from tests.executors.running import EXECUTORS

MODULE = """
import pipeflow

class Talks:
    def __init__(self):
        pipeflow.log.debug("debug before")
        pipeflow.log.info("info before")

    def __call__(self, item):
        pipeflow.log.debug("debug")
        pipeflow.log.info("info")
        pipeflow.log.warning("warning")
        pipeflow.log.error("error")
"""


@pytest.mark.processes
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug before", "info before", "debug", "info", "warning", "error"]),
        ("info", ["info before", "info", "warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_only_lines_of_the_asked_level_and_above_are_heard(
    tmp_path: Path, executor: str, level: str, heard: list[str]
) -> None:
    (tmp_path / "talking.py").write_text(MODULE)
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        "stages:\n"
        "  source: {use: range, with: {stop: 1}}\n"
        "  talks: {call: 'talking:Talks', inputs: source}\n"
    )
    events: list[Event] = []

    make_executor(executor).run(pipeflow.plan(file), RunOptions(log_level=level), events.append)

    assert [event.text for event in events if isinstance(event, LogLine)] == heard
