"""What the checks of a whole pipeline say, as short as tests need it."""

from __future__ import annotations

from pipeflow.errors import Finding, errors_of
from pipeflow.planner.checks import check
from pipeflow.spec.pipeline import Pipeline


def errors(checked: Pipeline) -> list[Finding]:
    return list(errors_of(check(checked)))


def codes(checked: Pipeline) -> list[str]:
    return [finding.code for finding in errors(checked)]
