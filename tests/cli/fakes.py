"""Stand-ins for what commands call: an executor that plays a script, a pipeline without a file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

from pipeflow.api import Reading
from pipeflow.cli.main import main
from pipeflow.cli.world import World
from pipeflow.errors import Finding, Location, MachineError, Severity
from pipeflow.executors.base import Listener, RunOptions
from pipeflow.planner.plan import Machine, Plan
from pipeflow.spec.pipeline import Call, Edge, Pipeline, PortRef, Stage
from pipeflow.spec.shapes import Shape
from pipeflow.spec.stage_type import CallFacts
from pipeflow.telemetry.events import Event, RunFinished, RunStarted
from pipeflow.telemetry.report import Ledger, Report, RunFacts, StageFacts, Status

FILE = "a.yaml"
TEXT = "stages:\n  find:\n    call: m:find\n  save:\n    call: m:save\n    inputs: find\n"
MACHINE = Machine(cores=2, memory=2**32, processes=1000, descriptors=4096)


def stage(name: str, line: int, *inputs: str, **more: Any) -> Stage:
    at = Location(FILE, line, 3)
    return Stage(
        name=name,
        at=at,
        work=Call(module="m", attribute=name, facts=CallFacts(shape=Shape.FUNCTION)),
        work_at=at,
        edges=tuple(Edge(source=PortRef(*each.split(".")), at=at) for each in inputs),
        replicas_at=at,
        partition_at=at,
        on_error_at=at,
        **more,
    )


def pipeline(*stages: Stage, **more: Any) -> Pipeline:
    at = Location(FILE, 1, 1)
    return Pipeline(
        name="photos",
        file=FILE,
        folder="/",
        stages=stages or (stage("find", 2), stage("save", 4, "find")),
        stages_at=at,
        limits_at=at,
        **more,
    )


def reading(spec: Pipeline | None = None, *findings: Finding) -> Reading:
    broken = any(each.severity is Severity.ERROR for each in findings)
    return Reading(
        pipeline=None if broken else spec or pipeline(),
        findings=findings,
        sources={FILE: TEXT},
        loaded=cast("Any", SimpleNamespace()),
    )


def finding(code: str = "unknown-stage", severity: Severity = Severity.ERROR) -> Finding:
    return Finding(
        at=Location(FILE, 6, 13),
        code=code,
        problem="no stage 'fnid'",
        hint="did you mean 'find'?",
        severity=severity,
        length=4,
    )


def report(status: Status = Status.SUCCEEDED, exit_code: int = 0, **more: Any) -> Report:
    done = Report(
        run=RunFacts(
            id="r1",
            pipeline="photos",
            file=FILE,
            executor="fake",
            started="2026-01-02T03:04:05Z",
            wall_s=2.0,
            status=status,
            exit_code=exit_code,
            attempts=1,
            seed=0,
        ),
        stages=(
            StageFacts(name="find", replicas=1, workers=(), emitted={"out": 10}),
            StageFacts(name="save", replicas=1, workers=(), received=10, processed=10, empty=10),
        ),
        edges=(),
        ledger=Ledger(balanced=True),
        bottleneck=None,
        errors=(),
    )
    return replace(done, **more)


@dataclass
class FakeExecutor:
    """Plays events to the listener, and ends with a report."""

    outcome: Report | Exception = field(default_factory=report)
    events: Sequence[Event] = ()
    name: str = "fake"
    asked: list[tuple[Plan, RunOptions]] = field(default_factory=list)

    def run(self, plan: Plan, options: RunOptions, listener: Listener) -> Report:
        self.asked.append((plan, options))
        if isinstance(self.outcome, MachineError):
            raise self.outcome
        listener(RunStarted(id="r1", pipeline=plan.pipeline))
        for event in self.events:
            listener(event)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        listener(RunFinished(report=self.outcome))
        return self.outcome


class FixedClock:
    """Stands still."""

    def monotonic(self) -> float:
        return 5.0

    def time(self) -> float:
        return 1000.0


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Theatre:
    """A world with everything captured."""

    executor: FakeExecutor = field(default_factory=FakeExecutor)
    environ: Mapping[str, str] = field(default_factory=dict)
    stdout: io.StringIO = field(default_factory=io.StringIO)
    stderr: io.StringIO = field(default_factory=io.StringIO)

    @property
    def world(self) -> World:
        return World(
            environ=self.environ,
            stdin=io.StringIO(TEXT),
            stdout=self.stdout,
            stderr=self.stderr,
            clock=FixedClock(),
            executor=lambda name: self.executor,
            machine=lambda: MACHINE,
        )

    @property
    def out(self) -> str:
        return self.stdout.getvalue()

    @property
    def err(self) -> str:
        return self.stderr.getvalue()


def play(*arguments: str) -> tuple[int, str, str]:
    """The exit code of a command, what it wrote, and what it wrote to stderr."""
    theatre = Theatre()
    code = main(arguments, theatre.world)
    return code, theatre.out, theatre.err
