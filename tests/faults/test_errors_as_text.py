"""What a stage raised is told with its type, its text and its traceback, whatever it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.commands import pipeflow, write

pytestmark = pytest.mark.processes

RAISING = '''
import threading

class Pair(Exception):
    """Pickles, and can then not be made again."""

    def __init__(self, first, second):
        super().__init__(first)
        self.second = second

class Holder(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")

class Local:
    class Inner(ValueError):
        pass

def deep(item):
    return {}[item]

def fail(item, how):
    if how == "pair":
        raise Pair("one", "two")
    if how == "holder":
        raise Holder("held")
    if how == "mute":
        raise Mute
    if how == "inner":
        raise Local.Inner("within")
    if how == "cause":
        try:
            deep(item)
        except KeyError as error:
            raise ValueError("no such item") from error
    if how == "context":
        try:
            deep(item)
        except KeyError:
            raise ValueError("on the way")
    if how == "note":
        error = ValueError("with a note")
        error.add_note("look here")
        raise error
    if how == "group":
        raise ExceptionGroup("two", [ValueError("one"), ExceptionGroup("in", [KeyError("other")])])
    if how == "base group":
        raise BaseExceptionGroup("worse", [KeyboardInterrupt(), ValueError("one")])
    if how == "bare":
        raise MemoryError
    if how == "lines":
        raise ValueError("first line\\nsecond line")
    if how == "syntax":
        compile("a b", "given.txt", "exec")
    if how == "long":
        raise ValueError("x" * 100_000)
'''


@pytest.mark.parametrize("executor", ["local", "inline"])
@pytest.mark.parametrize(
    ("how", "kind", "message", "told"),
    [
        ("pair", "raising.Pair", "one", 'raise Pair("one", "two")'),
        ("holder", "raising.Holder", "held", 'raise Holder("held")'),
        ("mute", "raising.Mute", "(its text cannot be shown: RuntimeError)", ""),
        ("inner", "raising.Local.Inner", "within", "raise Local.Inner"),
        ("cause", "ValueError", "no such item", "direct cause of the following exception"),
        ("cause", "ValueError", "no such item", "return {}[item]"),
        ("context", "ValueError", "on the way", "During handling of the above exception"),
        ("note", "ValueError", "with a note", "\nlook here"),
        ("group", "ExceptionGroup", "two (2 sub-exceptions)", "ValueError: one"),
        ("group", "ExceptionGroup", "two (2 sub-exceptions)", "KeyError: 'other'"),
        ("base group", "BaseExceptionGroup", "worse (2 sub-exceptions)", "KeyboardInterrupt"),
        ("bare", "MemoryError", "", "raise MemoryError"),
        ("lines", "ValueError", "first line\nsecond line", "second line"),
        ("syntax", "SyntaxError", "invalid syntax (given.txt, line 1)", "a b"),
    ],
)
def test_f07_an_exception_is_told_as_text_whether_or_not_it_can_be_pickled(
    tmp_path: Path, how: str, kind: str, message: str, told: str, executor: str
) -> None:
    stages = {
        "source": {"use": "range", "with": {"stop": 1}},
        "fail": {"call": "raising:fail", "inputs": "source", "with": {"how": how}},
    }
    file, report = write(tmp_path, stages, {"raising": RAISING}), tmp_path / "r.json"

    done = pipeflow("run", file, "--executor", executor, "--report", report)

    (error,) = json.loads(report.read_text())["errors"]
    assert done.returncode == 1
    assert (error["stage"], error["item"], error["type"]) == ("fail", "source:0", kind)
    assert error["message"] == message
    assert told in error["traceback"]
    assert "pipeflow/runtime" not in error["traceback"]
    shown = f"{kind}: {' '.join(message.split())}" if message else f"{kind}\n"
    assert f"stage 'fail' failed on item source:0: {shown}" in done.stderr


TRAPS = """
import sys
import threading

class Pair(Exception):
    def __init__(self, first, second):
        super().__init__(first)
        self.lock = threading.Lock()

def strike(how):
    if how == "pair":
        raise Pair("one", "two")
    if how == "exit":
        sys.exit(7)
    if how == "note":
        error = ValueError("with a note")
        error.add_note("look here")
        raise error
    if how == "cause":
        try:
            {}[how]
        except KeyError as error:
            raise ValueError("no such item") from error
    if how == "group":
        raise ExceptionGroup("two", [ValueError("one"), KeyError("other")])

class There:
    def __init__(self, how):
        self.how = how

    def __reduce__(self):
        return strike, (self.how,)

class Here(There):
    def __reduce__(self):
        strike(self.how)

class Set:
    def __init__(self, how):
        self.how = how

    def __setstate__(self, state):
        strike(state["how"])

def trap(item, how, kind):
    return globals()[kind](how) if item == 3 else [item]

def take(item):
    pass
"""


@pytest.mark.parametrize("executor", ["local", "inline"])
@pytest.mark.parametrize(
    ("how", "message", "told"),
    [
        ("pair", "Pair: one", 'raise Pair("one", "two")'),
        ("exit", "SystemExit: 7", "sys.exit(7)"),
        ("note", "ValueError: with a note", "\nlook here"),
        ("cause", "ValueError: no such item", "direct cause of the following exception"),
        ("group", "ExceptionGroup: two (2 sub-exceptions)", "KeyError: 'other'"),
    ],
)
@pytest.mark.parametrize(
    ("kind", "stage", "item", "code", "type_"),
    [
        ("Here", "trap", "source:3", "not-serializable", "ItemNotSerializable"),
        ("There", "take", "source:3", "not-loadable", "ItemNotLoadable"),
        ("Set", "take", "source:3", "not-loadable", "ItemNotLoadable"),
    ],
)
def test_what_fails_while_it_is_pickled_or_unpickled_is_told_with_the_items_own_traceback(
    tmp_path: Path,
    how: str,
    message: str,
    told: str,
    kind: str,
    stage: str,
    item: str,
    code: str,
    type_: str,
    executor: str,
) -> None:
    stages = {
        "source": {"use": "range", "with": {"stop": 9}},
        "trap": {"call": "traps:trap", "inputs": "source", "with": {"how": how, "kind": kind}},
        "take": {"call": "traps:take", "inputs": "trap"},
    }
    file, report = write(tmp_path, stages, {"traps": TRAPS}), tmp_path / "r.json"

    done = pipeflow("run", file, "--executor", executor, "--report", report)

    facts = json.loads(report.read_text())
    (error,) = facts["errors"]
    assert done.returncode == 1
    assert (error["stage"], error["item"]) == (stage, item)
    assert error["type"] == f"pipeflow.errors.{type_}"
    assert message in error["message"]
    assert told in error["traceback"]
    assert "in strike" in error["traceback"]
    assert "pipeflow/" not in error["traceback"]
    assert f"error[{code}]: stage '{stage}'" in done.stderr
    assert told in done.stderr
    assert facts["ledger"] == {"balanced": True, "findings": []}


def test_what_cannot_be_pickled_by_nature_has_no_traceback_that_says_it_again(
    tmp_path: Path,
) -> None:
    module = "import threading\n\ndef lock(item):\n    return {'lock': threading.Lock()}\n"
    stages = {
        "source": {"use": "range", "with": {"stop": 1}},
        "lock": {"call": "locks:lock", "inputs": "source"},
        "end": {"use": "null", "inputs": "lock"},
    }
    file, report = write(tmp_path, stages, {"locks": module}), tmp_path / "r.json"

    done = pipeflow("run", file, "--report", report)

    (error,) = json.loads(report.read_text())["errors"]
    assert error["traceback"] == ""
    assert "item['lock'] cannot be pickled: cannot pickle '_thread.lock' object" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("policy", ["stop", "dead_letter"])
def test_an_exception_tells_the_same_in_a_dead_letter(tmp_path: Path, policy: str) -> None:
    stages = {
        "source": {"use": "range", "with": {"stop": 2}},
        "fail": {
            "call": "raising:fail",
            "inputs": "source",
            "with": {"how": "cause"},
            "on_error": policy,
        },
        "letters": {"use": "jsonl.write", "inputs": "fail.errors", "with": {"path": "dead.jsonl"}},
    }
    if policy == "stop":
        del stages["letters"]
    file, report = write(tmp_path, stages, {"raising": RAISING}), tmp_path / "r.json"

    pipeflow("run", file, "--report", report, folder=tmp_path)

    if policy == "stop":
        errors = json.loads(report.read_text())["errors"]
    else:
        lines = (tmp_path / "dead.jsonl").read_text().splitlines()
        errors = [json.loads(line)["error"] for line in lines]
        assert len(errors) == 2
    for error in errors:
        assert (error["type"], error["message"]) == ("ValueError", "no such item")
        assert "return {}[item]" in error["traceback"]


def test_a_very_long_message_is_short_on_the_terminal(tmp_path: Path) -> None:
    stages = {
        "source": {"use": "range", "with": {"stop": 1}},
        "fail": {"call": "raising:fail", "inputs": "source", "with": {"how": "long"}},
    }

    done = pipeflow("run", write(tmp_path, stages, {"raising": RAISING}))

    line = next(line for line in done.stderr.splitlines() if "error[stage-failed]" in line)
    assert line.endswith("…")
    assert len(line) < 1000
