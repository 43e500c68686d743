import io
import re
import threading
from dataclasses import replace

import pytest
from rich.console import Console

from pipeflow.cli.displays import progress_line
from pipeflow.cli.live import LiveTable, drawing
from pipeflow.cli.pump import Pump
from pipeflow.cli.rates import Rates
from pipeflow.telemetry.events import EdgeGauge, Progress, StageGauge


def gauge(name: str, received: int, emitted: int, busy_s: float, wait_s: float) -> StageGauge:
    return StageGauge(
        name=name,
        replicas=2 if name == "model" else 1,
        received=received,
        emitted=emitted,
        skipped=1 if name == "model" else 0,
        dead_lettered=2 if name == "model" else 0,
        busy_s=busy_s,
        wait_in_s=wait_s,
        wait_out_s=0.0,
        running=name != "find",
    )


def look(at_s: float, busiest: str = "model", total: int | None = 400) -> Progress:
    done = int(100 * at_s)
    names = {"find": (0, done), "model": (done, done - 3), "save": (done - 3, 0)}
    stages = tuple(
        gauge(name, *counts, at_s if name == busiest else 0.1, 0 if name == busiest else at_s)
        for name, counts in names.items()
    )
    edges = (
        EdgeGauge(source="find.out", target="model", in_flight=64, capacity=64),
        EdgeGauge(source="model.out", target="save", in_flight=0, capacity=64),
    )
    return Progress(elapsed_s=at_s, stages=stages, edges=edges, total=total)


def seen(*looks: Progress) -> Rates:
    rates = Rates()
    for each in looks:
        rates.see(each)
    return rates


def drawn(progress: Progress, rates: Rates, rows: int = 20, width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)
    console.print(drawing("photos", progress, rates, {"find"}, rows=rows, width=width))
    return console.export_text()


def test_each_stage_has_a_row_with_counts_rate_and_queue() -> None:
    newest = look(2.0)

    text = drawn(newest, seen(look(1.0), newest))

    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["stage"] == ["stage", "x", "in", "out", "rate", "given", "up", "queue"]
    assert rows["find"][:4] == ["find", "1", "200", "100/s"]
    assert rows["find"][-1] == "done"
    assert rows["model"][:6] == ["model", "2", "200", "197", "100/s", "3"]
    assert rows["model"][-1] == "bottleneck"
    assert set(rows["model"][6]) == {"━"}
    assert rows["photos"][-6:] == ["37", "%", "of", "400", "2.0", "s"]  # 64 of 264 still wait


def waiting(total: int | None, received: int, in_flight: int, *, running: bool = True) -> Progress:
    """A source that has given all it has, to a stage behind which another is up to date."""
    find = replace(gauge("find", 0, received + in_flight, 0.0, 0.0), running=False)
    model = replace(gauge("model", received, received, 1.0, 0.0), running=running)
    save = gauge("save", received, 0, 0.0, 1.0)
    edges = (
        EdgeGauge(source="find.out", target="model", in_flight=in_flight, capacity=256),
        EdgeGauge(source="model.out", target="save", in_flight=0, capacity=256),
    )
    return Progress(elapsed_s=1.0, stages=(save, model, find), edges=edges, total=total)


def test_the_bar_tells_what_is_worked_off_and_not_what_the_source_has_given() -> None:
    rates = Rates()

    shown = [drawn(waiting(200, taken, 200 - taken), rates) for taken in (0, 50, 200)]

    assert [re.findall(r"\d+ % of 200", each) for each in shown] == [
        ["0 % of 200"],
        ["25 % of 200"],
        ["100 % of 200"],
    ]


def test_what_waits_for_a_stage_that_needs_no_more_holds_the_bar_not_back() -> None:
    assert "100 % of 200" in drawn(waiting(200, 50, 150, running=False), Rates())


def test_the_bar_never_goes_back() -> None:
    rates = Rates()
    drawn(waiting(200, 150, 50), rates)

    text = drawn(waiting(200, 160, 90), rates)

    assert "75 % of 200" in text


def test_a_line_tells_how_fast_items_are_worked_off_when_the_source_has_long_given_all() -> None:
    sooner = waiting(None, 100, 500)
    later = replace(waiting(None, 300, 300), elapsed_s=5.0)

    line = progress_line("photos", later, seen(sooner, later), {"find"})

    assert line.startswith("photos: 5.0 s, 300 items (50.0/s)")


def test_what_was_dropped_is_told_while_the_run_goes_on() -> None:
    edge = EdgeGauge(source="find.out", target="model", in_flight=8, capacity=8, dropped=1797)
    newest = replace(look(2.0, total=None), edges=(edge,))

    text = drawn(newest, seen(newest))
    line = progress_line("photos", newest, seen(newest), {"find"})

    assert "photos  192 items  1,797 dropped  2.0 s" in text
    lost = "2 dead letters, 1 skipped, 1,797 dropped"
    assert line.startswith(f"photos: 2.0 s, 192 items (96.0/s), {lost};")


def test_without_a_total_the_items_that_are_worked_off_are_counted() -> None:
    newest = look(2.0, total=None)

    text = drawn(newest, seen(newest))

    assert "photos  151 items  2.0 s" in text


def test_of_too_many_stages_the_bottleneck_and_the_busiest_are_shown() -> None:
    newest = look(2.0, busiest="save")

    text = drawn(newest, seen(newest), rows=1)

    assert "save" in text
    assert "model" not in text
    assert "and 2 stages more" in text


@pytest.mark.parametrize(
    ("width", "heading"),
    [
        (66, ["stage", "x", "in", "out", "rate", "given", "up", "queue"]),
        (55, ["stage", "in", "out", "rate", "queue"]),
        (40, ["stage", "in", "rate"]),
        (26, ["stage", "rate"]),
    ],
)
def test_a_narrow_terminal_loses_columns_and_no_rows(width: int, heading: list[str]) -> None:
    newest = look(2.0)

    lines = drawn(newest, seen(look(1.0), newest), width=width).splitlines()

    assert lines[0].split() == heading
    assert [line.split()[0] for line in lines[1:4]] == ["find", "model", "save"]
    assert lines[2].split()[-1] == "bottleneck"
    assert lines[4].split()[0] == "photos"
    assert all(len(line) <= width for line in lines)
    assert len(lines) == 5


def test_a_long_name_is_cut_before_a_column_is_lost() -> None:
    name = "n" * 64
    newest = Progress(elapsed_s=1.0, stages=(gauge(name, 7, 7, 1, 0),), edges=())

    lines = drawn(newest, seen(newest), width=80).splitlines()

    assert lines[0].split()[0:3] == ["stage", "x", "in"]
    assert lines[1].split()[0] == "n" * 19 + "…"


def test_rates_are_those_of_the_last_seconds() -> None:
    slow = Progress(elapsed_s=100.0, stages=(gauge("find", 0, 10, 1, 0),), edges=())
    fast = [
        Progress(elapsed_s=100.0 + i, stages=(gauge("find", 0, 10 + 50 * i, 1, 0),), edges=())
        for i in range(1, 20)
    ]

    rates = seen(slow, *fast)

    assert rates.of(fast[-1].stages[0]) == pytest.approx(50.0)


def test_nothing_seen_is_no_rate_and_no_bottleneck() -> None:
    assert Rates().of(look(1.0).stages[0]) == 0.0
    assert Rates().bottleneck() is None


def test_no_colour_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    table = LiveTable(
        Console(file=stream, force_terminal=True, width=80, height=20), "photos", {"find"}
    )

    table.show(look(1.0))
    table.say("\x1b[31mred\x1b[0m")
    table.close()
    table.close()

    assert "\x1b[31m" not in stream.getvalue()
    assert "\x1b[33m" not in stream.getvalue()
    assert "red\n" in stream.getvalue()


def test_the_pump_passes_whole_lines_and_the_rest_at_the_end() -> None:
    told: list[str] = []
    first = threading.Event()

    def say(text: str) -> None:
        told.append(text)
        first.set()

    pump = Pump(say)
    with open(pump.fd, "wb", buffering=0, closefd=False) as stream:
        stream.write(b"one\ntwo\nth")
        assert first.wait(10)
        stream.write("reé".encode())
    pump.close()
    pump.close()

    assert told == ["one\ntwo", "threé"]
