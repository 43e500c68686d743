"""The join of the latest, fed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeflow.planner.plan import Pairing
from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.joins import Call, Kept, Lone, Output, UnitEnd
from pipeflow.runtime.flow.latest import Latest
from pipeflow.runtime.flow.units import Part


class Bench:
    """A join with one item to a part; a frame's note is ``(port, number)`` of its one item."""

    def __init__(self, *, ahead: int = 0, ports: int = 2, unit_ends: bool = False) -> None:
        self.collectors = [
            Collector(writers=1, lanes=1, ordered=True, in_parts=False, first=0, step=1)
            for _ in range(ports)
        ]
        self.join = Latest(self.collectors, Pairing(ahead=ahead), unit_ends=unit_ends)
        self.sent = [0] * ports

    def feed(self, port: int, *payloads: Any) -> None:
        for payload in payloads:
            number = self.sent[port]
            self.sent[port] += 1
            part = Part(0, number, 1, [((port, number), payload)], closed=True, cost=0)
            self.collectors[port].feed(0, part, (port, number))

    def end(self, *ports: int) -> None:
        for port in ports:
            self.collectors[port].end(0)

    def outputs(self) -> list[Output]:
        seen: list[Output] = []
        while (output := self.join.take()) is not None:
            seen.append(output)
        return seen

    def told(self) -> list[Any]:
        return told(self.outputs())


def told(outputs: Sequence[Output]) -> list[Any]:
    """Calls as what they take, the rest as (port, payload)."""
    return [
        output.payload if isinstance(output, Call) else (output.origin.port, output.payload)
        for output in outputs
        if isinstance(output, Call | Lone)
    ]


def test_each_item_of_the_first_port_meets_the_newest_of_the_others() -> None:
    bench = Bench(ports=3)
    bench.feed(1, "a")
    bench.feed(2, "x")
    bench.feed(0, 1, 2)
    first = bench.told()
    bench.feed(1, "b")
    bench.feed(2, "y", "z")
    bench.feed(0, 3)

    assert first == [(1, "a", "x"), (2, "a", "x")]
    assert bench.told() == [(2, "y"), (3, "b", "z")]


def test_calls_have_the_ids_and_units_of_the_first_port() -> None:
    bench = Bench(unit_ends=True)
    bench.feed(1, "a", "b")
    bench.feed(0, 1, 2)

    outputs = bench.outputs()

    calls = [output for output in outputs if isinstance(output, Call)]
    ends = [output.unit for output in outputs if isinstance(output, UnitEnd)]
    assert [(call.id, call.unit) for call in calls] == [((0, 0), 0), ((0, 1), 1)]
    assert ends == [0, 1]


def test_the_newest_is_delivered_with_the_first_call_that_uses_it() -> None:
    bench = Bench()
    bench.feed(1, "a")
    bench.feed(0, 1, 2)

    calls = [output for output in bench.outputs() if isinstance(output, Call)]

    assert [[origin.port for origin in call.origins] for call in calls] == [[0, 1], [0]]


def test_the_first_port_waits_until_each_of_the_others_has_an_item() -> None:
    bench = Bench(ports=3)
    bench.feed(0, 1, 2)
    waits = [bench.told(), bench.join.waits_for()]
    bench.feed(1, "a")
    waits += [bench.told(), bench.join.waits_for()]
    bench.feed(2, "x")

    assert waits == [[], 1, [], 2]
    assert bench.told() == [(1, "a", "x"), (2, "a", "x")]
    assert bench.join.waits_for() == 0


def test_where_that_could_be_for_ever_the_oldest_goes_without() -> None:
    bench = Bench(ahead=2, unit_ends=True)
    bench.feed(0, 1, 2, 3, 4)
    before = bench.outputs()
    bench.feed(1, "a")

    after = bench.outputs()

    assert told(before) == [(0, 1), (0, 2)]
    assert sum(isinstance(output, Kept) for output in before) == 4
    assert told(after) == [(3, "a"), (4, "a")]
    ends = [output.unit for output in [*before, *after] if isinstance(output, UnitEnd)]
    assert ends == [0, 1, 2, 3]


def test_without_a_single_item_on_another_port_there_are_no_calls() -> None:
    bench = Bench()
    bench.feed(0, 1)
    bench.end(1)
    bench.feed(0, 2)
    bench.end(0)

    assert bench.told() == [(0, 1), (0, 2)]
    assert bench.join.over()
    assert bench.join.heard_all()


def test_it_ends_with_the_first_port_and_what_was_never_used_has_no_partner() -> None:
    bench = Bench()
    bench.feed(1, "a")
    bench.feed(0, 1)
    seen = bench.told()
    bench.feed(1, "b")
    bench.outputs()
    bench.end(0)

    assert seen == [(1, "a")]
    assert bench.told() == [(1, "b")]
    assert bench.join.over()
    assert not bench.join.heard_all()


def test_the_end_of_the_first_port_is_seen_however_much_the_others_bring() -> None:
    bench = Bench()
    bench.feed(1, "a")
    bench.feed(0, 1)
    bench.outputs()
    bench.end(0)
    bench.feed(1, *range(100))

    assert bench.told() == []
    assert bench.join.over()


@given(
    st.lists(st.integers(0, 2), max_size=60),
    st.sampled_from([0, 0, 1, 3]),
    st.booleans(),
)
def test_every_item_is_told_once_and_its_credit_given_back_once(
    arrivals: list[int], ahead: int, unit_ends: bool
) -> None:
    bench = Bench(ahead=ahead, ports=3, unit_ends=unit_ends)
    outputs: list[Output] = []
    for number, port in enumerate(arrivals):
        bench.feed(port, number)
        outputs += bench.outputs()
    for port in (1, 2, 0):
        bench.end(port)
    outputs += bench.outputs()

    items: list[Any] = []
    given_back: list[Any] = []
    units: list[int] = []
    for output in outputs:
        match output:
            case Kept(origin):
                given_back.append(origin.frame)
            case Call(id=item, origins=origins):
                items.append(item)
                given_back += [origin.frame for origin in origins if origin.frame is not None]
            case Lone(id=item, origin=origin):
                items.append(item)
                if origin.frame is not None:
                    given_back.append(origin.frame)
            case UnitEnd(unit=unit):
                units.append(unit)
            case _:
                pass
    every = sorted((port, number) for port in range(3) for number in range(bench.sent[port]))
    delivered = sum(len(output.origins) for output in outputs if isinstance(output, Call))
    lone = sum(isinstance(output, Lone) for output in outputs)
    assert delivered + lone == len(every)
    assert sorted(given_back) == every
    assert sorted(item for item in items if item[0] == 0) == [one for one in every if one[0] == 0]
    assert units == (list(range(bench.sent[0])) if unit_ends else [])
    assert bench.join.over()
