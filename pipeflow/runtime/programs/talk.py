"""Talk: one program for the whole stream; items go in as lines, lines come out as items.

It moves what can be moved and never waits, so its loop may wait for items, for the program and for
its readers all at once: none of them can hold up the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeflow.runtime.programs.child import LEFT_BEHIND_S, Child
from pipeflow.runtime.programs.lines import LineReader, format_of, line_of
from pipeflow.spec.program import ItemFormat, Program

#: Bytes that wait to be written before no more items are taken.
_MOST_WAITING: Final = 1 << 16


class Talk:
    """What is said to a program and by it. Owns the program.

    Args:
        program: What to run.
        environ: Its variables.
        source: Whether it gets no items.
        is_read: Whether anybody reads what it writes; else it is let go as it comes.
        log: Takes a level and a text.
    """

    def __init__(
        self,
        program: Program,
        environ: Mapping[str, str],
        *,
        source: bool,
        is_read: bool = True,
        log: Callable[[str, str], None] = lambda _level, _text: None,
    ) -> None:
        self._program, self._environ, self._source = program, environ, source
        self._is_read, self._log = is_read, log
        self._unread_bytes = 0
        self._form = ItemFormat.LINES if source and program.format is None else program.format
        self._reader = LineReader(program.name)
        self._child: Child | None = None
        self._waiting = bytearray()
        self._given = 0
        self._input_over = source
        self._silent_since = 0.0
        self._is_silent = False  #: it had ended before the last look at its pipes

    def begin(self) -> None:
        """Start the program.

        Raises:
            ProgramFailed: It cannot be started.
        """
        self._child = Child(self._program, self._environ, feed=not self._source)

    def has_room(self) -> bool:
        """Whether more items may be given."""
        return not self._input_over and len(self._waiting) < _MOST_WAITING

    def reads_no_more(self) -> bool:
        """Whether the program has closed its input before all of it was there."""
        return not self._source and self._running.stdin < 0 and not self._input_over

    def give(self, item: Any) -> None:
        """Take an item to be written; the first one decides the format if the file does not.

        Raises:
            TypeError, ValueError: It cannot be written as a line.
        """
        if self._form is None:
            self._form = format_of(item)
        self._waiting += line_of(item, self._form)
        self._given += 1

    def end_input(self) -> None:
        """No more items come; the program is told once it has all."""
        self._input_over = True

    def move(self) -> tuple[bool, list[Any]]:
        """Write what it takes and read what is there: whether anything moved, and the results.

        Raises:
            ProgramFailed: It wrote what is no item.
        """
        child = self._running
        gone = child.ended()  # asked first: what it wrote before is in the pipe by then
        wrote = self._write(child)
        if self._awaits_form() and not (gone and child.status):
            # The first item says how to read the answers: until it comes they wait in the pipe.
            return child.hear() or wrote, []
        was_open = child.stdout >= 0
        data = child.read()
        heard = child.hear()
        results = self._results_in(data)
        if was_open and child.stdout < 0:
            results += self.rest()
        moved = wrote or heard or bool(data) or was_open != (child.stdout >= 0)
        if moved or not gone:
            self._silent_since = time.monotonic()
        self._is_silent = gone and not moved
        return moved, results

    def _results_in(self, data: bytes) -> list[Any]:
        if not self._is_read:
            self._unread_bytes += len(data)
            return []
        return self._reader.feed(data, self._form or ItemFormat.LINES) if data else []

    def _awaits_form(self) -> bool:
        return self._is_read and self._form is None and not self._input_over

    def _write(self, child: Child) -> bool:
        if child.stdin < 0:
            self._waiting.clear()  # it reads no more
            return False
        count = 0
        if self._waiting:
            with memoryview(self._waiting) as view:
                count = child.write(view)
            del self._waiting[:count]
        if self._input_over and not self._waiting:
            child.close_stdin()
            return True
        return count > 0 or child.stdin < 0

    def is_over(self) -> bool:
        """Whether it has ended and nothing of what it wrote is left; asked when nothing moves."""
        child = self._running
        if not self._is_silent:
            return False
        if child.stdout < 0 or child.status:
            return True
        # Others hold its output, whom it has started; they may be there for ever.
        return time.monotonic() - self._silent_since >= LEFT_BEHIND_S

    def judge(self) -> None:
        """It has ended: how?

        Raises:
            ProgramFailed: By a signal, or with an exit status that says so.
        """
        child = self._running
        if self._unread_bytes:
            text = f"program '{child.name}' wrote {self._unread_bytes:,} bytes that no stage reads"
            self._log("warning", f"{text}: a stage with `use: print` shows them")
        if child.status:
            count = f"{self._given} item{'' if self._given == 1 else 's'}"
            raise child.failure("" if self._source else f" (it was given {count})")

    def rest(self) -> list[Any]:
        """What was left of its last line when others still held its output."""
        return self._reader.rest(self._form or ItemFormat.LINES)

    def events(self) -> list[tuple[int, int]]:
        """What to wait on: descriptors, and the events of each."""
        child = self._running
        waits = child.events(room=bool(self._waiting))
        if self._awaits_form():
            return [each for each in waits if each[0] != child.stdout]
        return waits

    def patience_s(self) -> float | None:
        """How long may be waited at most."""
        child = self._running
        return LEFT_BEHIND_S if child.ended() else child.look_s

    def end(self) -> None:
        """Leave nothing of it. Twice is harmless."""
        if self._child is not None:
            self._child.end()

    @property
    def _running(self) -> Child:
        assert self._child is not None
        return self._child
