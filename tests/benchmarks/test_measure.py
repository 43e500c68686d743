"""Medians, ratios and verdicts, of rounds that were never run."""

from __future__ import annotations

import io
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from rich.console import Console

from tests.benchmarks.__main__ import beforehand
from tests.benchmarks.export import as_json
from tests.benchmarks.measure import (
    Judged,
    Round,
    Spread,
    Verdict,
    judge,
    percentile,
    ratios,
    spread,
)
from tests.benchmarks.model import Bar, Kind, NotAvailable, Sense, System, Workload, WrongResult
from tests.benchmarks.picture import share
from tests.benchmarks.programs import run_program
from tests.benchmarks.rounds import run_rounds
from tests.benchmarks.table import bars_table, number, systems_table

#: In the second round the machine was half as fast, in the third "theirs" could not run.
ROUNDS: list[Round] = [
    {"ours": {"rate": 300.0}, "theirs": {"rate": 100.0}},
    {"ours": {"rate": 100.0}, "theirs": {"rate": 50.0}},
    {"ours": {"rate": 500.0}},
]


def bar(limit: float, *, against: str = "theirs", stretch: float | None = None) -> Bar:
    return Bar(system="ours", metric="rate", against=against, limit=limit, stretch=stretch)


def system(name: str, *results: dict[str, float] | Exception) -> System:
    """Give one result after the other, a round each."""
    left = iter(results)

    def measure(_: object) -> dict[str, float]:
        result = next(left)
        if isinstance(result, Exception):
            raise result
        return result

    return System(name=name, kind=Kind.HAND, measure=measure)


def tell(*_: object) -> None:
    """Stands for one who need not be told."""


def workload(*systems: System, bars: tuple[Bar, ...] = ()) -> Workload:
    return Workload(name="w", what="nothing", systems=systems, bars=bars)


def test_ratios_are_of_the_same_round_and_a_round_that_lacks_one_side_has_none() -> None:
    assert ratios(ROUNDS, "ours", "theirs", "rate") == [3.0, 2.0]


def test_a_spread_is_the_median_between_the_ends() -> None:
    assert spread([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)
    assert spread([]) is None


@pytest.mark.parametrize(
    ("held", "verdict"),
    [
        (bar(2.5), Verdict.MET),
        (bar(2.6), Verdict.MISSED),
        (bar(2.0, stretch=2.5), Verdict.STRETCH),
        (bar(2.0, stretch=2.6), Verdict.MET),
        (bar(300.0, against=""), Verdict.MET),
        (bar(1.0, against="nobody"), Verdict.UNKNOWN),
    ],
)
def test_the_median_decides_on_a_bar(held: Bar, verdict: Verdict) -> None:
    assert judge(held, ROUNDS).verdict is verdict


def test_a_bar_may_ask_for_little() -> None:
    little = Bar(system="ours", metric="rate", sense=Sense.AT_MOST, limit=299.0)

    assert judge(little, ROUNDS).verdict is Verdict.MISSED
    assert judge(little, ROUNDS[:2]).verdict is Verdict.MET


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(1, 101)]

    assert percentile(values, 50) == 51.0
    assert percentile(values, 99) == 100.0
    assert percentile([7.0], 99) == 7.0
    with pytest.raises(ValueError, match="of nothing"):
        percentile([], 50)


def test_a_share_of_a_bar_is_greater_where_it_is_better() -> None:
    half = Judged(bar(2.0), Spread(1.0, 0.5, 2.0), Verdict.MISSED)
    most = Bar(system="ours", metric="p50_us", sense=Sense.AT_MOST, limit=2.0)

    assert share(half) == Spread(0.5, 0.25, 1.0)
    assert share(Judged(most, Spread(4.0, 2.0, 8.0), Verdict.MISSED)) == Spread(0.5, 0.25, 1.0)
    assert share(Judged(most, None, Verdict.UNKNOWN)) is None


def test_rounds_go_round_by_round_and_who_cannot_run_is_asked_once() -> None:
    fast = system("fast", {"rate": 2.0}, {"rate": 3.0})
    absent = system("absent", NotAvailable("not installed"))
    wrong = system("wrong", {"rate": 1.0}, WrongResult("items is 9, and should be 10"))
    told: list[tuple[int, str]] = []

    done = run_rounds(
        workload(fast, absent, wrong), 2, lambda _, round_, who: told.append((round_, who.name))
    )

    assert told == [(1, "fast"), (1, "absent"), (1, "wrong"), (2, "fast"), (2, "wrong")]
    assert done.rounds == [
        {"fast": {"rate": 2.0}, "wrong": {"rate": 1.0}},
        {"fast": {"rate": 3.0}},
    ]
    assert done.absent == {"absent": "not installed"}
    assert done.wrong == {"wrong": "items is 9, and should be 10"}


def test_tables_and_json_tell_what_was_reached_missed_absent_and_wrong() -> None:
    ours = system("ours", {"rate": 300.0}, {"rate": 100.0})
    theirs = system("theirs", {"rate": 100.0}, {"rate": 50.0})
    spin = system("spin", NotAvailable("not available yet"))
    wrong = system("wrong", WrongResult("the total is 3"))
    asked = (bar(15), Bar(system="spin", metric="rate", against="theirs", limit=1))

    done = run_rounds(workload(ours, theirs, spin, wrong, bars=asked), 2, tell)

    out = io.StringIO()
    console = Console(file=out, width=120)
    console.print(systems_table(done))
    console.print(bars_table([done]))
    lines = [line.replace(" ", "") for line in out.getvalue().splitlines()]
    assert "│ours│200(100-300)│byhand│" in lines
    assert "│spin│-│notavailableyet│" in lines
    assert "│wrong│-│WRONG:thetotalis3│" in lines
    assert "│w│items/s│ours│theirs│≥15x│2.5(2-3)│notmet│" in lines
    assert "│w│items/s│spin│theirs│≥1x│-│notavailableyet│" in lines
    told = as_json([done])["workloads"][0]
    assert told["wrong"] == {"wrong": "the total is 3"}
    assert [each["verdict"] for each in told["bars"]] == ["missed", "unknown"]
    assert (told["bars"][0]["median"], told["bars"][0]["max"]) == (2.5, 3.0)


def test_what_is_not_installed_is_said_beforehand_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    said = beforehand(Namespace(png=Path("bars.png"), peers=True))

    install = "pip install 'pipeflow[bench]'"
    assert f"bars.png will not be drawn: that needs matplotlib ({install})" in said
    assert f"pypeln is not installed: {install}" in said
    assert f"dora is not installed: {install}" in said
    assert len(beforehand(Namespace(png=Path("bars.png"), peers=False))) == 1


def test_a_program_that_is_measured_keeps_what_python_compiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    ended = run_program([sys.executable, "-c", "import sys; sys.exit(sys.dont_write_bytecode)"])

    assert ended.code == 0


def test_numbers_have_three_digits_that_matter() -> None:
    assert [number(value) for value in (1234567.8, 99.94, 0.001234)] == [
        "1,234,568",
        "99.9",
        "0.00123",
    ]
