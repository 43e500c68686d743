"""Problem: a mistake that does not know its place yet; who knows the place makes it a finding."""

from __future__ import annotations

from pipeflow.errors import Finding, Location, Severity
from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a value, told without its place.

    Attributes:
        code: Stable name of the kind of mistake.
        problem: What is wrong; one line.
        hint: What to write instead; may be empty.
        severity: Errors end the command with 2.
    """

    code: str
    problem: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    def found_at(self, at: Location, length: int = 1) -> Finding:
        """The same as a finding."""
        return Finding(
            at=at,
            code=self.code,
            problem=self.problem,
            hint=self.hint,
            severity=self.severity,
            length=max(1, length),
        )
