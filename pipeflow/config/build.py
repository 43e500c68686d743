"""From the checked tree to a ``Pipeline``: frozen values, every place kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial

from pipeflow.config.cursor import Cursor, Findings
from pipeflow.config.file_tests import read_tests
from pipeflow.config.nodes import Map, TreePath
from pipeflow.config.ports import read_ports
from pipeflow.config.shared import read_shared
from pipeflow.config.source import hidden_modules, inspect_call
from pipeflow.config.stage.broken import broken_stage
from pipeflow.config.stage.defaults import read_defaults
from pipeflow.config.stage.part import Asked, secrets_of
from pipeflow.config.stage.read import read_stage
from pipeflow.config.stage.surroundings import Surroundings
from pipeflow.errors import Finding, Location
from pipeflow.spec.language import VERSION
from pipeflow.spec.pipeline import Call, Pipeline, Stage
from pipeflow.spec.policies import Limits
from pipeflow.spec.stage_type import StageType
from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a pipeline comes from.

    Attributes:
        file: The path as the user gave it.
        stem: The name of a pipeline that has none.
        folder: The file's folder, absolute.
        search_path: Where modules are looked for after the folder.
        program_path: Where programs are looked for: ``PATH``.
        via: Where another file names it, if one does.
    """

    file: str
    stem: str
    folder: str
    search_path: Sequence[str]
    program_path: str = ""
    via: Location | None = None


def build(
    tree: Map,
    wrong: Collection[TreePath],
    *,
    origin: Origin,
    stage_types: Mapping[str, StageType],
    include: Callable[[Asked, Findings], Pipeline | None],
    parameters: Mapping[str, object],
    secrets: Sequence[str],
) -> tuple[Pipeline, tuple[Finding, ...]]:
    """Make the pipeline as far as the tree allows, and say what is wrong with its values.

    Args:
        tree: The file with overlays, ``--set`` and references filled in.
        wrong: Paths that the shape check refused; they read as if they were not there.
        origin: Where it comes from.
        stage_types: The operators there are.
        include: Reads the file that a stage runs.
        parameters: The values of ``params``, secrets left out.
        secrets: Texts that must never be shown.
    """
    findings = Findings()
    root = Cursor(tree, (), wrong, findings)
    around = Surroundings(
        look_up=cache(partial(inspect_call, folder=origin.folder, search_path=origin.search_path)),
        stage_types=stage_types,
        program_path=origin.program_path,
        include=include,
        defaults=read_defaults(root.inner("defaults")),
    )
    start = Location(origin.file, 1, 1, origin.via)
    ports = read_ports(root)
    limits = root.inner("limits")
    stages = _stages(root, around)
    stages_at = _key_place(tree, "stages", start)
    _warn_of_hidden_modules(findings, origin.folder, stages, stages_at)
    pipeline = Pipeline(
        name=root.text("name") or origin.stem,
        file=origin.file,
        folder=origin.folder,
        version=root.integer("version") or VERSION,
        description=root.text("description"),
        stages=stages,
        stages_at=stages_at,
        limits=_limits(limits),
        limits_at=_key_place(tree, "limits", start),
        shared=read_shared(root),
        parameters=parameters,
        secrets=secrets_of([stage.inner for stage in stages if stage.inner], secrets),
        tests=read_tests(root),
        inputs=ports.inputs,
        outputs=ports.outputs,
        ports_at=ports.at,
        ports_known=ports.whole,
    )
    return pipeline, tuple(findings.found)


def _stages(root: Cursor, around: Surroundings) -> tuple[Stage, ...]:
    stages = root.inner("stages")
    if stages is None:
        return ()
    made: list[Stage] = []
    seen: dict[str, Stage] = {}
    for entry in stages.node.entries:
        if (*stages.path, entry.key) in stages.wrong or not isinstance(entry.value, Map):
            # Its edges are unknown, but others may read from it.
            made.append(broken_stage(entry))
            continue
        stage = read_stage(entry, stages.at(entry.value, entry.key), around)
        twin = seen.setdefault(entry.key.casefold(), stage)
        if twin is not stage:
            stages.findings.error(
                entry,
                "duplicate-name",
                f"stage names '{twin.name}' (line {twin.at.line}) and '{entry.key}' "
                "differ in case alone",
                "give one of them another name",
            )
        made.append(stage)
    return tuple(made)


def _warn_of_hidden_modules(
    findings: Findings, folder: str, stages: Sequence[Stage], at: Location
) -> None:
    """The folder comes first on the path of every worker that runs the user's own code."""
    if not any(isinstance(stage.work, Call) for stage in stages):
        return
    told = {finding.problem for finding in findings.found}
    for problem in hidden_modules(folder):
        if problem.problem not in told:
            findings.add(problem, at, len("stages"))


def _limits(cursor: Cursor | None) -> Limits:
    if cursor is None:
        return Limits()
    return Limits(
        memory=cursor.size("memory"),
        processes=cursor.integer("processes"),
        memory_at=_value_place(cursor, "memory"),
        processes_at=_value_place(cursor, "processes"),
    )


def _value_place(cursor: Cursor, key: str) -> Location | None:
    node = cursor.get(key)
    return None if node is None else node.at


def _key_place(tree: Map, key: str, default: Location) -> Location:
    entry = tree.entry(key)
    return default if entry is None else entry.key_at
