"""Cursor: a mapping of the tree, its path, and where findings go; what ``build`` reads with.

A value that the shape check refused reads as if it were not there: it has had its finding.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Self

from pipeflow.config.nodes import Entry, Map, Node, Scalar, TreePath
from pipeflow.config.problem import Problem
from pipeflow.config.suggest import misspelt
from pipeflow.config.units import duration, size
from pipeflow.errors import Finding, Location, errors_of
from pipeflow.spec.table import Table
from pipeflow.values import dataclass, field


@dataclass(slots=True)
class Findings:
    """What was found so far, in any order."""

    found: list[Finding] = field(default_factory=list)

    def add(self, problem: Problem, at: Location, length: int = 1) -> None:
        """Take a problem, and the place where it is."""
        self.found.append(problem.found_at(at, length))

    def error(
        self, node: Node | Entry, code: str, problem: str, hint: str = "", *, length: int = 0
    ) -> None:
        """Take a mistake at a value, or at a key if an entry is given."""
        if isinstance(node, Entry):
            at, underlined = node.key_at, node.key_length
        else:
            at, underlined = node.at, node.length
        told = Problem(code=code, problem=problem, hint=hint)
        self.add(told, at, length or underlined)

    @property
    def wrong(self) -> bool:
        """Whether there is an error among them."""
        return bool(errors_of(self.found))


@dataclass(frozen=True, slots=True)
class Cursor:
    """One mapping, being read.

    Attributes:
        node: The mapping.
        path: Where it lies in the tree.
        wrong: Paths that the shape check refused.
        findings: Takes what is found.
    """

    node: Map
    path: TreePath
    wrong: Collection[TreePath]
    findings: Findings

    def get(self, key: str) -> Node | None:
        """A value, unless it is missing or has had its finding."""
        return None if (*self.path, key) in self.wrong else self.node.get(key)

    def tried(self, key: str) -> bool:
        """Whether the key is there, be its value right or wrong."""
        return key in self.node or (*self.path, key) in self.wrong

    def unread(self, key: str, table: Table) -> bool:
        """Whether the key is there, or a slip of it, but its value could not be read."""
        return self.get(key) is None and (self.tried(key) or self.meant(key, table))

    def meant(self, key: str, table: Table) -> bool:
        """Whether another key stands here that is a slip of this one: it has had its finding."""
        return key not in self.node and misspelt(key, self.node, table)

    def entries(self) -> Iterator[Entry]:
        """The entries that are right so far."""
        return (entry for entry in self.node.entries if (*self.path, entry.key) not in self.wrong)

    def inner(self, key: str) -> Self | None:
        """A cursor on a mapping inside, or ``None`` if there is no such mapping."""
        node = self.get(key)
        return self.at(node, key) if isinstance(node, Map) else None

    def at(self, node: Map, *steps: str | int) -> Self:
        """A cursor on a mapping further down."""
        return type(self)(node, (*self.path, *steps), self.wrong, self.findings)

    def text(self, key: str, default: str = "") -> str:
        """A text, or the default."""
        node = self.get(key)
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node.value
        return default

    def integer(self, key: str) -> int | None:
        """A whole number, or ``None``."""
        node = self.get(key)
        if not isinstance(node, Scalar) or isinstance(node.value, bool):
            return None
        return int(node.value) if isinstance(node.value, int | float) else None

    def boolean(self, key: str, *, default: bool) -> bool:
        """A truth value, or the default."""
        node = self.get(key)
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        return default

    def duration(self, key: str) -> float | None:
        """Seconds, or ``None``; a wrong unit is a finding."""
        node = self.get(key)
        if not isinstance(node, Scalar):
            return None
        read = node.quantity if node.quantity is not None else duration(node.value)
        if isinstance(read, Problem):
            self.findings.add(read, node.at, node.length)
            return None
        return float(read)

    def size(self, key: str) -> int | None:
        """A size in bytes, or ``None``; a wrong unit is a finding, and so is nothing at all."""
        node = self.get(key)
        if not isinstance(node, Scalar):
            return None
        read = node.quantity if node.quantity is not None else size(node.value)
        if isinstance(read, Problem):
            self.findings.add(read, node.at, node.length)
            return None
        if read < 1:
            problem = f"'{key}' must be more than nothing"
            self.findings.error(node, "out-of-range", problem, f"{key}: 64MiB")
            return None
        return int(read)
