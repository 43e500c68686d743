import sys
from dataclasses import replace

import pytest

from pipeflow.cli.failure import FailureTeller, place
from pipeflow.config.render import render_text
from pipeflow.errors import Location
from pipeflow.planner.make import make_plan
from pipeflow.spec.policies import STOP, ErrorPolicy, OnError
from pipeflow.telemetry.report import ErrorFacts
from tests.cli.fakes import FILE, MACHINE, TEXT, pipeline, stage

ERROR = ErrorFacts(
    stage="save",
    item="find:17",
    type="ValueError",
    message="no",
    traceback="",
    at=f"{FILE}:4:3",
)


def told(
    error: ErrorFacts,
    on_error: ErrorPolicy = STOP,
    replicas: int = 1,
    file: str = FILE,
    source: str = "",
    work_at: Location | None = None,
    text: str = TEXT,
) -> list[str]:
    save = stage("save", 4, "find", on_error=on_error, replicas=replicas)
    spec = pipeline(
        stage("find", 2),
        replace(save, work_at=work_at or save.at),
        secrets=("hunter2",),
    )
    plan = make_plan(spec, MACHINE)
    find, *others = plan.stages
    teller = FailureTeller(
        plan=replace(plan, file=file, stages=(replace(find, operator=source), *others)),
        sources={FILE: text},
        render=lambda finding, sources: render_text((finding,), sources),
    )
    return teller.text(error).splitlines()


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ("item", "error[stage-failed]: stage 'save' failed on item find:17: ValueError: no"),
        ("import", "error[import-failed]: stage 'save' could not be loaded"),
        ("constructor", "error[constructor-failed]: stage 'save' failed in its constructor"),
        ("finish", "error[finish-failed]: stage 'save' failed in finish()"),
        ("close", "error[close-failed]: stage 'save' failed in close()"),
        (
            "pickling",
            "stage 'save' gave what cannot cross to another process on item find:17: no",
        ),
        ("program", "error[program-failed]: stage 'save' failed on item find:17: no"),
        ("death", "error[worker-died]: stage 'save' lost a worker: no"),
        ("unheard-of", "error[stage-failed]: stage 'save' failed"),
    ],
)
def test_each_phase_has_its_words(phase: str, said: str) -> None:
    first = told(replace(ERROR, phase=phase))[0]

    assert first.startswith("a.yaml:4:3: ")
    assert said in first


def test_a_replica_is_named_when_there_are_several() -> None:
    first = told(replace(ERROR, replica=1), replicas=2)[0]

    assert "stage 'save' (replica 1) failed" in first


def test_a_traceback_without_frames_is_not_told_before_the_message() -> None:
    bare = told(replace(ERROR, traceback="ValueError: no\n"))
    full = told(replace(ERROR, traceback='Traceback:\n  File "a.py"\nValueError: no\n'))

    assert bare[0].startswith("a.yaml:4:3: error[stage-failed]")
    assert full[:3] == ["Traceback:", '  File "a.py"', "ValueError: no"]


def test_a_failure_of_the_run_as_a_whole_names_the_file() -> None:
    whole = replace(ERROR, stage="", item="", at=FILE, phase="run", message="a waits for b")

    assert told(whole) == ["a.yaml: error[run-failed]: a waits for b"]


def test_no_hint_where_a_policy_is_given_or_cannot_help() -> None:
    told_with_policy = told(ERROR, on_error=ErrorPolicy(then=OnError.SKIP))
    told_of_source = told(replace(ERROR, stage="find", at=f"{FILE}:2:3"))
    told_of_import = told(replace(ERROR, phase="import"))

    assert any("hint: to go on past" in line for line in told(ERROR))
    for lines in (told_with_policy, told_of_source, told_of_import):
        assert not any("hint" in line for line in lines)


def test_what_cannot_be_pickled_has_a_hint_about_what_can_and_then_how_to_go_on() -> None:
    unpicklable = replace(ERROR, phase="pickling")
    of_source = replace(unpicklable, stage="find", at=f"{FILE}:2:3")

    assert told(unpicklable)[-1].startswith("  hint: items are data: numbers, text")
    assert "; to go on past such items, " in told(unpicklable)[-1]
    assert told(of_source)[-1].endswith("where they are used")


@pytest.mark.parametrize(("source", "hinted"), [("csv.read", True), ("", False)])
def test_a_bad_record_of_a_built_in_source_may_be_passed_and_one_of_your_own_not(
    source: str, hinted: bool
) -> None:
    lines = told(replace(ERROR, stage="find", at=f"{FILE}:2:3"), source=source)

    assert any("'on_error: skip'" in line for line in lines) is hinted


@pytest.mark.parametrize(
    "message", ["[Errno 28] No space left on device: 'x.jsonl'", "database or disk is full"]
)
def test_a_full_disk_is_no_reason_to_go_on_past_items(message: str) -> None:
    lines = told(replace(ERROR, message=message))

    assert lines[-1] == ("  hint: no item is to blame: make room on that disk, and run again")


@pytest.mark.parametrize("phase", ["constructor", "finish", "close"])
def test_a_full_disk_has_its_hint_where_no_item_is_in_hand(phase: str) -> None:
    full = replace(ERROR, phase=phase, item="", message="[Errno 28] No space left on device: 'x'")

    assert told(full)[-1] == "  hint: make room on that disk, and run again"


@pytest.mark.parametrize(("file", "hinted"), [(f"sub/{FILE}", True), (FILE, False)])
def test_what_is_missing_where_the_command_was_started_may_lie_beside_the_file(
    file: str, hinted: bool
) -> None:
    missing = replace(
        ERROR,
        stage="find",
        item="",
        type="FileNotFoundError",
        message="no folder 'photos' here (/home/me)",
    )

    lines = told(missing, file=file)

    assert any("${file.dir}/…" in line for line in lines) is hinted


def test_the_end_of_the_memory_is_told_with_what_takes_it() -> None:
    lines = told(replace(ERROR, phase="run", type="MemoryLimitReached", item=""))

    assert lines[-1] == (
        "  hint: raise `limits.memory`, or have fewer arrays at a time: each worker has one in hand"
        " and one under way to each reader, so lower `replicas`; or hold fewer in your code"
    )


def test_the_last_try_says_which_it_was_and_the_hint_speaks_of_its_long_form() -> None:
    lines = told(replace(ERROR, attempt=4), on_error=ErrorPolicy(retries=3))

    assert "failed on item find:17, at try 4: ValueError: no" in lines[0]
    assert lines[-1] == (
        "  hint: to go on past such items, say in its on_error 'then: skip',"
        " or 'then: dead_letter' and read its errors port"
    )


def test_what_had_left_before_a_failure_is_told() -> None:
    assert "  2 results of it had left before" in told(replace(ERROR, emitted=2))
    assert "  1 result of it had left before" in told(replace(ERROR, emitted=1))


def test_a_spent_budget_is_told_at_the_policy_with_the_last_item_that_was_given_up() -> None:
    spent = replace(
        ERROR,
        phase="budget",
        type="BudgetSpent",
        message="stage 'save' gave up 101 of 5000 items, its budget is 100",
        at=f"{FILE}:5:15",
        view="{}",
    )

    lines = told(spent)

    assert lines[0] == (
        "a.yaml:5:15: error[budget-spent]: "
        "stage 'save' gave up 101 of 5000 items, its budget is 100"
    )
    assert lines[-2:] == [
        "  item: {}",
        "  hint: the item and the traceback are those of the last one, find:17",
    ]


@pytest.mark.parametrize("quote", ["", "'"])
def test_what_could_not_be_loaded_is_told_at_its_call(quote: str) -> None:
    lines = told(
        replace(ERROR, phase="import", at=f"{FILE}:5:11"),
        work_at=Location(FILE, 5, 11),
        text=TEXT.replace("m:save", f"{quote}m:save{quote}"),
    )

    assert lines[0].startswith("a.yaml:5:11: error[import-failed]: stage 'save' could not be")
    assert lines[2] == "      |           " + "^" * len(f"{quote}m:save{quote}")


def test_a_missing_module_is_told_with_the_python_that_lacks_it() -> None:
    last = told(replace(ERROR, phase="import", type="ModuleNotFoundError"))[-1]

    assert last == f"  hint: the Python that runs pipeflow does not have it: {sys.executable}"


def test_secrets_controls_and_length_are_kept_from_the_terminal() -> None:
    nasty = replace(ERROR, message="hunter2 \x1b[2J" + "x" * 10_000, view="hunter2")

    lines = told(nasty)

    assert r"ValueError: *** \x1b[2Jxxx" in lines[0]
    assert len(lines[0]) < 600
    assert "  item: ***" in lines


def test_a_place_is_read_from_its_end() -> None:
    assert place("C:a.yaml:12:3") == Location("C:a.yaml", 12, 3)
    assert place("a.yaml") is None
    assert place("") is None
