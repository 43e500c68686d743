from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeflow.runtime.board import CUT, EARLY, STATE, TURNS, WORKER_WORDS, State
from pipeflow.runtime.watch.alarms import Alarm, Alarms
from pipeflow.runtime.watch.cutting import Cutting

NOW = 100.0


@pytest.mark.parametrize(
    ("state", "cut"), [(State.BUSY, True), (State.WAITING_OUT, False)], ids=lambda value: str(value)
)
def test_who_is_needed_no_more_is_cut_in_a_call_and_not_while_a_letter_waits_for_room(
    state: State, cut: bool
) -> None:
    row = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    row[STATE], row[TURNS] = state, 7
    excused: list[Any] = []
    alarms = Alarms()
    worker: Any = SimpleNamespace(plan=SimpleNamespace(index=0), at_work=True, turns=7)
    parts: dict[str, Any] = {
        "plan": SimpleNamespace(sharing=lambda _: [SimpleNamespace(index=0)]),
        "channels": (),
        "board": SimpleNamespace(worker=lambda _: row),
        "ending": SimpleNamespace(excuse=excused.extend),
    }
    plan, channels = parts.pop("plan"), parts.pop("channels")
    cutting = Cutting(plan, channels, **parts, alarms=alarms, workers={0: worker})

    cutting.ring(worker, NOW)

    assert row[EARLY] == row[CUT] == cut
    assert excused == ([worker] if cut else [])
    assert alarms.is_set(Alarm.CUT, 0) is not cut
