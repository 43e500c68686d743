"""One file after it is read, and the files that its stages run: tree to pipeline, all mistakes.

    read_one ─> build ─> read_stage ─> Below.include ─> read_one ─> …

Each inner file is read once for each stage that runs it, since each gives it other params. It is
closed: neither ``defaults`` nor overlays nor ``--set`` of the outer file reach into it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pipeflow.config.build import Origin, build
from pipeflow.config.cursor import Findings
from pipeflow.config.file_tests import param_findings
from pipeflow.config.interpolate import Scope, fill
from pipeflow.config.literal import literal_paths
from pipeflow.config.meant import as_meant
from pipeflow.config.nodes import Map
from pipeflow.config.param_options import param_options
from pipeflow.config.params import Params, read_params
from pipeflow.config.problem import Problem
from pipeflow.config.reader import SUFFIXES, Document, read_file
from pipeflow.config.readings import with_readings
from pipeflow.config.shape import check_shape
from pipeflow.config.stage.part import Asked, params_by_with
from pipeflow.config.suggest import misspelt
from pipeflow.errors import Finding, Location
from pipeflow.spec.language import ROOT
from pipeflow.spec.pipeline import Pipeline
from pipeflow.spec.stage_type import StageType
from pipeflow.values import dataclass, field, replace

#: Files in files: more than anybody follows.
MOST_LEVELS: Final = 16

#: Files that are read for one pipeline: a file that runs another twice doubles what that runs.
MOST_FILES: Final = 500

#: Characters of all these files together.
MOST_TEXT: Final = 8_000_000

#: Mistakes of the stage that names a file, not of the file.
_NOT_THERE: Final = frozenset({"file-missing", "directory", "unreadable"})


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What is given to one file.

    Attributes:
        params: What ``--param`` says.
        sources: File name to text: the file with its overlays.
        found: What was found while these were read.
        by_stage: The stage of another file that runs this one.
    """

    params: Mapping[str, object]
    sources: Mapping[str, str]
    found: tuple[Finding, ...] = ()
    by_stage: Asked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class One:
    """What became of one file and those below it.

    Attributes:
        pipeline: As far as it could be made.
        findings: Everything found.
        sources: File name to text, for people: secrets hidden.
        params: Its parameters.
        tree: With its references filled in.
    """

    pipeline: Pipeline
    findings: tuple[Finding, ...]
    sources: Mapping[str, str]
    params: Params
    tree: Map


@dataclass(slots=True, kw_only=True)
class Inclusion:
    """What all files of one pipeline share.

    Attributes:
        environ: For ``${env.NAME}``; its ``PATH`` is where programs are looked for.
        stage_types: The operators there are.
        search_path: Where modules are looked for behind a file's folder.
        run_id: For ``${run.id}``.
        files: How many files were read below the first.
        text: How many characters they had.
    """

    environ: Mapping[str, str]
    stage_types: Mapping[str, StageType]
    search_path: Sequence[str]
    run_id: str
    files: int = 0
    text: int = 0

    @property
    def program_path(self) -> str:
        """Where programs are looked for."""
        return self.environ.get("PATH", os.defpath)

    def below(self, file: str, *, on_disk: bool) -> Below:
        """What stands below the first file."""
        return Below(self, file if on_disk else "", (_Level(file, os.path.realpath(file)),))


@dataclass(frozen=True, slots=True)
class _Level:
    """One of the files that lead to another: as it is shown, and as it is told from others."""

    shown: str
    real: str


@dataclass(slots=True)
class Below:
    """What one file includes; collects the texts of all files below it.

    Attributes:
        shared: What all files share.
        file: The file: others are looked for beside it; empty: here.
        levels: The files that led here, this one last.
        sources: File name to text, for people.
    """

    shared: Inclusion
    file: str
    levels: tuple[_Level, ...]
    sources: dict[str, str] = field(default_factory=dict)

    def include(self, ask: Asked, findings: Findings) -> Pipeline | None:
        """The file that a stage runs, or ``None`` when there is none to go on with."""
        named = str(ask.node.value)
        file = os.path.normpath(os.path.join(os.path.dirname(self.file), named))  # noqa: PTH118, PTH120 - shown as it is written, "../" resolved
        problem = self._refused(named, file)
        if problem is not None:
            findings.add(problem, ask.node.at, ask.node.length)
            return None
        self.shared.files += 1
        document = read_file(file, via=ask.node.at)
        self.shared.text += len(document.text)
        found = tuple(_at_the_name(each, ask) for each in document.findings)
        self.sources.setdefault(file, document.text)
        if document.root is None:
            findings.found += found
            return None
        one = read_one(
            document.root,
            self._origin(document, ask.node.at),
            AskedFor({}, {file: document.text}, found, ask),
            Below(self.shared, file, (*self.levels, _Level(file, os.path.realpath(file)))),
        )
        findings.found += one.findings
        self.sources |= one.sources
        return one.pipeline

    def _refused(self, named: str, file: str) -> Problem | None:
        if "${" in named:
            return Problem(
                code="bad-value",
                problem="${…} is not filled in here: 'pipeline' is the path of a file as it is",
                hint="write the path; `enabled` chooses between two stages",
            )
        if "\0" in named or not named.endswith(SUFFIXES):
            # Messages show lines of such a file, and no other is to be shown by them.
            folder = not named or os.path.isdir(file)  # noqa: PTH112 - "" is no Path
            kind = "the path of a file, and this is a folder" if folder else "a pipeline file"
            return Problem(
                code="bad-value",
                problem=f"'pipeline' must be {kind}",
                hint="its name ends in .yaml, .yml or .json",
            )
        if os.path.exists(file) and not os.path.isfile(file):  # noqa: PTH110, PTH113 - as above
            # A pipe or a terminal would be waited for.
            return Problem(
                code="unreadable",
                problem=f"'{file}' is no regular file",
                hint="a pipe or a device would be waited for: name a file on a disk",
            )
        real = os.path.realpath(file)
        circle = [level.shown for level in self.levels]
        if any(level.real == real for level in self.levels):
            first = next(n for n, level in enumerate(self.levels) if level.real == real)
            return Problem(
                code="recursive-pipeline",
                problem="a file cannot run itself: " + " -> ".join([*circle[first:], file]),
                hint="take one of these 'pipeline' out: it would never come to an end",
            )
        if len(self.levels) > MOST_LEVELS:
            return Problem(
                code="too-deep",
                problem=f"files in files, more than {MOST_LEVELS} levels deep",
                hint="a stage can run any file, so some of these levels can be left out",
            )
        if self.shared.files >= MOST_FILES or self.shared.text > MOST_TEXT:
            return Problem(
                code="too-many-files",
                problem=f"the stages of this pipeline run more than {MOST_FILES} files, or more "
                f"than {MOST_TEXT // 10**6} MB of them",
                hint="a file that runs another twice doubles all that the other runs",
            )
        return None

    def _origin(self, document: Document, via: Location) -> Origin:
        place = Path(document.file)
        return Origin(
            file=document.file,
            stem=place.stem,
            folder=str(place.absolute().parent),
            search_path=self.shared.search_path,
            program_path=self.shared.program_path,
            via=via,
        )


def read_one(tree: Map, origin: Origin, asked: AskedFor, below: Below) -> One:
    """From the tree of a file to its pipeline."""
    shared = below.shared
    tree, slips = as_meant(tree, shared.stage_types)
    scope = Scope(
        environ=shared.environ,
        folder=origin.folder,
        run_id=shared.run_id,
        sources=asked.sources,
    )
    known = _params(tree, origin, asked, scope)
    lost = "params" not in tree and misspelt("params", tree, ROOT)
    scope = replace(
        scope,
        params=known.nodes,
        failed=known.failed,
        params_lost=lost,
        shared=_shared_names(tree),
    )
    if known.settings:
        declared = with_readings(tree, known.settings)
        assert isinstance(declared, Map)
        tree = declared
    tree, unfilled = fill(tree, scope, literal_paths(tree, shared.stage_types))
    # A file that is used as a stage gets its params from there.
    part = asked.by_stage is None and ("inputs" in tree or "outputs" in tree)
    lacking = tuple(each for each in known.findings if part and each.code == "missing-param")
    findings = [
        *asked.found,
        *slips,
        *(each for each in known.findings if each not in lacking),
        *unfilled,
    ]
    if asked.by_stage is None:
        findings += param_findings(tree.get("tests"), tree.get("params"), scope)
    shape = check_shape(tree, shared.stage_types)
    pipeline, wrong_values = build(
        shape.tree,
        shape.wrong,
        origin=origin,
        stage_types=shared.stage_types,
        include=below.include,
        parameters=known.values,
        secrets=known.secrets,
    )
    findings += _news(findings, [*shape.findings, *wrong_values])
    own = {file: known.masked(file, text) for file, text in asked.sources.items()}
    return One(
        pipeline=replace(
            pipeline, lacking=lacking, declared=param_options(shape.tree.get("params"))
        ),
        findings=tuple(findings),
        sources=own | below.sources,
        params=known,
        tree=shape.tree,
    )


def _params(tree: Map, origin: Origin, asked: AskedFor, scope: Scope) -> Params:
    if asked.by_stage is None:
        return read_params(tree.get("params"), asked.params, scope)
    return params_by_with(tree.get("params"), origin.file, asked.by_stage, scope)


def _shared_names(tree: Map) -> tuple[str, ...] | None:
    """What ``shared`` declares; ``None``: a mistake hides it."""
    block = tree.get("shared")
    if isinstance(block, Map):
        return block.keys()
    return None if block is not None or misspelt("shared", tree, ROOT) else ()


def _at_the_name(finding: Finding, ask: Asked) -> Finding:
    """A file that is not there is the mistake of the stage that names it."""
    if finding.code not in _NOT_THERE:
        return finding
    return replace(finding, at=ask.node.at, length=ask.node.length)


def _news(said: Iterable[Finding], more: Sequence[Finding]) -> list[Finding]:
    """Those of the later steps that are not about a value of which an earlier step spoke.

    One mistake earns one message: a reference that cannot be filled in is also no number.
    """
    spoken = tuple(said)
    return [new for new in more if not any(_same_value(new, old) for old in spoken)]


def _same_value(one: Finding, other: Finding) -> bool:
    """Whether two findings underline some of the same characters."""
    a, b = one.at, other.at
    if (a.file, a.line) != (b.file, b.line):
        return False
    return a.column < b.column + other.length and b.column < a.column + one.length
