"""Results for ports of their own, from the middle of a row of calls."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.planner.plan import Numbering
from pipeflow.runtime.board import EMPTY, PROCESSED, RECEIVED
from pipeflow.runtime.loops import rows
from pipeflow.stages.work import Routed
from tests.runtime import stretches
from tests.runtime.test_keeping import Replica, Sender

#: What becomes of an item: where it goes, and in what form.
FATES = ("out", "none", "more", "itself", "kept", "item kept", "to out", "many", "nothing there")


def pairs_of(sender: Sender) -> list[tuple[Any, Any]]:
    return [pair for part in sender.parts for pair in part.items]


class Routes:
    """A function with two ports, which may go on changing what it has given."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def __call__(self, item: dict[str, Any]) -> Any:
        for each in self.kept:
            each["id"] = "changed"
        number, fate = item["id"], item["fate"]
        fresh = {"id": number, "deep": [{"x": number}]}
        match fate:
            case "out":
                return fresh
            case "to out":
                return Routed("out", fresh)
            case "more":
                return Routed("more", fresh)
            case "itself":
                return Routed("more", item)
            case "kept":
                self.kept.append(fresh)
                return Routed("more", fresh)
            case "item kept":
                self.kept.append(item)
                return Routed("more", item)
            case "many":
                return iter([fresh, Routed("more", fresh)])
            case "nothing there":
                return Routed("more", None)
            case _:
                return None


def expected(fates: list[str]) -> tuple[list[Any], list[Any]]:
    """What must arrive on `out`, and on `more`."""
    out: list[Any] = []
    more: list[Any] = []
    for number, fate in enumerate(fates):
        fresh = {"id": number, "deep": [{"x": number}]}
        match fate:
            case "out" | "to out":
                out.append(((0, number), fresh))
            case "more" | "kept":
                more.append(((0, number), fresh))
            case "itself" | "item kept":
                more.append(((0, number), {"id": number, "fate": fate}))
            case "many":
                out.append(((0, number, 0), fresh))
                more.append(((0, number, 1), fresh))
            case _:
                pass
    return out, more


@pytest.mark.parametrize("kind", stretches.ALL)
@pytest.mark.parametrize("read", [("out", "more"), ("more",)])
@given(fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=20), data=st.data())
def test_each_port_gets_its_items_in_order_as_they_were_when_they_were_given(
    kind: str, read: tuple[str, ...], fates: list[str], data: st.DataObject
) -> None:
    stage = Replica(Routes(), ports=read, numbering=Numbering.PER_PORT)
    for sender in stage.senders.values():
        sender.is_idle = data.draw(st.booleans())
    items = [{"id": number, "fate": fate} for number, fate in enumerate(fates)]
    cut = data.draw(st.integers(0, len(items)))
    parts = {0: copy.deepcopy(items[:cut]), cut: copy.deepcopy(items[cut:])}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "stretch", stretches.load(kind))
        stage.work_on_rows({unit: part for unit, part in parts.items() if part})

    out, more = expected(fates)
    assert pairs_of(stage.senders["more"]) == more
    if "out" in read:
        assert pairs_of(stage.senders["out"]) == out
    assert stage.row[RECEIVED] == stage.row[PROCESSED] == len(fates)
    assert stage.row[EMPTY] == fates.count("none") + fates.count("nothing there")


def test_what_nobody_else_has_waits_as_it_is_on_each_port() -> None:
    stage = Replica(Routes(), ports=("out", "more"), numbering=Numbering.PER_PORT)
    for sender in stage.senders.values():
        sender.is_idle = False
    piles: list[Any] = []
    express = stage.outbox.express("more")
    assert express is not None

    def looking(item: dict[str, Any]) -> Any:
        piles.append(express.run.pile)
        return Routes()(item)

    stage.loop.work.call = looking
    stage.work_on_rows({0: [{"id": n, "fate": ("more", "itself")[n % 2]} for n in range(10)]})

    assert piles == [None] * 10
    assert len(pairs_of(stage.senders["more"])) == 10
