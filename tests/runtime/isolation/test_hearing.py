"""What a keeper does of all that its runner tells."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeflow.runtime.flow.joins import UnitEnd
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.isolation.hearing import HearingLoop
from pipeflow.runtime.isolation.messages import Ended


def test_a_unit_whose_end_nobody_reads_any_more_is_over_all_the_same() -> None:
    """Else the next call that is told of would be taken for it."""
    passed: list[int] = []

    def nobody_reads(_: UnitEnd) -> None:
        raise ReadersGone

    keeper: Any = SimpleNamespace(
        _end_unit=nobody_reads,
        _pass_units=passed.append,
    )

    with pytest.raises(ReadersGone):
        HearingLoop._do(keeper, Ended(0, 35, 1, free=False), iter(()))

    assert passed == [1]
