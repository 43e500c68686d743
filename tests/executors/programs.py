"""What the tests of external programs share: pipelines, programs that misbehave, judgements."""

from __future__ import annotations

import sys

from pipeflow.telemetry.report import ErrorFacts
from tests.executors.running import Outcome

NUMBERS = {"call": "shapes:numbers", "with": {"stop": 40}}
TEXTS = {"use": "map", "inputs": "source", "with": {"expr": "f'line {item:02}'"}}
#: Answers each line at once, and does with some what the test is about.
ANSWERER = """
import os, signal, sys, time
for line in sys.stdin:
    {act}
    sys.stdout.write(line.upper())
    sys.stdout.flush()
"""


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def answering(act: str) -> list[str]:
    return python(ANSWERER.format(act=act))


def failed(outcome: Outcome) -> ErrorFacts:
    assert outcome.report.ledger.findings == ()
    assert outcome.report.run.exit_code == 1
    (error,) = outcome.report.errors
    assert error.traceback == ""
    return error
