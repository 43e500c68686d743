"""A misspelt key of the language, read as the key that was meant, so that what it holds is judged.

Its own finding is made here; later steps see the right key. Words of other tools (``steps``) are
left alone: what they hold may have another form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeflow.config.nodes import Entry, Map, TreePath
from pipeflow.errors import Finding
from pipeflow.spec.language import ROOT
from pipeflow.spec.stage_type import StageType
from pipeflow.spec.table import Table
from pipeflow.suggest import did_you_mean
from pipeflow.values import replace

#: A stage has one of these: a word near one of them is no second one.
_WORKS: Final = frozenset({"call", "use", "run", "pipeline"})


def as_meant(tree: Map, stage_types: Mapping[str, StageType]) -> tuple[Map, tuple[Finding, ...]]:
    """The tree with slips in keys mended at the top, in stages and in params; and what they are."""
    findings: list[Finding] = []

    def mended(node: Map, path: TreePath, table: Table) -> Map:
        entries = []
        for entry in node.entries:
            meant = _meant(entry, node, table)
            if meant is not None:
                findings.append(_unknown(tree, stage_types, path, entry))
                entry = replace(entry, key=meant)  # noqa: PLW2901 - the same entry, read right
            entries.append(entry)
        return replace(node, entries=tuple(entries))

    root = mended(tree, (), ROOT)
    entries = []
    for entry in root.entries:
        inner = ROOT.each.get(entry.key)
        if inner is not None and isinstance(entry.value, Map):
            each = tuple(
                replace(one, value=mended(one.value, (entry.key, one.key), inner))
                if isinstance(one.value, Map)
                else one
                for one in entry.value.entries
            )
            entry = replace(entry, value=replace(entry.value, entries=each))  # noqa: PLW2901
        entries.append(entry)
    return replace(root, entries=tuple(entries)), tuple(findings)


def _unknown(
    tree: Map, stage_types: Mapping[str, StageType], path: TreePath, entry: Entry
) -> Finding:
    from pipeflow.config.shape.declared import Declared  # most files have no mistakes
    from pipeflow.config.shape.wrong_keys import unknown_key

    return unknown_key(Declared(tree, stage_types), path, entry)


def _meant(entry: Entry, node: Map, table: Table) -> str | None:
    """The key that is missing in a mapping, and of which this one is a slip."""
    if table.option(entry.key) is not None or (table.open and entry.key.startswith("x-")):
        return None
    near = did_you_mean(entry.key, [option.name for option in table.options])
    if near is None or near in node or (near in _WORKS and any(work in node for work in _WORKS)):
        return None
    # Two slips of one key: the first is taken for it.
    first = next(
        one
        for one in node.entries
        if table.option(one.key) is None
        and did_you_mean(one.key, [option.name for option in table.options]) == near
    )
    return near if first is entry else None
