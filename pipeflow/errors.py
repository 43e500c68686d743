"""The errors of pipeflow, and the places in a file that they point at.

    PipeflowError
    ├── InvalidPipeline        the file, an overlay or a parameter is wrong: all findings (exit 2)
    ├── UsageError             the command line is wrong (exit 2)
    ├── MachineError           a limit of the machine forbids the run (exit 1)
    ├── StageFailed            the user's own code failed, and no policy covers it (exit 1)
    ├── WorkerDied             a worker ended without saying so: a signal, os._exit, memory (exit 1)
    ├── ProgramGivenUp         an external program dies again and again (exit 1)
    ├── ItemNotSerializable    a result cannot cross to another process
    ├── ItemNotLoadable        what crossed cannot be made into an object again
    ├── MemoryLimitReached     the shared arrays of the run would pass ``limits.memory`` (exit 1)
    └── ChannelError           one end of a channel cannot go on
        ├── ChannelClosed        this end was closed by its own owner
        ├── PeerClosed           every reader has closed: there is nobody to send to
        ├── PeerLost             the other end went away without an end of input
        └── ProtocolError        a frame is torn, repeated, missing, or of another attempt

    ProgramFailed              an external program failed: what ``on_error`` covers, so none of ours

Nothing else of ours is imported here but what makes values.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from pipeflow.values import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a pipeline file, for people and editors.

    Attributes:
        file: The path as the user wrote it; ``<--set>`` and ``<--param>`` for the command line.
        line: Counted from 1.
        column: Counted from 1, in characters.
        via: Where another file names this one as the work of a stage; ``None`` for a file that was
            asked for itself. It is no part of the place: two stages may run one file.
    """

    file: str
    line: int
    column: int
    via: Location | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def includes(self) -> tuple[Location, ...]:
        """The places that led to this file, the nearest first."""
        found: list[Location] = []
        place = self.via
        while place is not None:
            found.append(place)
            place = place.via
        return tuple(found)


class Severity(Enum):
    """How much a finding weighs."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One mistake, or one doubt, with its place.

    Attributes:
        at: Where, so that an editor can jump there.
        code: Stable name of the kind of mistake: ``"unknown-stage"``.
        problem: What is wrong, in the file's own words; one line.
        hint: What to write instead; empty when there is nothing to add.
        severity: Errors end the command with 2, warnings do not (``--strict`` makes them).
        length: How many characters the caret underlines.
    """

    at: Location
    code: str
    problem: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    length: int = 1

    def __str__(self) -> str:
        lines = [f"{self.at}: {self.severity.value}[{self.code}]: {self.problem}"]
        lines += [f"  hint: {self.hint}"] if self.hint else []
        return "\n".join([*lines, *(f"  included at {place}" for place in self.at.includes())])


def by_place(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sorted by place; of those that say the same, one."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: (finding.at, finding.code)))


def errors_of(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that forbid a run."""
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


class PipeflowError(Exception):
    """What all errors of pipeflow are."""


class InvalidPipeline(PipeflowError):
    """A pipeline cannot be run as it is written.

    Attributes:
        findings: Every mistake that was found, sorted by place; at least one is an error.
        sources: File name to its text, for the line and caret under each finding.
    """

    def __init__(
        self, findings: tuple[Finding, ...], sources: dict[str, str] | None = None
    ) -> None:
        super().__init__(findings, sources)
        self.findings = findings
        self.sources = sources or {}

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


class UsageError(PipeflowError):
    """The command line cannot be understood."""


class MachineError(PipeflowError):
    """The machine, or a limit set on it, does not allow this run."""


class StageFailed(PipeflowError):
    """The user's own code failed and no ``on_error`` covers it.

    Attributes:
        stage: Name of the stage.
        item: Id of the item in hand (``"find:17"``), or empty.
        kind: Type of the user's exception, with its module: ``"ValueError"``.
        message: The exception as text.
        traceback: The user's own traceback, as text.
    """

    def __init__(self, stage: str, item: str, kind: str, message: str, traceback: str) -> None:
        super().__init__(stage, item, kind, message, traceback)
        self.stage, self.item, self.kind = stage, item, kind
        self.message, self.traceback = message, traceback

    def __str__(self) -> str:
        where = f"stage '{self.stage}'" + (f", item {self.item}" if self.item else "")
        return f"{where}: {self.kind}: {self.message}"


class WorkerDied(PipeflowError):
    """A worker ended without a word.

    Attributes:
        stage: Name of the stage.
        replica: Which of its workers.
        exitcode: Exit status; negative numbers are signals.
        item: Id of the item it had in hand, or empty.
    """

    def __init__(self, stage: str, replica: int, exitcode: int, item: str) -> None:
        super().__init__(stage, replica, exitcode, item)
        self.stage, self.replica, self.exitcode, self.item = stage, replica, exitcode, item


class ProgramGivenUp(PipeflowError):
    """An external program has died too often for another to take its place."""


class ItemNotSerializable(PipeflowError):
    """An object cannot be pickled, so it cannot cross to another process.

    Attributes:
        index: Which item of those given, from 0.
        path: Where in the item the culprit is: ``"item['socket']"``.
        reason: What pickle said.
    """

    def __init__(self, index: int, path: str, reason: str) -> None:
        super().__init__(index, path, reason)
        self.index, self.path, self.reason = index, path, reason

    def __str__(self) -> str:
        return f"{self.path} cannot be pickled: {self.reason}"


class ItemNotLoadable(PipeflowError):
    """An item crossed whole, but its pickle cannot be loaded here.

    Attributes:
        index: Which item of the packet, from 0.
        reason: What its loading raised.
    """

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(index, reason)
        self.index, self.reason = index, reason

    def __str__(self) -> str:
        return f"an item cannot be unpickled: {self.reason}"


class MemoryLimitReached(PipeflowError):
    """Shared arrays in use would pass ``limits.memory``.

    Attributes:
        limit: The limit, in bytes.
        wanted: What was asked for on top of what is in use, in bytes.
        holders: Worker number to the bytes that it holds, greatest first.
    """

    def __init__(self, limit: int, wanted: int, holders: tuple[tuple[int, int], ...]) -> None:
        super().__init__(limit, wanted, holders)
        self.limit, self.wanted, self.holders = limit, wanted, holders


class ChannelError(PipeflowError):
    """One end of a channel cannot go on."""


class ChannelClosed(ChannelError):
    """This end was closed by its own owner."""


class PeerClosed(ChannelError):
    """Every reader has closed its end: there is nobody to send to."""


class PeerLost(ChannelError):
    """The other end went away without an end of input: its process died."""


class ProtocolError(ChannelError):
    """A frame is torn, repeated, missing, or belongs to another attempt."""


class ProgramFailed(Exception):
    """An external program did not do what its stage needs; the text is a sentence that names it."""


class ProgramTimeout(ProgramFailed):
    """It has not answered in time."""
