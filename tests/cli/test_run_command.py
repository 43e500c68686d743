import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

import pipeflow
from pipeflow.api import Reading
from pipeflow.cli.main import main
from pipeflow.cli.summary import doubts
from pipeflow.errors import MachineError, Severity
from pipeflow.planner.make import make_plan
from pipeflow.planner.plan import Plan
from pipeflow.spec.pipeline import Edge, PortRef
from pipeflow.spec.policies import ErrorPolicy, KeyedInputs, OnError
from pipeflow.telemetry.events import (
    Draining,
    EdgeGauge,
    Event,
    ItemFailed,
    LogLine,
    Progress,
    RunFailed,
    StageGauge,
    WorkerStarted,
)
from pipeflow.telemetry.report import EdgeFacts, ErrorFacts, Ledger, Report, Status
from tests.cli.fakes import (
    FILE,
    MACHINE,
    FakeExecutor,
    Terminal,
    Theatre,
    finding,
    pipeline,
    reading,
    report,
    stage,
)

ERROR = ErrorFacts(
    stage="save",
    item="find:17",
    type="ValueError",
    message="no\nroom",
    traceback="Traceback (most recent call last):\n  m.py, line 3, in save\nValueError: no\n",
    at=f"{FILE}:4:3",
    view="{'path': 'a.jpg'}",
)


def play(
    monkeypatch: pytest.MonkeyPatch,
    *arguments: str,
    found: Reading | None = None,
    executor: FakeExecutor | None = None,
    theatre: Theatre | None = None,
) -> tuple[int, Theatre]:
    theatre = theatre or Theatre()
    theatre.executor = executor or FakeExecutor()
    answer = found or reading()
    monkeypatch.setattr("pipeflow.cli.reading.read", lambda *_, **__: answer)
    return main(["run", FILE, *arguments], theatre.world), theatre


def look(elapsed_s: float, emitted: int, total: int | None = None) -> Progress:
    def gauge(name: str, received: int, busy_s: float) -> StageGauge:
        return StageGauge(
            name=name,
            replicas=1,
            received=received,
            emitted=emitted if name == "find" else 0,
            skipped=0,
            dead_lettered=0,
            busy_s=busy_s,
            wait_in_s=elapsed_s - busy_s,
            wait_out_s=0.0,
            running=True,
        )

    return Progress(
        elapsed_s=elapsed_s,
        stages=(gauge("find", 0, 0.0), gauge("save", emitted, elapsed_s)),
        edges=(EdgeGauge(source="find.out", target="save", in_flight=0, capacity=256),),
        total=total,
    )


def test_a_run_that_succeeds_ends_with_0_and_a_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    code, theatre = play(monkeypatch)

    assert code == 0
    assert theatre.err == "photos: 10 items in 2.0 s (5.0/s)\n"
    assert theatre.out == ""


def test_quiet_says_nothing_of_a_good_run(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = FakeExecutor(events=[look(9.0, 100)])

    code, theatre = play(monkeypatch, "--quiet", executor=executor)

    assert (code, theatre.err, theatre.out) == (0, "", "")


def test_the_options_reach_the_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    _, theatre = play(
        monkeypatch,
        *("--seed", "7", "--grace", "1m", "--start-method", "spawn", "--log-level", "debug"),
    )

    [(_, options)] = theatre.executor.asked
    assert (options.seed, options.grace_s) == (7, 60.0)
    assert (options.start_method, options.log_level) == ("spawn", "debug")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.SUCCEEDED, 0),
        (Status.FAILED, 1),
        (Status.INTERRUPTED, 129),
        (Status.INTERRUPTED, 130),
        (Status.INTERRUPTED, 143),
    ],
)
def test_the_exit_code_is_the_reports(
    monkeypatch: pytest.MonkeyPatch, status: Status, code: int
) -> None:
    found, theatre = play(monkeypatch, executor=FakeExecutor(report(status, code)))

    assert found == code
    assert "photos: " in theatre.err


def test_a_file_with_mistakes_never_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    code, theatre = play(monkeypatch, found=reading(None, finding()))

    assert code == 2
    assert theatre.executor.asked == []
    assert theatre.err.startswith(f"{FILE}:6:13: error[unknown-stage]: no stage 'fnid'\n")
    assert "hint: did you mean 'find'?" in theatre.err


def test_warnings_are_shown_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    doubt = finding("unread-output", Severity.WARNING)

    code, theatre = play(monkeypatch, found=reading(None, doubt))

    assert code == 0
    assert theatre.err.startswith(f"{FILE}:6:13: warning[unread-output]: ")


def test_a_limit_of_the_machine_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = FakeExecutor(MachineError("needs 500 processes, ulimit -u leaves 100"))

    code, theatre = play(monkeypatch, executor=executor)

    assert code == 1
    assert "pipeflow: error: this machine: needs 500 processes" in theatre.err


def test_a_failure_shows_traceback_place_item_and_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = report(Status.FAILED, 1, errors=(ERROR,))
    executor = FakeExecutor(failed, events=[RunFailed(error=ERROR)])

    code, theatre = play(monkeypatch, executor=executor)

    assert code == 1
    lines = theatre.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[3] == (
        "a.yaml:4:3: error[stage-failed]: stage 'save' failed on item find:17: ValueError: no room"
    )
    assert "  save:" in lines[4]
    assert "^^^^" in lines[5]
    assert "  item: {'path': 'a.jpg'}" in lines
    assert lines[-2].startswith("  hint: to go on past such items, give the stage 'on_error: skip'")
    assert lines[-1] == "photos: failed after 10 items and 2.0 s (5.0/s)"


def test_a_run_that_is_cut_short_tells_of_what_was_worked_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find, save = report().stages
    edge = EdgeFacts(
        source="find.out", target="save", input="", transport="pipe", capacity=8, sent=10, unread=5
    )
    failed = report(
        Status.INTERRUPTED,
        130,
        stages=(find, replace(save, received=5, processed=3, skipped=1, failed=1)),
        edges=(edge,),
    )

    _, theatre = play(monkeypatch, executor=FakeExecutor(failed))

    assert theatre.err == "photos: interrupted after 4 items and 2.0 s (2.0/s), 1 skipped\n"


def test_why_an_item_is_skipped_is_told_of_the_first_of_each_stage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    skip = ErrorPolicy(then=OnError.SKIP)
    spec = pipeline(stage("find", 2), stage("save", 4, "find", on_error=skip))

    def failed(item: str) -> ItemFailed:
        why = {"type": "ValueError", "message": "no\nroom"}
        return ItemFailed(stage="save", replica=0, item=item, **why)

    _, theatre = play(
        monkeypatch,
        found=reading(spec),
        executor=FakeExecutor(events=[failed("find:3"), failed("find:4")]),
    )

    assert theatre.err.splitlines() == [
        "save | warning: skipped item find:3: ValueError: no\\nroom (--events FILE tells of each)",
        "photos: 10 items in 2.0 s (5.0/s)",
    ]


def test_a_failure_is_told_once_and_also_when_no_event_told_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = report(Status.FAILED, 1, errors=(ERROR,))

    _, silent = play(monkeypatch, executor=FakeExecutor(failed))
    _, told = play(monkeypatch, executor=FakeExecutor(failed, events=[RunFailed(error=ERROR)]))

    assert silent.err.count("error[stage-failed]") == 1
    assert told.err == silent.err


def test_a_ledger_that_does_not_balance_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    unbalanced = report(ledger=Ledger(balanced=False, findings=("edge a.out -> b: 3 sent",)))

    code, theatre = play(monkeypatch, executor=FakeExecutor(unbalanced))

    assert code == 1
    assert "the ledger does not balance: edge a.out -> b: 3 sent" in theatre.err


def test_what_stages_say_bears_their_name_and_no_control_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = pipeline(stage("find", 2), stage("save", 4, "find", replicas=2), secrets=("hunter2",))
    events: list[Event] = [
        LogLine(stage="find", replica=0, level="print", text="hello\nworld"),
        LogLine(stage="save", replica=1, level="warning", text="\x1b[31mhunter2\x1b[0m\x1b[2J"),
        Draining(signal="SIGINT"),
        Draining(signal="SIGTERM"),
    ]

    _, theatre = play(monkeypatch, found=reading(many), executor=FakeExecutor(events=events))

    assert theatre.err.splitlines()[:-1] == [
        "find | hello",
        "find | world",
        r"save[1] | warning: ***\x1b[2J",
        "^C: draining; once more to stop at once",
        "SIGTERM: draining; once more to stop at once",
    ]


def test_without_a_terminal_lines_come_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [look(second, 10 * second, total=2000) for second in range(1, 200)]

    _, theatre = play(monkeypatch, executor=FakeExecutor(events=looks))

    lines = [line for line in theatre.err.splitlines() if " of 2,000" in line]
    assert [line.split(",")[0] for line in lines] == [
        "photos: 5.0 s",
        "photos: 15.0 s",
        "photos: 35.0 s",
        "photos: 1 min 15 s",
        "photos: 2 min 15 s",
        "photos: 3 min 15 s",
    ]
    assert lines[0] == ("photos: 5.0 s, 50 items of 2,000, 2 % (10.0/s); 'save' is the bottleneck")


def test_on_a_terminal_a_table_is_drawn_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Theatre(stderr=Terminal(), environ={"TERM": "xterm"})
    monkeypatch.setenv("TERM", "xterm")
    looks: list[Event] = [
        look(1.0, 10, total=40),
        LogLine(stage="find", replica=0, level="print", text="hello"),
    ]

    code, theatre = play(monkeypatch, executor=FakeExecutor(events=looks), theatre=terminal)

    assert code == 0
    for text in ("stage", "save", "10.0/s", "bottleneck", "25 % of 40", "find | hello"):
        assert text in theatre.err
    assert "\x1b[1A\x1b[2K" in theatre.err  # lines taken away
    assert theatre.err.splitlines()[-1].endswith("photos: 10 items in 2.0 s (5.0/s)")


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Theatre(stderr=Terminal(), environ={"TERM": "dumb"})

    _, theatre = play(monkeypatch, executor=FakeExecutor(events=[look(6.0, 60)]), theatre=terminal)

    assert "\x1b" not in theatre.err
    assert "photos: 6.0 s, 60 items (10.0/s)" in theatre.err


def test_report_and_events_are_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failed = report(Status.FAILED, 1, errors=(ERROR,))
    started = WorkerStarted(stage="find", replica=0, pid=12)
    executor = FakeExecutor(failed, events=[started, look(1.0, 1), RunFailed(error=ERROR)])
    target, events = tmp_path / "r.json", tmp_path / "e.jsonl"

    code, _ = play(monkeypatch, "--report", str(target), "--events", str(events), executor=executor)

    lines = [json.loads(line) for line in events.read_text().splitlines()]
    assert code == 1
    assert json.loads(target.read_text())["run"]["exit_code"] == 1
    assert [line["event"] for line in lines] == ["run_started", "worker_started", "run_finished"]
    assert {line["time"] for line in lines} == {1000.0}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.jsonl", "r.json"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_last_words_costs_no_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    def interrupted(_report: Report, _plan: Plan) -> str:
        signal.raise_signal(number)
        return "the summary"

    monkeypatch.setattr("pipeflow.cli.summary.summary", interrupted)
    before = signal.getsignal(number)

    code, theatre = play(monkeypatch, "--report", str(tmp_path / "r.json"))

    assert code == 0
    assert theatre.err.endswith("the summary\n")
    assert (tmp_path / "r.json").exists()
    assert signal.getsignal(number) is before


def test_an_events_file_that_cannot_be_opened_is_a_bad_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, theatre = play(monkeypatch, "--events", str(tmp_path))

    assert code == 2
    assert theatre.executor.asked == []


def test_until_runs_only_what_leads_to_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pipeline(
        stage("find", 2),
        stage("decode", 3, "find", on_error=ErrorPolicy(then=OnError.DEAD_LETTER)),
        stage("save", 4, "decode"),
        stage("broken", 5, "decode.errors"),
    )

    doubt = finding("unread-output", Severity.WARNING)  # of a stage that does not run now

    found = reading(whole, doubt)
    code, theatre = play(monkeypatch, "--until", "decode", "--take", "3", found=found)

    [(plan, _)] = theatre.executor.asked
    assert code == 0
    assert "warning" not in theatre.err
    assert [each.name for each in plan.stages] == ["find", "decode", "take", "print"]
    assert plan.stages[2].parameters["n"] == 3


def test_until_may_name_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pipeline(
        stage("find", 2),
        stage("decode", 3, "find", on_error=ErrorPolicy(then=OnError.DEAD_LETTER)),
        stage("broken", 5, "decode.errors"),
    )

    code, theatre = play(monkeypatch, "--until", "decode.errors", found=reading(whole))

    [(plan, _)] = theatre.executor.asked
    assert code == 0
    assert "warning" not in theatre.err
    assert [(edge.port, edge.target) for edge in plan.edges] == [
        ("out", 1),
        ("errors", 2),
        ("out", 3),
    ]
    assert all(edge.needed for edge in plan.edges)  # who wants the letters is who it runs for


def test_until_an_unknown_stage_is_a_bad_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    code, theatre = play(monkeypatch, "--until", "sav")

    assert code == 2
    assert "no stage has the name 'sav'; did you mean 'save'?" in theatre.err


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("find.masks", "stage 'find' has no port 'masks'; there are: find"),
        (
            "find.errors",
            (
                "stage 'find' has no port 'errors'; it opens with 'on_error: dead_letter'; "
                "there are: find"
            ),
        ),
    ],
)
def test_until_an_unknown_port_names_those_that_are_there(
    monkeypatch: pytest.MonkeyPatch, target: str, told: str
) -> None:
    code, theatre = play(monkeypatch, "--until", target)

    assert (code, theatre.err) == (2, f"pipeflow: error: {told}\n")


def test_a_zip_that_leaves_items_over_is_a_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    at = stage("both", 4).at
    both = replace(
        stage("both", 4),
        named_inputs=True,
        edges=(
            Edge(source=PortRef("a"), at=at, input="a"),
            Edge(source=PortRef("b"), at=at, input="b"),
        ),
    )
    spec = pipeline(stage("a", 2), stage("b", 3), both)
    edge = EdgeFacts(
        source="b.out", target="both", input="b", transport="pipe", capacity=1, unmatched=2
    )

    _, theatre = play(
        monkeypatch, found=reading(spec), executor=FakeExecutor(report(edges=(edge,)))
    )

    assert (
        "pipeflow: warning: stage 'both': 2 items of input 'b' found no partner,"
        " since another input ended before\n"
    ) in theatre.err


@pytest.mark.parametrize("paired", [0, 1])
def test_a_join_by_key_that_joins_nothing_is_a_doubt(
    monkeypatch: pytest.MonkeyPatch, paired: int
) -> None:
    at = stage("both", 4).at
    both = replace(
        stage("both", 4),
        named_inputs=True,
        join=KeyedInputs(expressions={"a": "item", "b": "item"}),
        edges=(
            Edge(source=PortRef("a"), at=at, input="a"),
            Edge(source=PortRef("b"), at=at, input="b"),
        ),
    )
    spec = pipeline(stage("a", 2), stage("b", 3), both)
    edges = tuple(
        EdgeFacts(
            source=f"{port}.out",
            target="both",
            input=port,
            transport="pipe",
            capacity=1,
            sent=3,
            delivered=paired,
            unmatched=3 - paired,
        )
        for port in ("a", "b")
    )

    _, theatre = play(monkeypatch, found=reading(spec), executor=FakeExecutor(report(edges=edges)))

    doubt = "stage 'both' has joined nothing: no items of 'a', 'b' had equal keys in time"
    assert (doubt in theatre.err) is (paired == 0)
    assert f"{2 * (3 - paired)} unmatched" in theatre.err


def test_a_zip_by_id_that_joins_nothing_is_a_doubt() -> None:
    spec = {
        "all": {"use": "range", "with": {"stop": 3}},
        "even": {"use": "filter", "with": {"where": "item % 2 == 0"}, "inputs": "all"},
        "odd": {"use": "filter", "with": {"where": "item % 2"}, "inputs": "all"},
        "both": {"call": "random:randint", "inputs": {"a": "even", "b": "odd"}},
        "sink": {"use": "null", "inputs": "both"},
    }

    said = list(
        doubts(pipeflow.run({"stages": spec}, executor="inline"), pipeflow.plan({"stages": spec}))
    )

    assert len(said) == 1
    assert said[0].startswith(
        "stage 'both' has joined nothing: no items of 'a', 'b' had the same id;"
    )


@pytest.mark.parametrize(("count", "early"), [(0, False), (0, True), (1, False)])
def test_a_pattern_that_no_file_matches_is_a_doubt(count: int, early: bool) -> None:
    find, save = report().stages
    found = report(stages=(replace(find, emitted={"out": count}, ended_early=early), save))
    plan = make_plan(pipeline(), MACHINE)
    plan = replace(plan, stages=(replace(plan.stages[0], operator="files"), plan.stages[1]))

    said = list(doubts(found, plan))

    expected = "stage 'find' has found no files: look at its `root` and `pattern`"
    assert said == ([] if count or early else [expected])


def test_a_name_of_several_lines_is_told_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    named = report()
    named = replace(named, run=replace(named.run, pipeline="a\nb\x1b"))
    spec = replace(pipeline(), name="a\nb\x1b")

    _, theatre = play(
        monkeypatch, found=reading(spec), executor=FakeExecutor(named, [look(6.0, 10, total=None)])
    )

    assert theatre.err.splitlines() == [
        "a\\nb\\x1b: 6.0 s, 10 items (1.7/s); 'save' is the bottleneck",
        "a\\nb\\x1b: 10 items in 2.0 s (5.0/s)",
    ]


def test_losses_and_an_early_end_are_in_the_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    find, save = report().stages
    edge = EdgeFacts(
        source="find.out", target="save", input="", transport="pipe", capacity=1, dropped=2
    )
    ended = report(
        stages=(
            replace(find, skipped=1, ended_early=True),
            replace(save, dead_lettered=2400, emitted={"errors": 1200}, ended_early=True),
        ),
        edges=(edge,),
    )

    _, theatre = play(monkeypatch, executor=FakeExecutor(ended))

    assert theatre.err == (
        "photos: 10 items in 2.0 s (5.0/s), 1,200 dead letters, 2 dropped items, 1 skipped,"
        " ended early by 'save'\n"
    )
