"""Runs the tests of pipeline files, each inline, and says how they went.

``planner.trial`` decides what runs, ``comparing`` what is wrong; this reads, runs and collects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pipeflow.api import Reading, Settings, as_text, read
from pipeflow.errors import Finding, InvalidPipeline, errors_of
from pipeflow.spec.pipeline import Expected, FileTest
from pipeflow.testing.comparing import Difference, differences
from pipeflow.testing.silent_run import heed_interrupt, run_silently
from pipeflow.values import dataclass, field, replace

if TYPE_CHECKING:
    from pipeflow.planner.plan import Plan
    from pipeflow.planner.trial.decide import Trial
    from pipeflow.telemetry.events import Event
    from pipeflow.telemetry.report import ErrorFacts

#: What only the whole file lacks: a test may give it.
_GIVEN_BY_TESTS = frozenset({"missing-param"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one test went.

    Attributes:
        test: The test.
        differences: What was not as expected; none: it passed.
        came: What came for each expectation, as far as the run got to its end.
        printed: What its stages printed and logged.
        sources: File name to text, for the line under each difference.
        seconds: How long it took.
    """

    test: FileTest
    differences: tuple[Difference, ...] = ()
    came: tuple[tuple[Expected, tuple[object, ...]], ...] = ()
    printed: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all was as expected."""
        return not self.differences

    def findings(self) -> list[Finding]:
        """The differences as findings, for rendering; without their further lines."""
        return [
            Finding(at=each.at, code="test-failed", problem=each.problem, length=each.length)
            for each in self.differences
        ]


def tests_of(file: str, settings: Settings, environ: Mapping[str, str]) -> tuple[FileTest, ...]:
    """The tests of a file, in its order.

    Raises:
        InvalidPipeline: The file has mistakes; a parameter without a value is none yet, since
            tests may give it one.
    """
    reading = read(file, settings, environ)
    pipeline = reading.loaded.pipeline
    findings = tuple(each for each in reading.findings if each.code not in _GIVEN_BY_TESTS)
    if pipeline is None or errors_of(findings):
        raise InvalidPipeline(findings, dict(reading.sources))
    return pipeline.tests


def run_test(file: str, name: str, settings: Settings, environ: Mapping[str, str]) -> Outcome:
    """Run one test of a file, in this process.

    Raises:
        InvalidPipeline: The file has mistakes, with the params of this test.
        MachineError: A limit of the machine forbids the run.
    """
    began = time.perf_counter()
    reading, test = _with_params(file, name, settings, environ)
    from pipeflow.stages.importing import forget

    try:
        outcome = try_test(reading, test)
    finally:
        forget()  # what modules of the user's keep is not there for the next test
    return replace(outcome, sources=reading.sources, seconds=time.perf_counter() - began)


def _with_params(
    file: str, name: str, settings: Settings, environ: Mapping[str, str]
) -> tuple[Reading, FileTest]:
    """The file as it is with the params of a test, and the test as it is there."""
    listed = next(each for each in tests_of(file, settings, environ) if each.name == name)
    params = {key: as_text(value) for key, value in listed.parameters.items()}
    reading = read(file, replace(settings, params={**settings.params, **params}), environ)
    pipeline = reading.require()
    return reading, next(each for each in pipeline.tests if each.name == name)


def try_test(reading: Reading, test: FileTest) -> Outcome:
    """Run a test of a file that has been read with its params, in this process.

    Raises:
        InvalidPipeline: The test names what there is not, or no path joins what it names.
        MachineError: A limit of the machine forbids the run.
    """
    from pipeflow.planner.make import make_plan
    from pipeflow.planner.trial.decide import decide_trial
    from pipeflow.runtime.machine import read_machine
    from pipeflow.telemetry.events import LogLine
    from pipeflow.telemetry.masking import masker
    from pipeflow.telemetry.report import Status

    try:
        trial = decide_trial(reading.require(), test)
        plan = make_plan(trial.pipeline, read_machine())
    except InvalidPipeline as invalid:
        raise InvalidPipeline(invalid.findings, dict(reading.sources)) from None
    printed: list[str] = []

    def listener(event: Event) -> None:
        if isinstance(event, LogLine):
            printed.append(f"{event.stage}: {event.text}")

    report, came = run_silently(plan, trial.collected, listener)
    heed_interrupt(report)
    masked = masker(plan.secrets)
    told = tuple(map(masked, printed))
    if report.run.status is not Status.SUCCEEDED:
        failure = _masked(_failure(report.errors[0], plan, test), masked)
        return Outcome(test=test, differences=(failure,), came=(), printed=told)
    return Outcome(
        test=test,
        differences=tuple(_masked(each, masked) for each in _other_than(trial, came, plan)),
        came=tuple((expected, tuple(came[key])) for key, expected in trial.collected.items()),
        printed=told,
    )


def _other_than(
    trial: Trial, came: Mapping[str, Sequence[object]], plan: Plan
) -> Iterator[Difference]:
    """What came and was not expected, and the other way round."""
    for key, expected in trial.collected.items():
        verb = "was reached by" if expected.port in trial.at_input else "emitted"
        yield from differences(expected, came[key], plan.parameters, verb)


def _masked(difference: Difference, masked: Callable[[str], str]) -> Difference:
    lines = tuple(masked(line) for line in difference.lines)
    return replace(difference, problem=masked(difference.problem), lines=lines)


def _failure(error: ErrorFacts, plan: Plan, test: FileTest) -> Difference:
    """A run that failed, at the stage that did."""
    stage = next((each for each in plan.stages if each.name == error.stage), None)
    on_item = f" on item {error.item}" if error.item else ""
    what = f"{error.type}: {error.message}"
    return Difference(
        at=stage.at if stage else test.at,
        length=len(error.stage) or len(test.name),
        problem=f"stage '{error.stage}' failed{on_item}: {what}" if stage else what,
        lines=tuple(error.traceback.rstrip().splitlines()),
    )
