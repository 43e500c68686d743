"""Reading a pipeline file: text to a tree of nodes, every mistake with its place.

    read_file ─> decode (bytes to text) ─> tree (YAML events to nodes) ─> Document
                                             └─ on a syntax error: syntax (retold in our words)

Nothing is constructed but text, numbers, booleans and null.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pipeflow.config.decode import MAX_BYTES, decode
from pipeflow.config.lines import Lines
from pipeflow.config.nodes import FROM_MAPPING, Entry, Map, Node, Scalar, Seq, kind_of
from pipeflow.config.plain_text import missing_space
from pipeflow.config.problem import Problem
from pipeflow.config.scalars import spelled
from pipeflow.config.tree import MAX_DEPTH, read_tree
from pipeflow.errors import Finding, Location
from pipeflow.suggest import did_you_mean
from pipeflow.values import dataclass

#: What a pipeline file may be called.
SUFFIXES: Final = (".yaml", ".yml", ".json")
_SMALLEST = "the smallest pipeline: stages: {numbers: {use: range, with: {stop: 3}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file that was read.

    Attributes:
        file: The path as the user wrote it.
        text: What it holds, for the line and caret under a finding.
        root: Its tree, always a map; ``None`` when there is none to go on with.
        findings: What is wrong so far, in the order of the file.
    """

    file: str
    text: str
    root: Map | None
    findings: tuple[Finding, ...]


def read_file(path: str | os.PathLike[str], via: Location | None = None) -> Document:
    """Read a file; what cannot be read is a finding too, never an exception.

    Args:
        path: The file.
        via: Where another file names it, if one does.
    """
    file = os.fspath(path)
    start = Location(file, 1, 1, via)
    try:
        if Path(file).is_dir():
            return _nothing(start, _directory(Path(file), file))
        with open(file, "rb", opener=_at_once) as stream:
            data = stream.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                return _nothing(start, _too_large(os.fstat(stream.fileno())))
    except FileNotFoundError:
        return _nothing(start, _missing(Path(file)))
    except PermissionError:
        return _nothing(start, _forbidden(Path(file), file))
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the path.
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return _nothing(start, Problem(code="unreadable", problem=f"cannot read {file}: {reason}"))
    return read_text(data, file, via)


def _at_once(path: str, flags: int) -> int:
    """Open without waiting: a named pipe that nobody writes to reads as empty."""
    number = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(number, True)  # what is being written is waited for
    return number


def read_text(data: bytes | str, file: str, via: Location | None = None) -> Document:
    """Read the text of a file that is already in memory, such as standard input."""
    text, findings, worth_parsing = decode(data, file, via)
    if not worth_parsing:
        return Document(file=file, text=text, root=None, findings=findings)
    lines = Lines(file, text, via)
    root, more = read_tree(lines)
    found = [*findings, *more]
    if not isinstance(root, Map):
        # A file that cannot be read says so already; that it holds no mapping is no news then.
        if not found:
            found.append(_no_mapping(lines, root))
        root = None
    unique = {(finding.at, finding.code): finding for finding in reversed(found)}
    ordered = sorted(unique.values(), key=lambda finding: finding.at)
    return Document(file=file, text=text, root=root, findings=tuple(ordered))


def from_mapping(mapping: Mapping[str, object], file: str = FROM_MAPPING) -> Document:
    """The tree of a Python mapping, as if it had been read from a file of that name.

    Keys that are not text are findings; values that YAML does not know stay what they are.
    """
    at = Location(file, 1, 1)
    findings: list[Finding] = []
    root = _node_of(mapping, at, findings, ())
    return Document(
        file=file,
        text="",
        root=root if isinstance(root, Map) else None,
        findings=tuple(findings),
    )


def _node_of(value: object, at: Location, findings: list[Finding], path: tuple[str, ...]) -> Node:
    if len(path) >= MAX_DEPTH:
        problem = f"nested deeper than {MAX_DEPTH} levels"
        hint = "a mapping that holds itself has no end"
        findings.append(Finding(at=at, code="too-deep", problem=problem, hint=hint))
        return Scalar(at=at, value=None, text="", broken=True)
    match value:
        case Mapping():
            entries = []
            for key, inner in value.items():
                node = _node_of(inner, at, findings, (*path, str(key)))
                if isinstance(key, str):
                    entries.append(Entry(key=key, key_at=at, value=node))
                    continue
                where = ".".join(path) or "the mapping"
                problem = f"keys must be text, got {key!r} in {where}"
                finding = Finding(at=at, code="key-not-text", problem=problem, hint=f"'{key}'")
                findings.append(finding)
            return Map(at=at, entries=tuple(entries))
        case str():
            return Scalar(at=at, value=value, text=value, quoted=True)
        case list() | tuple():
            items = (_node_of(item, at, findings, (*path, str(i))) for i, item in enumerate(value))
            return Seq(at=at, items=tuple(items))
        case _:
            return Scalar(at=at, value=value, text=spelled(value))


def _no_mapping(lines: Lines, root: Node | None) -> Finding:
    at, length = (lines.at(0), 1) if root is None else (root.at, root.length)
    if root is None and not lines.text.strip():
        code, problem, hint = "empty-file", "the file is empty", _SMALLEST
    elif root is None or (isinstance(root, Scalar) and not root.text and not root.quoted):
        code, problem, hint = "empty-file", "only comments here; 'stages:' is missing", _SMALLEST
    elif isinstance(root, Seq):
        code, problem = "not-a-mapping", "expected a mapping, got a list"
        hint = "write 'stages:', and below it each stage as 'name:' with its settings"
    else:
        if isinstance(root, Scalar) and (slip := missing_space(root)) is not None:
            return slip
        problem = f"expected a mapping with 'stages:', got {kind_of(root)}"
        code, hint = "not-a-mapping", _SMALLEST
    return Finding(at=at, code=code, problem=problem, hint=hint, length=length)


def _nothing(start: Location, problem: Problem) -> Document:
    finding = problem.found_at(start)
    return Document(file=start.file, text="", root=None, findings=(finding,))


def _missing(path: Path) -> Problem:
    here = "here" if path.parent == Path() else f"in {path.parent}"
    if not path.parent.is_dir():
        hint = "a path means the folder where the command was started"
        return Problem(code="file-missing", problem=f"no folder '{path.parent}'", hint=hint)
    inside = _pipelines_in(path.parent)
    near = did_you_mean(path.name, inside)
    if near:
        hint = f"did you mean '{path.with_name(near)}'?"
    else:
        hint = f"there are: {_few(inside)}" if inside else "'pipeflow init DIR' makes one that runs"
    return Problem(code="file-missing", problem=f"no file '{path.name}' {here}", hint=hint)


def _directory(path: Path, file: str) -> Problem:
    inside = _pipelines_in(path)
    hint = f"it holds: {_few(inside)} - name one" if inside else "name a pipeline file"
    name = file.rstrip("/")
    problem = f"'{name}/' is a directory"
    return Problem(code="directory", problem=problem, hint=hint)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _forbidden(path: Path, file: str) -> Problem:
    try:
        status = path.stat()
    except OSError:
        # The folder itself may not be looked into.
        problem = f"cannot read {file}: permission denied"
        return Problem(code="unreadable", problem=problem, hint=f"chmod u+x {path.parent}")
    about = f"owner {_owner(path, status)}, mode {stat.S_IMODE(status.st_mode):04o}"
    problem = f"cannot read {file}: permission denied ({about})"
    return Problem(code="unreadable", problem=problem, hint=f"chmod u+r {file}")


def _owner(path: Path, status: os.stat_result) -> str:
    try:
        return path.owner()
    except (KeyError, NotImplementedError, OSError):
        # In a container the number often has no name.
        return str(status.st_uid)


def _too_large(status: os.stat_result) -> Problem:
    # A pipe has no size; all that is known is that it brought too much.
    amount = f"{status.st_size / 1e6:.1f} MB" if status.st_size > MAX_BYTES else "more than 1 MB"
    problem = f"{amount}; the limit is 1 MB"
    return Problem(code="too-large", problem=problem, hint="keep data in files of its own")


def _pipelines_in(folder: Path) -> Sequence[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.suffix in SUFFIXES)
    except OSError:
        # Only hints are made of this.
        return ()
