"""Runs one stage on a list of items, as pipeflow would run it, in the process of the test."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from pipeflow.errors import Location, PipeflowError, StageFailed
from pipeflow.spec.language import NAME_PATTERN
from pipeflow.spec.pipeline import Call, Edge, Pipeline, PortRef, Stage
from pipeflow.spec.ports import ERRORS, OUT
from pipeflow.spec.shapes import Shape
from pipeflow.spec.shared import DTYPES, Shared, SharedKind
from pipeflow.spec.stage_type import CallFacts
from pipeflow.stages.author import STREAM_MARK
from pipeflow.values import replace

if TYPE_CHECKING:
    from pipeflow.telemetry.report import Report

_HERE: Final = "pipeflow.testing.stand_ins"


class Emitted(list[Any]):
    """What a stage gave on its port ``out``, in order; equal to a list with the same items.

    Attributes:
        ids: The id of each item: ``"items:0"``.
        ports: Name of each port to what it gave; ``errors`` if ``on_error`` is ``dead_letter``.
        report: The account of the run.
    """

    def __init__(self, ids: Sequence[str], ports: Mapping[str, list[Any]], report: Report) -> None:
        super().__init__(ports[OUT])
        self.ids, self.ports, self.report = tuple(ids), dict(ports), report


def run_stage(
    target: Callable[..., Any],
    items: Iterable[Any] | Mapping[str, Iterable[Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
    /,
    **parameters: Any,
) -> Emitted:
    """Run a function or class as a stage, on a list of items.

    As in ``assert run_stage(shrink, [photo], width=64)[0].shape == (64, 64)``. It runs inline,
    with all that a run does: parameters become what the annotations say, ``None`` means nothing,
    iterators mean many, arrays are read-only, items are copies, ``finish`` and ``close``
    are called.

    Args:
        target: The function, stream function or class.
        items: What comes in; a mapping with a list for each named input; ``None``: it is a source.
        settings: Keys of a stage, as a file has them: ``{"on_error": "dead_letter"}``.
        parameters: What would stand under ``with``.

    Raises:
        StageFailed: The stage has failed; it bears the stage's own traceback.
        InvalidPipeline: The settings are wrong.
    """
    from pipeflow.planner.make import make_plan
    from pipeflow.runtime.machine import read_machine
    from pipeflow.stages.importing import forget
    from pipeflow.testing.silent_run import run_silently
    from pipeflow.testing.stand_ins import handed_over

    name = _name_of(target)
    pipeline = _skeleton(name, items, settings or {})
    ports = _ports(pipeline, name)
    with ExitStack() as stack:
        call = stack.enter_context(handed_over(target))
        stack.callback(forget)
        plan = make_plan(_filled(pipeline, name, items, call, target, parameters), read_machine())
        report, came = run_silently(plan, ports)
    if report.errors:
        raise _failure(report)
    names = [stage.name for stage in plan.stages]
    records: dict[str, list[Any]] = {port: list(came[port]) for port in ports}
    return Emitted(
        [_id_text(item_id, names) for item_id, _ in records[OUT]],
        {port: [item for _, item in records[port]] for port in ports},
        report,
    )


def shared_state(
    kind: str,
    *,
    dtype: str = "int64",
    shape: int | Sequence[int] = (),
    value: bool | float = 0,
    name: str = "shared",
) -> Any:
    """Make an object as stages get it for ``${shared.x}``, to hand to a function in a test.

    Args:
        kind: ``dict``, ``list``, ``value`` or ``array``.
        dtype: Element type of a value or an array.
        shape: Of an array.
        value: What a value is at first, and each element of an array.
        name: What errors call it.

    Raises:
        ValueError: There is no such kind or element type.
    """
    from pipeflow.stages.shared_state import InlineShares

    if dtype not in DTYPES:
        raise ValueError(f"there is no element type {dtype!r}; there are {', '.join(DTYPES)}")
    axes = (shape,) if isinstance(shape, int) else tuple(shape)
    state = Shared(
        name=name,
        kind=SharedKind(kind),
        at=Location("<test>", 1, 1),
        dtype=dtype,
        shape=axes,
        value=value,
    )
    return InlineShares((state,)).give(name, "test")


def _name_of(target: Callable[..., Any]) -> str:
    name = str(getattr(target, "__name__", type(target).__name__))
    taken = name.casefold() == "items"
    return name if re.fullmatch(NAME_PATTERN, name) and not taken else "stage"


def _skeleton(
    name: str,
    items: Iterable[Any] | Mapping[str, Iterable[Any]] | None,
    settings: Mapping[str, Any],
) -> Pipeline:
    """A pipeline in which something stands for the stage, so that its settings are read."""
    from pipeflow.api import load

    stage: dict[str, Any] = {"call": f"{_HERE}:passed_on", **settings}
    stages: dict[str, Any] = {name: stage}
    if items is None:
        stage["call"], stage["with"] = f"{_HERE}:given", {"items": []}
    else:
        sources = {each: each for each in items} if isinstance(items, Mapping) else "items"
        stage["inputs"] = sources
        for source in [sources] if isinstance(sources, str) else sources:
            stages[source] = {"call": f"{_HERE}:given", "with": {"items": []}}
    if settings.get("on_error") == "dead_letter" or "dead_letter" in str(settings.get("on_error")):
        stages["letters"] = {"use": "null", "inputs": f"{name}.{ERRORS}"}
    return load({"name": "test", "stages": stages})


def _ports(pipeline: Pipeline, name: str) -> list[str]:
    stage = next(each for each in pipeline.stages if each.name == name)
    letters = [ERRORS] if any(each.name == "letters" for each in pipeline.stages) else []
    return [OUT, *stage.outputs, *letters]


def _filled(
    pipeline: Pipeline,
    name: str,
    items: Iterable[Any] | Mapping[str, Iterable[Any]] | None,
    call: str,
    target: Callable[..., Any],
    parameters: Mapping[str, Any],
) -> Pipeline:
    """The pipeline with the stage itself in its place, what comes in, and what keeps results."""
    module, _, attribute = call.partition(":")
    work = Call(module=module, attribute=attribute, facts=_facts(target))
    stages: list[Stage] = []
    for stage in pipeline.stages:
        if stage.name == name:
            made = replace(stage, work=work, parameters=dict(parameters))
            stages += [made, *_noters(made, _ports(pipeline, name))]
        elif stage.name != "letters":
            given = items[stage.name] if isinstance(items, Mapping) else items
            stages.append(replace(stage, parameters={"items": list(given or ())}))
    return replace(pipeline, stages=tuple(stages))


def _noters(stage: Stage, ports: Iterable[str]) -> Iterator[Stage]:
    for port in ports:
        facts = CallFacts(shape=Shape.CLASS, answers=False)
        yield Stage(
            name=f"what '{port}' gives",
            at=stage.at,
            work=Call(module=_HERE, attribute="Noter", facts=facts),
            work_at=stage.at,
            parameters={"collection": port},
            edges=(Edge(source=PortRef(stage.name, port), at=stage.at),),
            replicas_at=stage.at,
            partition_at=stage.at,
            on_error_at=stage.at,
        )


def _facts(target: Callable[..., Any]) -> CallFacts:
    """What its source says, if it can be found by name; else what the object shows."""
    from pipeflow.config.source import inspect_call

    qualified = getattr(target, "__qualname__", "")
    module = getattr(target, "__module__", "") or ""
    if "<" not in qualified and getattr(sys.modules.get(module), qualified, None) is target:
        found = inspect_call(f"{module}:{qualified}", os.getcwd(), sys.path)  # noqa: PTH109 - as the path has it
        if hasattr(found, "facts"):
            return found.facts
    if inspect.isclass(target):
        keeps = hasattr(target, "finish") or hasattr(target, "snapshot")
        return CallFacts(shape=Shape.CLASS, keeps_state=keeps)
    if getattr(target, STREAM_MARK, False):
        return CallFacts(shape=Shape.STREAM, keeps_state=True, yields=True)
    return CallFacts()


def _id_text(item_id: tuple[int, ...], names: Sequence[str]) -> str:
    return f"{names[item_id[0]]}:" + ".".join(map(str, item_id[1:])) if item_id else ""


def _failure(report: Report) -> PipeflowError:
    error = report.errors[0]
    failed = StageFailed(error.stage, error.item, error.type, error.message, error.traceback)
    if error.traceback:
        failed.add_note(error.traceback.rstrip())
    return failed
