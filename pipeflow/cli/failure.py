"""How a failed run is told: the stage's own traceback, its place in the file, the item, a hint."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Final

from pipeflow.errors import Finding, Location, MemoryLimitReached
from pipeflow.planner.plan import Plan, StagePlan
from pipeflow.spec.policies import OnError
from pipeflow.spec.shapes import Role, Shape
from pipeflow.telemetry.masking import escape_controls, masker
from pipeflow.telemetry.report import ErrorFacts
from pipeflow.values import dataclass

#: Phase to the code of its message, and how the sentence goes on after the stage's name.
_PHASES: Final[Mapping[str, tuple[str, str]]] = {
    "item": ("stage-failed", "failed"),
    "import": ("import-failed", "could not be loaded"),
    "constructor": ("constructor-failed", "failed in its constructor"),
    "finish": ("finish-failed", "failed in finish()"),
    "close": ("close-failed", "failed in close()"),
    "pickling": ("not-serializable", "gave what cannot cross to another process"),
    "unpickling": ("not-loadable", "could not load what came"),
    "death": ("worker-died", "lost a worker"),
    "program": ("program-failed", "failed"),
    "join": ("join-not-one-to-one", "cannot pair its inputs"),
    "budget": ("budget-spent", "gave up too many items"),
    "run": ("run-failed", "ended the run"),
}

#: What the machine refuses whatever the item is, by the number that ``OSError`` begins with: going
#: on to the next item would only fail again.
_MACHINES: Final[Mapping[int, str]] = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room within the quota of that disk",
    errno.EFBIG: "lift the limit for files (`ulimit -f`)",
    errno.EROFS: "name a path on a disk that can be written",
    errno.EMFILE: "close what the stage opens, or lift the limit (`ulimit -n`)",
    errno.ENFILE: "the machine has too many open files",
    errno.EIO: "look at that disk",
}
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")
#: How SQLite says that the disk is full; it gives no number.
_SQLITE_FULL: Final = "database or disk is full"
#: How our own sources say that a relative path leads nowhere.
_NOT_HERE: Final = f" here ({os.sep}"

#: Characters of one line; more would bury what follows.
_LONGEST: Final = 500
#: What can be pickled, in the words of who writes a stage.
_DATA: Final = (
    "items are data: numbers, text, lists, arrays, objects of classes that a module defines; make"
    " functions, open files and locks where they are used"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureTeller:
    """Words failures for the terminal.

    Attributes:
        plan: What runs.
        sources: File name to text, for the line under the message.
        render: Renders one finding with its line and caret.
    """

    plan: Plan
    sources: Mapping[str, str]
    render: Callable[[Finding, Mapping[str, str]], str]

    def text(self, error: ErrorFacts) -> str:
        """All that is known of a failure, over several lines."""
        masked = masker(self.plan.secrets)
        code, _ = _PHASES.get(error.phase, _PHASES["item"])
        stage = next((each for each in self.plan.stages if each.name == error.stage), None)
        problem = _one_line(masked(_problem(error, stage)))
        traceback = escape_controls(masked(error.traceback)).rstrip()
        # Without a frame it would only say what the message says again.
        blocks = [traceback] if "\n" in traceback else []
        at = _place_in(stage, error.at) or place(error.at)
        if at is None:
            blocks.append(f"{error.at or self.plan.file}: error[{code}]: {problem}")
        else:
            length = len(self._marked(error, stage, at)) or 1
            finding = Finding(at=at, code=code, problem=problem, length=length)
            blocks.append(self.render(finding, self.sources).rstrip("\n"))
        if error.view:
            blocks.append(f"  item: {_one_line(masked(error.view))}")
        if error.emitted:
            blocks.append(f"  {_left_before(error.emitted)}")
        hint = _hint(error, stage, beside=os.sep in self.plan.file)
        if hint:
            blocks.append(f"  hint: {hint}")
        return "\n".join(blocks)

    def _marked(self, error: ErrorFacts, stage: StagePlan | None, at: Location) -> str:
        """The text of the file that the caret underlines."""
        if error.phase == "budget":
            return "on_error"  # it stands in a mapping, which is told at its key
        if stage is None or stage.work_at != at or stage.at == at:
            return error.stage
        line = self.sources.get(at.file, "").splitlines()[at.line - 1 : at.line]
        quote = "".join(line)[at.column - 1 : at.column]
        return f"{quote}{stage.work}{quote}" if quote in {"'", '"'} else stage.work


def _place_in(stage: StagePlan | None, text: str) -> Location | None:
    """The place of a stage that a text means; unlike the text it knows by what it is included."""
    places = (stage.at, stage.on_error_at, stage.work_at) if stage is not None else ()
    return next((each for each in places if each is not None and str(each) == text), None)


def place(text: str) -> Location | None:
    """Read ``pipeline.yaml:12:3``; ``None`` when it is no place."""
    file, _, rest = text.rpartition(":")
    file, _, line = file.rpartition(":")
    if not (file and line.isdecimal() and rest.isdecimal()):
        return None
    return Location(file, int(line), int(rest))


def _problem(error: ErrorFacts, stage: StagePlan | None) -> str:
    _, verb = _PHASES.get(error.phase, _PHASES["item"])
    if not error.stage:
        return error.message
    many = stage is not None and stage.replicas > 1
    name = f"stage '{error.stage}'" + (f" (replica {error.replica})" if many else "")
    if error.phase == "budget":
        return error.message  # a sentence that names the stage
    if error.phase == "death":
        # It has no type of its own; its message is a sentence, and names the item.
        return f"{name} {verb}: {error.message}"
    where = f" on item {error.item}" if error.item else ""
    if error.attempt > 1:
        where += f", at try {error.attempt}"
    # Found by us: the type of our own error would tell nothing.
    what = f"{error.type}: {error.message}" if error.message else error.type
    if error.phase in {"pickling", "program", "join"}:
        what = error.message
    return f"{name} {verb}{where}: {what}"


def _hint(error: ErrorFacts, stage: StagePlan | None, *, beside: bool) -> str:
    """What to do about it.

    Args:
        error: The failure.
        stage: Its stage; ``None``: it is no single one's.
        beside: The file lies in another folder than the command was started in.
    """
    if beside and error.type == FileNotFoundError.__name__ and _NOT_HERE in error.message:
        return (
            "relative paths mean the folder where the command was started; write"
            " '${file.dir}/…' for what lies beside the pipeline file"
        )
    if error.phase == "import" and error.type == "ModuleNotFoundError":
        return f"the Python that runs pipeflow does not have it: {sys.executable}"
    if error.phase == "budget" and error.item:
        return f"the item and the traceback are those of the last one, {error.item}"
    if error.phase == "run" and error.type == MemoryLimitReached.__name__:
        return (
            "raise `limits.memory`, or have fewer arrays at a time: each worker has one in hand and"
            " one under way to each reader, so lower `replicas`; or hold fewer in your code"
        )
    refused = _refused_by_machine(error.message)
    if refused is not None and error.phase in {"constructor", "finish", "close"}:
        return f"{refused}, and run again"
    if error.phase == "join":
        return "`join: {key: …}` pairs by a key; a zip by id looks through one-to-one stages only"
    past = _past(error, stage, refused)
    if error.phase == "pickling":
        return f"{_DATA}; {past}" if past else _DATA
    return past


def _past(error: ErrorFacts, stage: StagePlan | None, refused: str | None) -> str:
    """How to go on past an item that failed.

    Args:
        error: The failure.
        stage: Its stage; ``None``: it is no single one's.
        refused: What to do first, if the machine has refused something.
    """
    if stage is None or stage.on_error.then is not OnError.STOP or not error.item:
        return ""
    if not stage.operator and (stage.role is Role.SOURCE or stage.shape is Shape.STREAM):
        return ""  # those of the user's own know only ``stop``
    covered = {"item", "pickling", "program"}
    if stage.call and not stage.keeps_state:
        covered.add("death")  # another process could go on where this one stopped
    if error.phase not in covered:
        return ""
    if refused is not None:
        return f"no item is to blame: {refused}, and run again"
    key = "on_error" if stage.on_error.is_short else "then"
    where = "give the stage" if stage.on_error.is_short else "say in its on_error"
    return (
        f"to go on past such items, {where} '{key}: skip',"
        f" or '{key}: dead_letter' and read its errors port"
    )


def _refused_by_machine(message: str) -> str | None:
    """What to do where the machine refuses, whatever the item is."""
    if message == _SQLITE_FULL:
        return _MACHINES[errno.ENOSPC]
    number = _ERRNO.match(message)
    return None if number is None else _MACHINES.get(int(number[1]))


def _left_before(emitted: int) -> str:
    words = "1 result of it" if emitted == 1 else f"{emitted} results of it"
    return f"{words} had left before"


def _one_line(text: str) -> str:
    # A message of several lines, or a very long one, is whole in the traceback above.
    line = escape_controls(" ".join(text.split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
