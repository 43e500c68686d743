"""Programs that answer items one by one: one line in, one line out; or a program for each item.

Each is the ``call`` of a stage's work, so replicas, order, retries and dead letters hold as for a
function. Nothing here waits for anybody but the program, and never when it has ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeflow.errors import ProgramFailed, ProgramGivenUp, ProgramTimeout
from pipeflow.runtime.programs.child import LEFT_BEHIND_S, Child
from pipeflow.runtime.programs.lines import (
    LONGEST_LINE,
    decoded,
    format_of,
    input_of,
    line_of,
    loaded,
    result_of,
)
from pipeflow.spec.program import ItemFormat, Program
from pipeflow.values import dataclass

#: So many deaths in a row, with no item answered between, and the run ends.
MOST_DEATHS: Final = 5

#: How long a program that has closed its output may take to say why, in seconds.
_LAST_WORDS_S: Final = 1.0


#: Why one most often seems never to answer.
_DOES_IT_FLUSH: Final = (
    " (does it write each line at once? sed -u, grep --line-buffered, jq --unbuffered, python -u,"
    " fflush() in awk)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a program is run under.

    Attributes:
        program: The program.
        environ: Its variables.
        input_names: The named inputs: an item is one object of all of them. Else empty.
        timeout_s: Longest time for one item, or ``None``.
        replaced: Another may take the place of one that has died between two items.
        log: Takes a level and a text.
    """

    program: Program
    environ: Mapping[str, str]
    input_names: tuple[str, ...] = ()
    timeout_s: float | None = None
    replaced: bool = False
    log: Callable[[str, str], None] = lambda _level, _text: None

    def item_of(self, payloads: tuple[Any, ...]) -> Any:
        """What is written to the program."""
        if not self.input_names:
            return payloads[0]
        return dict(zip(self.input_names, payloads, strict=True))

    def until(self) -> float | None:
        """When the time for an item that begins now is over."""
        return None if self.timeout_s is None else time.monotonic() + self.timeout_s

    def too_slow(self, child: Child) -> ProgramTimeout:
        """It has used up its time, and is ended."""
        return ProgramTimeout(
            f"program '{child.name}' has not answered within {self.timeout_s:g} s,"
            f" and was ended{child.last_words()}"
        )


class ItemProgram:
    """One program that answers each line with a line; a new one for one that has died.

    Args:
        terms: What it is run under.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._child: Child | None = None
        self._deaths = 0
        self._has_answered = False

    def __call__(self, *payloads: Any) -> Any:
        """The answer to an item.

        Raises:
            ProgramFailed: It has ended, or not answered in time, or with more or less than a line.
            ProgramGivenUp: It has ended too often.
            TypeError, ValueError: The item cannot be written as a line.
        """
        item = self._terms.item_of(payloads)
        form = self._terms.program.format or format_of(item)
        line = line_of(item, form)
        child = self._ready()
        try:
            answer = self._ask(child, line)
        except ProgramTimeout as failure:
            self._drop(ask=False)
            if self._has_answered:
                raise
            raise ProgramTimeout(f"{failure}{_DOES_IT_FLUSH}") from None
        except ProgramFailed as failure:
            self._drop(ask=False)
            raise self._counted(failure) from None
        except BaseException:
            self._drop(ask=False)  # in the middle of an answer it is of no use to anybody
            raise
        self._deaths, self._has_answered = 0, True
        what = f"the answer of program '{child.name}'"
        return decoded(answer, what) if form is ItemFormat.LINES else loaded(answer, what)

    def finish(self) -> tuple[()]:
        """All items are answered: let it end by itself.

        Raises:
            ProgramFailed: It ends with a failure, or has more to say.
        """
        child = self._child
        if child is None:
            return ()
        child.close_stdin()
        more = b""
        while not child.ended():
            more += child.read()
            if not child.hear():
                child.wait(room=False)
        more += child.read()
        if child.status:
            raise child.failure(" after its last item")
        if more.strip():
            late = _too_much(child, more)
            raise ProgramFailed(f"{late}; it came late, so answers may belong to other items")
        self._drop()
        return ()

    def close(self) -> None:
        """Leave nothing of it."""
        self._drop()

    def _ready(self) -> Child:
        """The program, one that lives."""
        terms, child = self._terms, self._child
        if child is not None and child.ended():
            failure = child.failure(" between two items")
            self._drop()
            failure = self._counted(failure)
            if not terms.replaced:
                raise failure
            terms.log("warning", f"{failure}; another takes its place")
            child = None
        if child is not None and (more := child.read()):
            self._drop(ask=False)
            raise _too_much(child, more)
        if child is None:
            child = self._child = Child(terms.program, terms.environ)
        return child

    def _ask(self, child: Child, line: bytes) -> bytes:
        """Write a line, and read one."""
        left, until, answer = memoryview(line), self._terms.until(), bytearray()
        while True:
            left = left[child.write(left) :] if child.stdin >= 0 else left[:0]
            gone = child.ended()  # asked first: what it wrote before is in the pipe by then
            data = child.read()
            child.hear()
            answer += data
            at = answer.find(b"\n", max(0, len(answer) - len(data)))
            if at >= 0 and not left:
                if at + 1 < len(answer):
                    raise _too_much(child, bytes(answer[at + 1 :]))
                return bytes(answer[:at])
            if len(answer) > LONGEST_LINE:
                raise ProgramFailed(
                    f"program '{child.name}' answered with more than {LONGEST_LINE >> 20} MiB"
                )
            if child.stdout < 0 and not child.await_end(_LAST_WORDS_S):
                raise ProgramFailed(
                    f"program '{child.name}' closed its output before it answered"
                    + child.last_words()
                )
            if child.stdout < 0 or (gone and not data):
                raise child.failure(" before it answered")
            if not data and not child.wait(room=bool(left), until=until):
                raise self._terms.too_slow(child)

    def _counted(self, failure: ProgramFailed) -> ProgramFailed:
        """One more death.

        Raises:
            ProgramGivenUp: One too many.
        """
        self._deaths += 1
        if self._deaths < MOST_DEATHS:
            return failure
        raise ProgramGivenUp(f"{failure}; that was {self._deaths} times in a row") from None

    def _drop(self, *, ask: bool = True) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end(ask=ask)


class EachProgram:
    """A program for each item: what it reads is the item, what it writes the result.

    Args:
        terms: What it is run under.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def __call__(self, *payloads: Any) -> Any:
        """The result for an item.

        Raises:
            ProgramFailed: It has failed, or not ended in time, or written what it should not.
            TypeError, ValueError: The item cannot be written.
        """
        terms = self._terms
        form = terms.program.format
        data = input_of(terms.item_of(payloads), form)
        child = Child(terms.program, terms.environ)
        try:
            output = self._converse(child, data)
            if child.status:
                raise child.failure()
        finally:
            child.end(ask=False)
        return result_of(output, form, child.name)

    def _converse(self, child: Child, data: bytes) -> bytes:
        """Give it all, and take all, both at once: it may write before it has read."""
        left, until, output = memoryview(data), self._terms.until(), bytearray()
        while True:
            left = left[child.write(left) :] if child.stdin >= 0 else left[:0]
            if not left:
                child.close_stdin()
            gone = child.ended()  # asked first: what it wrote before is in the pipe by then
            more = child.read()
            child.hear()
            output += more
            if more:
                continue
            if gone and (child.stdout < 0 or child.status or not _says_more(child)):
                return bytes(output)
            if not gone and not child.wait(room=bool(left), until=until):
                raise self._terms.too_slow(child)


def _says_more(child: Child) -> bool:
    """It has ended, and left others behind who hold its output: wait a while for them."""
    return child.wait(room=False, until=time.monotonic() + LEFT_BEHIND_S)


def _too_much(child: Child, more: bytes) -> ProgramFailed:
    shown = more[:60].decode("utf-8", "backslashreplace").rstrip("\n")
    return ProgramFailed(
        f"program '{child.name}' wrote more than the one line that answers an item: {shown!r}"
    )
