"""A loop appends to a run, without a lock, at any bytecode of a cut by the second thread."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from pipeflow.runtime.flow.runs import Run
from pipeflow.runtime.flow.units import parts_of


def traced(function: Callable[[], Any], code: object, meanwhile: Callable[[], None]) -> int:
    """Call a function, and do something before each bytecode of some code; how many there were."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code is not code:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            count += 1
            meanwhile()
        return trace

    before = sys.gettrace()
    # Python 3.12 tells of bytecodes only if some frame asked for them before tracing began.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    ("code", "gap"),
    [
        pytest.param(Run.cut.__code__, False, id="counting on"),
        pytest.param(Run.cut.__code__, True, id="with a gap"),
        pytest.param(Run._cut_meta.__code__, True, id="with a gap, what is said of them"),
    ],
)
@pytest.mark.parametrize("every", [1, 2, 5])
def test_items_that_are_appended_in_the_middle_of_a_cut_keep_their_ids_and_units(
    code: object, every: int, *, gap: bool
) -> None:
    run, sent = Run(), list[Any]()
    ordinals = iter([*range(4), *range(4 + 3 * gap, 1000)])
    given: list[int] = []
    steps = looks = 0

    def loop_steps() -> None:
        """What a loop does without the lock: an ordinal, if they are listed, then its payload."""
        nonlocal steps
        steps += 1
        if steps % 2:
            given.append(next(ordinals))
            if run.listed is not None:
                run.listed.append(given[-1])
        else:
            run.payloads.append(given[-1])

    def meanwhile() -> None:
        nonlocal looks
        looks += 1
        if not looks % every:
            loop_steps()

    def cut() -> None:
        taken = run.cut()
        sent.extend(parts_of(taken.meta, taken.payloads))

    run.begin((3,), 0)
    if gap:
        run.list_ordinals()
    for _ in range(12):
        loop_steps()
    bytecodes = traced(cut, code, meanwhile)
    if steps % 2:
        loop_steps()
    cut()

    assert bytecodes > 20
    assert len(given) > 6
    assert [pair for part in sent for pair in part.items] == [((3, n), n) for n in given]
    assert [part.unit for part in sent] == [0, len(sent[0].items)]
