"""What may not stand beside ``pipeline`` in a stage: the processes are those of another file."""

from __future__ import annotations

from collections.abc import Iterator

from pipeflow.config.nodes import Map, TreePath
from pipeflow.errors import Finding
from pipeflow.spec.language import BESIDE_PIPELINE, STAGE

_WORK = frozenset({"call", "use", "run"})


def beside_pipeline(path: TreePath, node: Map) -> Iterator[tuple[TreePath, Finding]]:
    """Each key of a stage that runs another file and says what only that file can say.

    Args:
        path: Of the stage.
        node: The stage.
    """
    for entry in node.entries:
        key = entry.key
        if key in BESIDE_PIPELINE or STAGE.option(key) is None:
            continue
        if key in _WORK:
            code, problem = "call-or-use", f"stage '{path[-1]}' has both 'pipeline' and '{key}'"
            hint = f"'pipeline' is another file, '{key}' work of this one: keep one of them"
        else:
            code = "beside-pipeline"
            problem = f"stage '{path[-1]}' runs another file, so it has no '{key}' of its own"
            hint = (
                f"write '{key}' in that file, where it is due; what differs from use to use can "
                "be one of its params, given by 'with'"
            )
        finding = Finding(
            at=entry.key_at, code=code, problem=problem, hint=hint, length=entry.key_length
        )
        yield (*path, key), finding
