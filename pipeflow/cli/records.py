"""What a run leaves in files: its events as they happen, its report at the end."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from pipeflow.clock import Clock
from pipeflow.errors import UsageError
from pipeflow.telemetry.events import Event
from pipeflow.telemetry.export import event_json


class EventFile:
    """Writes events as lines of JSON, each as it happens.

    Owns the open file; closing it twice is harmless. A disk that is full does not end the run:
    ``trouble`` then says what happened, and nothing more is written.

    Raises:
        UsageError: The file cannot be written.
    """

    def __init__(self, path: str, clock: Clock, secrets: Sequence[str]) -> None:
        self._clock = clock
        self._secrets = secrets
        self.trouble = ""
        _refuse_stdout("--events", path)
        try:
            self._file: TextIO = Path(path).open(  # noqa: SIM115 - closed by close()
                "w", encoding="ascii"
            )
        except OSError as error:
            raise UsageError(f"--events {path}: {error.strerror or error}") from None

    def write(self, event: Event) -> None:
        """Write one event, if it is one for the record."""
        line = event_json(event, self._clock.time(), self._secrets)
        if line is None or self.trouble:
            return
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            self.trouble = f"--events {self._file.name}: {error.strerror or error}"

    def close(self) -> None:
        """Close the file."""
        try:
            self._file.close()
        except OSError as error:
            # What could not be written before cannot be written now; the text is dropped.
            self.trouble = self.trouble or f"--events {self._file.name}: {error.strerror or error}"


def check_report_path(path: str) -> None:
    """Find out before a run whether its report can be written after it.

    Raises:
        UsageError: It cannot.
    """
    _refuse_stdout("--report", path)
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"--report {path}: is a directory")
    require_folder("--report", path)
    special = _is_special(target)
    if not os.access(target if special else target.parent, os.W_OK):
        what = "it" if special else f"the folder '{target.parent}'"
        raise UsageError(f"--report {path}: {what} cannot be written to")


def require_folder(option: str, path: str) -> None:
    """Find out before a run whether there is the folder of a file that an option names.

    Raises:
        UsageError: There is none.
    """
    folder = Path(path).parent
    if not folder.is_dir():
        raise UsageError(f"{option} {path}: there is no folder '{folder}'")


def write_report(path: str, text: str) -> None:
    """Write a report whole or not at all: a reader never sees half of it.

    Raises:
        OSError: The disk is full, or the folder is gone; a report of before is left as it was.
    """
    target = Path(path)
    if _is_special(target):
        target.write_text(text, encoding="ascii")  # /dev/stderr or a pipe: nothing to replace
        return
    target = target.resolve()  # a link stays a link; what it points at is replaced
    partial = target.with_name(f".{target.name}.{os.urandom(4).hex()}.partial")
    try:
        # A new file for sure: never one, nor a link, that somebody has laid there.
        with partial.open("x", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _refuse_stdout(option: str, path: str) -> None:
    if path == "-":
        raise UsageError(
            f"{option} -: standard output belongs to what stages print; name a file, or /dev/stderr"
        )


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode)
