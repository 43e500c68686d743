"""From a file, its overlays and the command line to a pipeline: all steps, all mistakes at once.

    read ─> lay over ─> --set ─> params ─> fill in ${…} ─> shape ─> build ─> Pipeline
      └──────────┴─────────┴────────┴───────────┴────────────┴────────┴───> findings

No step stops the next: what is wrong is left out, and the rest is looked at. A file that a stage
runs goes the same way while that stage is built (``inclusion``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from pipeflow.config.build import Origin
from pipeflow.config.inclusion import AskedFor, Inclusion, One, read_one
from pipeflow.config.nodes import FROM_PARAM, FROM_SET, Map
from pipeflow.config.overlay import lay_over, set_value
from pipeflow.config.reader import Document, from_mapping, read_file, read_text
from pipeflow.errors import Finding, by_place, errors_of
from pipeflow.spec.pipeline import Pipeline
from pipeflow.spec.stage_type import StageType
from pipeflow.telemetry.masking import MASK, masker
from pipeflow.values import dataclass, field, replace

Source: TypeAlias = str | os.PathLike[str] | Mapping[str, object]

#: The path that means standard input, and what it is called in findings.
STDIN: Final = "-"
FROM_STDIN: Final = "<stdin>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What became of a file.

    Attributes:
        pipeline: As far as it could be made: enough for the planner to look at the graph, even
            when there are mistakes; ``None`` when there is no file, or no mapping in it.
        findings: Everything found, sorted by place.
        sources: File name to its text, for the line and caret under a finding.
        resolved: The tree with overlays, ``--set`` and references filled in.
        complete: There is no mistake, and the pipeline says all that the file says.
    """

    pipeline: Pipeline | None = None
    findings: tuple[Finding, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    resolved: Map | None = None
    complete: bool = False


def load(
    path: Source,
    *,
    overlays: Sequence[str | os.PathLike[str]] = (),
    sets: Sequence[str] = (),
    params: Mapping[str, object] | None = None,
    environ: Mapping[str, str],
    stage_types: Mapping[str, StageType],
    search_path: Sequence[str] | None = None,
    stdin_text: str | None = None,
    text: str | None = None,
    run_id: str = "",
) -> Loaded:
    """Load a pipeline; never raises for what a file says, and never runs the user's code.

    Args:
        path: The file, ``"-"`` for ``stdin_text``, or a mapping that is one already.
        overlays: Files that are laid over it, in this order.
        sets: Single values, as ``stages.shrink.replicas=4``.
        params: ``--param`` as name to text, or ``pipeflow.run(params=...)`` as name to value.
        environ: For ``${env.NAME}``, and for the ``PATH`` of programs.
        stage_types: The operators there are.
        search_path: Where modules are looked for behind the file's folder; or ``sys.path``.
        stdin_text: The text of the file if ``path`` is ``"-"``.
        text: What stands for the content of the file: an editor has changed it and not saved.
        run_id: For ``${run.id}``; a new one if empty.
    """
    document = _read(path, stdin_text, text)
    documents = [document, *(read_file(overlay) for overlay in overlays)]
    findings = [finding for one in documents for finding in one.findings]
    sources = {one.file: one.text for one in documents}
    if sets:
        sources[FROM_SET] = "\n".join(text.replace("\n", " ") for text in sets)
    if document.root is None:
        return Loaded(findings=by_place(findings), sources=sources)
    tree, more = _laid_over(document.root, documents[1:], sets)
    inclusion = Inclusion(
        environ=environ,
        stage_types=stage_types,
        search_path=sys.path if search_path is None else search_path,
        run_id=run_id or os.urandom(6).hex(),
    )
    origin = replace(
        _origin(path, document, inclusion.search_path), program_path=inclusion.program_path
    )
    asked_for = AskedFor(params or {}, sources, (*findings, *more))
    loaded = read_one(tree, origin, asked_for, inclusion.below(origin.file, on_disk=_on_disk(path)))
    return _without_secrets(loaded, inclusion.run_id, sets, params or {})


def _without_secrets(
    read: One, run_id: str, sets: Sequence[str], params: Mapping[str, object]
) -> Loaded:
    """What became of a file, as it may be shown.

    Args:
        read: What was read.
        run_id: What its run is called.
        sets: As for ``load``.
        params: Likewise.
    """
    sources = dict(read.sources)
    if sets:
        sources[FROM_SET] = _without_params(sets)
    if params:
        sources[FROM_PARAM] = read.params.as_given(params)
    masked = masker(read.pipeline.secrets)
    findings = [
        replace(each, problem=masked(each.problem), hint=masked(each.hint))
        for each in read.findings
    ]
    return Loaded(
        pipeline=replace(read.pipeline, run_id=run_id),
        findings=by_place(findings),
        sources=sources,
        resolved=read.tree,
        complete=not errors_of(findings),
    )


def resolved_yaml(loaded: Loaded) -> str:
    """The resolved file as YAML; secrets are shown as ``***``.

    Raises:
        ValueError: There is no pipeline to show.
    """
    if loaded.resolved is None or loaded.pipeline is None:
        raise ValueError("what could not be loaded cannot be shown")
    from pipeflow.config.show import show  # it writes YAML, for which all of PyYAML is loaded

    return show(loaded.resolved, loaded.pipeline)


def _read(path: Source, stdin_text: str | None, text: str | None) -> Document:
    if isinstance(path, Mapping):
        return from_mapping(path)
    if text is not None:
        return read_text(text, os.fspath(path))
    if os.fspath(path) == STDIN:
        return read_text(stdin_text or "", FROM_STDIN)
    return read_file(path)


def _origin(path: Source, document: Document, search_path: Sequence[str]) -> Origin:
    place = Path(document.file) if _on_disk(path) else Path.cwd() / "pipeline"
    return Origin(
        file=document.file,
        stem=place.stem,
        folder=str(place.absolute().parent),
        search_path=search_path,
    )


def _on_disk(path: Source) -> bool:
    return not isinstance(path, Mapping) and os.fspath(path) != STDIN


def _without_params(sets: Sequence[str]) -> str:
    """What ``--set`` says, a line each; values that are set for parameters may be secret."""
    shown = (text.replace("\n", " ") for text in sets)
    return "\n".join(
        text.partition("=")[0] + "=" + MASK if text.startswith("params.") else text
        for text in shown
    )


def _laid_over(
    tree: Map, overlays: Sequence[Document], sets: Sequence[str]
) -> tuple[Map, list[Finding]]:
    """The tree below its overlays and single values, and which of those could not be set."""
    for overlay in overlays:
        if overlay.root is not None:
            tree = lay_over(tree, overlay.root)
    findings = []
    for number, text in enumerate(sets, 1):
        changed = set_value(tree, text, number)
        if isinstance(changed, Finding):
            findings.append(changed)
        else:
            tree = changed
    return tree, findings
