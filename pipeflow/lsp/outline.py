"""The names in a pipeline file, with their places: stages, who reads them, what they call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final

from pipeflow.config.nodes import Entry, Map, Node, Scalar, Seq, walk
from pipeflow.config.reader import read_text
from pipeflow.config.stage.edges import is_edge
from pipeflow.errors import errors_of
from pipeflow.values import dataclass, replace

_REFERENCE: Final = re.compile(r"\$\{(params|shared)\.([A-Za-z_][A-Za-z0-9_-]*)")


class Kind(Enum):
    """What a name is."""

    STAGE = "stage"  #: a stage's own name, or an input's of the file, or one that an edge reads
    CALL = "call"  #: ``module:attribute``
    USE = "use"  #: an operator
    FILE = "file"  #: another pipeline file
    PARAM = "param"  #: a parameter's own name, or one that a value refers to
    SHARED = "shared state"  #: the same of state that stages share


#: Where names are declared that values refer to.
_BLOCKS: Final = {Kind.PARAM: "params", Kind.SHARED: "shared"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name in the file.

    Attributes:
        kind: What it is.
        text: The name; of a call all of it.
        line: Where it stands, from 1.
        column: Its first character, from 1; a quote before it is not part of it.
        defines: It gives the name to a stage, a parameter or shared state.
        stage: The stage that it stands in; empty for those above all stages.
    """

    kind: Kind
    text: str
    line: int
    column: int
    defines: bool = False
    stage: str = ""

    def covers(self, line: int, column: int) -> bool:
        """Whether a place touches it."""
        return self.line == line and self.column <= column <= self.column + len(self.text)


@dataclass(frozen=True, slots=True)
class Outline:
    """All names of a file, as far as it can be read.

    Attributes:
        names: In the order of the file.
        root: Its tree, if there is one.
        whole: All of the file could be read, so no name is missing.
    """

    names: tuple[Name, ...]
    root: Map | None
    whole: bool = False

    def at(self, line: int, column: int) -> Name | None:
        """The name at a place."""
        return next((name for name in self.names if name.covers(line, column)), None)

    def definition(self, name: Name) -> Name | None:
        """Where a stage, a parameter or shared state gets its name."""
        return next((one for one in self.same(name) if one.defines), None)

    def same(self, name: Name) -> Sequence[Name]:
        """All places where a stage, a parameter or shared state is named."""
        return [one for one in self.names if (one.kind, one.text) == (name.kind, name.text)]

    def defined(self, kind: Kind) -> Sequence[Name]:
        """All that is of one kind."""
        return [one for one in self.names if one.kind is kind and one.defines]

    def stage(self, name: str) -> Map | None:
        """What stands under the name of a stage."""
        stages = self.root.get("stages") if self.root else None
        found = stages.get(name) if isinstance(stages, Map) else None
        return found if isinstance(found, Map) else None


def outline(text: str) -> Outline:
    """The names of a file; what cannot be read has none."""
    document = read_text(text, "")
    root = document.root
    if root is None:
        return Outline((), None)
    lines = text.split("\n")
    found = {(one.line, one.column): one for one in _names(root)}
    # What an alias brings stands at its anchor; what is escaped is not spelled as it is called.
    written = [one for one in found.values() if _stands(one, lines)]
    names = tuple(sorted(written, key=lambda one: (one.line, one.column)))
    mistakes = errors_of(document.findings)
    return Outline(names, root, whole=not mistakes and len(written) == len(found))


def _stands(name: Name, lines: Sequence[str]) -> bool:
    if name.line > len(lines):
        return False
    return lines[name.line - 1][name.column - 1 :].startswith(name.text)


def _names(root: Map) -> Iterator[Name]:
    stages = root.get("stages")
    for kind, key in _BLOCKS.items():
        block = root.get(key)
        for entry in block.entries if isinstance(block, Map) else ():
            yield _of_key(kind, entry)
    for entry in stages.entries if isinstance(stages, Map) else ():
        yield _of_key(Kind.STAGE, entry)
        if isinstance(entry.value, Map):
            yield from _in_stage(entry.key, entry.value)
    yield from _ports(root)
    tests = root.get("tests")
    for entry in tests.entries if isinstance(tests, Map) else ():
        if isinstance(entry.value, Map):
            yield from _in_test(entry.value)
    for path, node in walk(root):
        if isinstance(node, Scalar) and isinstance(node.value, str):
            in_stage = path[:1] == ("stages",) and len(path) > 2
            yield from _references_in(node, str(path[1]) if in_stage else "")


def _ports(root: Map) -> Iterator[Name]:
    """An input of the file is named as a stage is; an output names a stage."""
    inputs, outputs = root.get("inputs"), root.get("outputs")
    for item in inputs.items if isinstance(inputs, Seq) else ():
        if isinstance(item, Scalar) and isinstance(item.value, str):
            name = _of_value(Kind.STAGE, item, item.value, item.value)
            yield replace(name, defines=True)
    for entry in outputs.entries if isinstance(outputs, Map) else ():
        source = entry.value
        if isinstance(source, Scalar) and isinstance(source.value, str):
            yield _of_value(Kind.STAGE, source, source.value.partition(".")[0], "")


def _in_test(node: Map) -> Iterator[Name]:
    """The keys of a test name stages and params."""
    for key, kind in (("params", Kind.PARAM), ("given", Kind.STAGE), ("expect", Kind.STAGE)):
        named = node.get(key)
        for entry in named.entries if isinstance(named, Map) else ():
            name = entry.key.partition(".")[0] if kind is Kind.STAGE else entry.key
            yield replace(_of_key(kind, entry), text=name, defines=False, stage="")


def _in_stage(stage: str, node: Map) -> Iterator[Name]:
    for key, kind in (("call", Kind.CALL), ("use", Kind.USE), ("pipeline", Kind.FILE)):
        value = node.get(key)
        if isinstance(value, Scalar) and isinstance(value.value, str):
            yield _of_value(kind, value, value.value, stage)
    inputs = node.get("inputs")
    for source in _sources(inputs) if inputs is not None else ():
        if isinstance(source.value, str):
            yield _of_value(Kind.STAGE, source, source.value.partition(".")[0], stage)


def _sources(node: Node) -> Iterator[Scalar]:
    """The texts that name an output, in whichever form of ``inputs``."""
    match node:
        case Scalar():
            yield node
        case Seq():
            for item in node.items:
                yield from _sources(item)
        case Map() if is_edge(node):
            source = node.get("from")
            if isinstance(source, Scalar):
                yield source
        case Map():
            for entry in node.entries:
                yield from _sources(entry.value)


def _references_in(node: Scalar, stage: str) -> Iterator[Name]:
    for found in _REFERENCE.finditer(node.text):
        column = node.at.column + node.quoted + found.start(2)
        kind = Kind.PARAM if found[1] == "params" else Kind.SHARED
        yield Name(kind=kind, text=found[2], line=node.at.line, column=column, stage=stage)


def _of_key(kind: Kind, entry: Entry) -> Name:
    quoted = entry.key_length > len(entry.key)
    return Name(
        kind=kind,
        text=entry.key,
        line=entry.key_at.line,
        column=entry.key_at.column + quoted,
        defines=True,
        stage=entry.key if kind is Kind.STAGE else "",
    )


def _of_value(kind: Kind, node: Scalar, text: str, stage: str) -> Name:
    column = node.at.column + node.quoted
    return Name(kind=kind, text=text, line=node.at.line, column=column, stage=stage)
