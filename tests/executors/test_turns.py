"""Who is next when all workers share one process; no pipeline runs here."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

from pipeflow.executors.inline.turns import Order, Turn
from pipeflow.stages.context import StageContext


def chain(length: int) -> list[Turn]:
    """Turns of a chain, the source first; nobody has anything to do."""
    turns = [turn(index, index) for index in range(length)]
    for writer, reader in itertools.pairwise(turns):
        writer.readers.append(reader)
    return turns


def turn(index: int, level: int) -> Turn:
    stage: Any = SimpleNamespace(level=level, index=index)
    context = StageContext(stage=str(index), replica=0)
    row = memoryview(bytearray(8)).cast("Q")
    return Turn(
        index=index, stage=stage, context=context, row=row, source=level == 0, goes_on=False
    )


def test_who_lies_furthest_downstream_is_next_and_the_source_last() -> None:
    source, step, sink = turns = chain(3)
    order = Order(turns)
    for each in turns:
        each.goes_on = True

    def had() -> Turn | None:
        found = order.next()
        if found is not None:
            found.goes_on = False
        return found

    assert [had(), had(), had(), had()] == [sink, step, source, None]


def test_what_an_item_sets_going_is_followed_down_the_chain() -> None:
    source, step, sink = turns = chain(3)
    order = Order(turns)

    source.goes_on = True
    assert order.next() is source
    step.goes_on = True
    assert order.next() is step
    step.goes_on, sink.goes_on = False, True
    assert order.next() is sink
    sink.goes_on = False
    assert order.next() is source


def test_sources_have_their_turns_one_after_the_other() -> None:
    turns = [turn(0, 0), turn(1, 0), turn(2, 1), turn(3, 0)]
    first, second, sink, unread = turns
    first.readers = second.readers = [sink]
    order = Order(turns)
    for source in (first, second, unread):
        source.goes_on = True

    had = [order.next() for _ in range(6)]

    assert had == [first, second, unread] * 2


def test_what_happens_beside_the_turns_is_seen_at_once() -> None:
    source, step, sink = turns = chain(3)
    order = Order(turns)

    source.goes_on = True
    assert order.next() is source
    sink.goes_on = True  # not a reader of the source
    order.ask_everybody()
    assert order.next() is sink
    sink.goes_on = False
    assert not source.is_overtaken()
    step.goes_on = True
    assert source.is_overtaken()


def test_a_source_that_is_full_gives_way_to_another_until_nobody_else_can_go_on() -> None:
    busy, other = turn(0, 0), turn(1, 0)
    busy.goes_on = other.goes_on = True
    in_flight = 3
    counters = SimpleNamespace(in_flight=lambda: in_flight)
    channel: Any = SimpleNamespace(readers_open=1, counters=counters)
    busy.bounds = [(channel, 3)]
    order = Order([busy, other])

    seen = [order.next()]
    other.goes_on = False
    order.ask_everybody()
    seen.append(order.next())
    other.goes_on = True
    order.ask_everybody()
    seen += [order.next(), order.next()]
    in_flight = 2
    order.ask_everybody()
    seen.append(order.next())

    assert seen == [other, busy, other, other, busy]


def test_a_closed_channel_is_told_once() -> None:
    (source,) = chain(1)
    opened: Any = SimpleNamespace(readers_open=1)
    closed: Any = SimpleNamespace(readers_open=0)
    source.outlets = [opened, closed]

    assert source.can_go_on()
    assert source.lose_outlets() == [closed]
    assert source.lose_outlets() == []
    assert not source.can_go_on()
