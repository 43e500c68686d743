"""What most runs of the tests must be, whatever else they are."""

from __future__ import annotations

from pipeflow.telemetry.report import Status
from tests.executors.running import Outcome


def balanced(outcome: Outcome) -> None:
    assert outcome.report.ledger.findings == ()
    assert outcome.report.ledger.balanced


def succeeded(outcome: Outcome) -> None:
    assert outcome.report.errors == ()
    balanced(outcome)
    assert outcome.report.run.status is Status.SUCCEEDED
