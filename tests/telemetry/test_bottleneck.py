from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from pipeflow.telemetry.bottleneck import find_bottleneck

SECONDS = st.floats(min_value=0, max_value=1e6)


@dataclass(frozen=True)
class Times:
    name: str
    busy_s: float = 0.0
    wait_in_s: float = 0.0
    wait_out_s: float = 0.0


@dataclass(frozen=True)
class Link:
    source: str
    target: str


def test_the_stage_that_works_while_the_others_wait_is_the_bottleneck() -> None:
    stages = [
        Times("read", busy_s=1, wait_out_s=9),
        Times("model", busy_s=9.4, wait_in_s=0.6),
        Times("save", busy_s=2, wait_in_s=8),
    ]
    edges = [Link("read.out", "model"), Link("model.out", "save")]

    found = find_bottleneck(stages, edges)

    assert found is not None
    assert found.stage == "model"
    assert found.why == (
        "busy 94 % of its time, waiting for input 6 %; 'read' waited to send 90 % of its"
    )


def test_of_two_busy_stages_it_is_the_one_for_which_writers_wait() -> None:
    stages = [Times("read", busy_s=5), Times("a", busy_s=5), Times("b", busy_s=5)]
    blocked = [*stages, Times("wait", busy_s=1, wait_out_s=4)]

    found = find_bottleneck(blocked, [Link("wait.out", "b"), Link("read.out", "a")])

    assert found is not None
    assert found.stage == "b"


def test_of_stages_that_never_wait_the_last_is_the_slowest() -> None:
    stages = [Times("sensor", busy_s=9.8, wait_in_s=0), Times("slow", busy_s=9.7, wait_in_s=0.2)]
    behind = Times("save", busy_s=0.1, wait_in_s=9.9)
    edges = [Link("sensor.out", "slow"), Link("slow.out", "save")]

    found = find_bottleneck([*stages, behind], edges)

    assert found is not None
    assert found.stage == "slow"


def test_a_slow_source_is_the_bottleneck_of_those_who_wait_for_it() -> None:
    stages = [Times("sensor", busy_s=10), Times("save", busy_s=0.1, wait_in_s=9.9)]

    found = find_bottleneck(stages, [Link("sensor.out", "save")])

    assert found is not None
    assert (found.stage, found.why) == ("sensor", "busy 100 % of its time")


def test_nothing_is_said_of_a_run_too_short_to_tell() -> None:
    assert find_bottleneck([], []) is None
    assert find_bottleneck([Times("read", busy_s=0.001)], []) is None


def test_nobody_is_blamed_when_all_are_idle() -> None:
    idle = [Times("a", busy_s=0.1, wait_in_s=9), Times("b", busy_s=0.2, wait_in_s=9)]

    assert find_bottleneck(idle, [Link("a.out", "b")]) is None


@given(st.lists(st.tuples(SECONDS, SECONDS, SECONDS), max_size=6))
def test_any_times_give_a_known_stage_or_nothing(times: list[tuple[float, float, float]]) -> None:
    stages = [Times(f"s{i}", *each) for i, each in enumerate(times)]
    edges = [Link(f"s{i}.out", f"s{i + 1}") for i in range(len(stages) - 1)]

    found = find_bottleneck(stages, edges)

    assert found is None or found.stage in {stage.name for stage in stages}
