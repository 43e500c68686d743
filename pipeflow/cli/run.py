"""``pipeflow run``: plan, run, tell, report."""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, TextIO

from pipeflow.api import EXECUTORS
from pipeflow.cli.arguments import (
    Command,
    add_file,
    add_fuse,
    add_later,
    add_settings,
    duration,
    suggestion,
    whole_number,
)
from pipeflow.cli.world import Exit, World
from pipeflow.errors import Finding, UsageError

# What follows is imported where it is used: the launch server starts before that.
if TYPE_CHECKING:
    from pipeflow.cli.displays import Display
    from pipeflow.cli.narrator import Narrator
    from pipeflow.executors.base import Executor
    from pipeflow.planner.plan import Plan
    from pipeflow.spec.pipeline import Pipeline
    from pipeflow.telemetry.events import Event
    from pipeflow.telemetry.report import Report

#: Items that --until prints when --take does not say.
FEW: Final = 10


def _add(parser: argparse.ArgumentParser) -> None:
    add_file(parser)
    add_settings(parser)
    add = parser.add_argument
    add("--executor", default="local", metavar="NAME", help="local (a process each) or inline")
    add("--report", metavar="FILE", help="write what the run did as JSON")
    add("--events", metavar="FILE", help="write what happens as JSON lines, as it happens")
    add("--quiet", action="store_true", help="show no progress")
    add(
        "--grace",
        type=duration,
        default=30.0,
        metavar="TIME",
        help="time for a source in a blocking call when the run is drained, and for which nothing"
        " may move then (30s)",
    )
    add(
        "--start-timeout",
        type=duration,
        default=300.0,
        metavar="TIME",
        help="time for a stage to be imported and built (5m; 0s: any)",
    )
    add(
        "--stuck-after",
        type=duration,
        default=60.0,
        metavar="TIME",
        help="say who is where when nothing has moved for so long (1m; 0s: never)",
    )
    add(
        "--seed", type=whole_number(0), default=0, metavar="N", help="where pipeflow.rng begins (0)"
    )
    add(
        "--start-method",
        choices=("fork", "forkserver", "spawn"),
        default="",
        help="how worker processes are started",
    )
    add_fuse(parser)
    add("--until", metavar="STAGE", help="run only what leads to a stage, print its first items")
    add("--take", type=whole_number(1), metavar="N", help=f"how many items --until prints ({FEW})")
    for option in ("--resume", "--dashboard"):
        add_later(parser, option)


def _execute(arguments: argparse.Namespace, world: World) -> int:
    _check(arguments)
    # Before the machine is looked at: nothing is left behind if this raises.
    executor = world.executor(arguments.executor)
    with _warm(executor, arguments.start_method, world):
        return _run(arguments, world, executor)


@contextmanager
def _warm(executor: Executor, start_method: str, world: World) -> Iterator[None]:
    """Let an executor that takes a while begin while the file is read; end what was not needed."""
    from pipeflow.executors.local import LocalExecutor

    if not isinstance(executor, LocalExecutor):
        yield
        return
    executor.warm(start_method, pristine=world.pristine)
    try:
        yield
    finally:
        executor.close()


def _run(arguments: argparse.Namespace, world: World, executor: Executor) -> int:
    from pipeflow.cli.reading import doubts, read_file, show_findings, with_sources

    reading = read_file(arguments.file, arguments, world, _expect(executor, arguments))
    pipeline = reading.require()
    if arguments.until is not None:
        pipeline = _cut(pipeline, arguments.until, arguments.take or FEW)
    with with_sources(reading):
        plan = _plan(pipeline, world, fusion=arguments.fuse)
    _prepare(executor, plan)
    # Imported while the launch server imports what the stages share.
    from pipeflow.cli.displays import Quiet
    from pipeflow.cli.signals import signals_passed_over
    from pipeflow.executors.base import RunOptions

    cut = arguments.until is not None
    meant = tuple(_meant(doubts(reading, plan), cut=cut))
    show_findings(meant, reading.sources, world)
    with ExitStack() as owned:
        events = None
        if arguments.events is not None:
            from pipeflow.cli.records import EventFile

            events = EventFile(arguments.events, world.clock, plan.secrets)
            owned.callback(events.close)
        display = _display(plan, arguments.quiet, world)
        owned.callback(display.close)
        narrator = _narrator(display, plan, reading.sources, world)

        def listener(event: Event) -> None:
            if events is not None:
                events.write(event)
            narrator(event)

        with ExitStack() as printing:
            stdout_fd = printing.enter_context(_stdout_fd(display, plan, world))
            if arguments.executor == "inline" and stdout_fd == _descriptor(world.stdout):
                from pipeflow.cli.stray import stray_to_stderr

                apart = stray_to_stderr(world.stdout, _descriptor(world.stderr))
                stdout_fd = printing.enter_context(apart)
            options = RunOptions(
                seed=arguments.seed,
                grace_s=arguments.grace,
                start_s=arguments.start_timeout,
                still_s=arguments.stuck_after,
                start_method=arguments.start_method,
                log_level=arguments.log_level,
                stdout_fd=stdout_fd,
                progress_s=0.0 if arguments.quiet else 0.25,
            )
            gc.freeze()  # all that was loaded for the start
            gc.enable()
            report = executor.run(plan, options, listener)
            owned.enter_context(signals_passed_over())
        display.close()
        _conclude(report, plan, narrator, Quiet(world.stderr), quiet=arguments.quiet)
        if events is not None and events.trouble:
            world.say(f"pipeflow: warning: {events.trouble}")
        return _record(report, arguments.report, plan.secrets, world)


def _expect(executor: Executor, arguments: argparse.Namespace) -> Callable[[Pipeline], None] | None:
    """What may be done for a pipeline before it is planned; of a part of it nothing is known."""
    from pipeflow.executors.local import LocalExecutor

    whole = arguments.until is None
    return executor.expect if whole and isinstance(executor, LocalExecutor) else None


def _prepare(executor: Executor, plan: Plan) -> None:
    from pipeflow.executors.local import LocalExecutor

    if isinstance(executor, LocalExecutor):
        executor.prepare(plan)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what can be refused before the file is read.

    Raises:
        UsageError: An option cannot be, or its file cannot be written.
    """
    name = arguments.executor
    if name not in EXECUTORS:
        if name == "ray":
            raise UsageError("'--executor ray' comes in a later version; there are local, inline")
        meant = suggestion(name, EXECUTORS)
        raise UsageError(f"there is no executor '{name}'{meant or '; there are local, inline'}")
    if arguments.take is not None and arguments.until is None:
        raise UsageError("--take goes with --until STAGE: whose items are to be taken?")
    if arguments.report is not None:
        from pipeflow.cli.records import check_report_path

        check_report_path(arguments.report)
    if arguments.events is not None:
        from pipeflow.cli.records import require_folder

        require_folder("--events", arguments.events)


def _cut(pipeline: Pipeline, target: str, count: int) -> Pipeline:
    from pipeflow.cli.until import until
    from pipeflow.planner.expand import expand, port_in
    from pipeflow.stages.registry import stage_types

    expanded = expand(pipeline)
    port = str(port_in(expanded, target))
    return until(expanded.pipeline, port, count, stage_types=stage_types())


def _plan(pipeline: Pipeline, world: World, *, fusion: bool) -> Plan:
    from pipeflow.planner.make import make_plan

    return make_plan(pipeline, world.machine(), fusion=fusion)


def _meant(warnings: Sequence[Finding], *, cut: bool) -> Iterator[Finding]:
    """Warnings about the file as it is; what --until cut off is not read any more on purpose."""
    return (each for each in warnings if not (cut and each.code == "unread-output"))


def _display(plan: Plan, quiet: bool, world: World) -> Display:
    from pipeflow.cli.displays import Plain, Quiet
    from pipeflow.cli.wording import in_one_line

    if quiet:
        return Quiet(world.stderr)
    name = in_one_line(plan.pipeline)
    sources = {stage.name for stage in plan.stages if not stage.edges_in}
    if not world.stderr.isatty() or world.environ.get("TERM") == "dumb":
        return Plain(world.stderr, name, sources)
    from rich.console import Console

    from pipeflow.cli.live import LiveTable

    return LiveTable(Console(file=world.stderr), name, sources)


def _narrator(display: Display, plan: Plan, sources: Mapping[str, str], world: World) -> Narrator:
    from pipeflow.cli.failure import FailureTeller
    from pipeflow.cli.narrator import Narrator
    from pipeflow.cli.reading import wants_color
    from pipeflow.spec.policies import OnError
    from pipeflow.telemetry.masking import masker

    def render(finding: Finding, texts: Mapping[str, str]) -> str:
        from pipeflow.config.render import render_text

        return render_text((finding,), texts, color=wants_color(world.stderr, world))

    teller = FailureTeller(plan=plan, sources=sources, render=render)
    return Narrator(
        display,
        replicas={stage.name: stage.replicas for stage in plan.stages},
        skipping={each.name for each in plan.stages if each.on_error.then is OnError.SKIP},
        masked=masker(plan.secrets),
        failure=teller.text,
        looks=wants_color(world.stderr, world),
    )


@contextmanager
def _stdout_fd(display: Display, plan: Plan, world: World) -> Iterator[int]:
    """Where stages print: standard output, or a way around a live table on the same terminal."""
    from pipeflow.cli.displays import Quiet

    direct = _descriptor(world.stdout)
    live = not isinstance(display, Quiet)
    if direct is None:
        # Started without standard output (``>&-``): what is printed goes nowhere.
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path of ours
            yield nowhere.fileno()
        return
    if not (live and _prints(plan) and _same_terminal(direct, _descriptor(world.stderr))):
        yield direct
        return
    from pipeflow.cli.pump import Pump
    from pipeflow.telemetry.masking import escape_but_looks

    # A worker sees a pipe here, and does not know that a terminal comes next.
    pump = Pump(lambda text: display.say(escape_but_looks(text)))
    try:
        yield pump.fd
    finally:
        pump.close()


def _prints(plan: Plan) -> bool:
    return any(
        stage.operator == "print" or stage.parameters.get("path") == "-" for stage in plan.stages
    )


def _same_terminal(first: int | None, second: int | None) -> bool:
    if first is None or second is None or not os.isatty(first):
        return False
    return os.fstat(first).st_rdev == os.fstat(second).st_rdev


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None  # a stand-in that lives in memory, or a closed stream


def _conclude(
    report: Report, plan: Plan, narrator: Narrator, display: Display, *, quiet: bool
) -> None:
    """Say how it ended: what was not told yet, doubts, and the summary."""
    from pipeflow.cli.outputs import outputs, unfinished
    from pipeflow.cli.summary import doubts, summary
    from pipeflow.telemetry.report import Status

    if report.run.status is Status.FAILED and report.errors:
        narrator.fail(report.errors[0])
    for finding in report.ledger.findings:
        display.say(f"pipeflow: error: the ledger does not balance: {finding}")
    if report.run.status is Status.SUCCEEDED:
        for doubt in doubts(report, plan):
            display.say(f"pipeflow: warning: {doubt}")
    for left in unfinished(report, plan):
        display.say(f"pipeflow: {left}")
    if not quiet:
        for written in outputs(report, plan):
            display.say(written)
        display.say(summary(report, plan))


def _record(report: Report, path: str | None, secrets: Sequence[str], world: World) -> int:
    """Write the report, and give the exit code."""
    code = report.run.exit_code
    if not report.ledger.balanced and code == Exit.DONE:
        code = Exit.FAILED
    if path is not None:
        from pipeflow.cli.records import write_report
        from pipeflow.telemetry.export import report_json

        try:
            write_report(path, report_json(report, secrets))
        except OSError as error:
            world.say(f"pipeflow: error: --report {path}: {error.strerror or error}")
            return code or Exit.FAILED
    return code


COMMAND: Final = Command(
    name="run",
    help="run a pipeline file",
    add=_add,
    execute=_execute,
)
