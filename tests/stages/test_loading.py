"""From ``call`` and parameters to work: every form an author may write."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeflow.stages import importing
from pipeflow.stages.loading import load_work
from pipeflow.stages.registry import UnknownOperator
from pipeflow.stages.work import Work

MODULE = """
from __future__ import annotations
import functools, math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
import pipeflow.stages.author as pipeflow
if TYPE_CHECKING:
    import nowhere

def square(x): return x * x
def scale(x: nowhere.Array, factor: float = 2, to: Path = Path(".")): return (x * factor, to)
def words(line: str) -> Iterator[str]:
    yield from line.split()
def numbers(stop: int): return iter(range(stop))
def listed(): return [1, 2]
def nothing(): return None
def array():
    import numpy
    return numpy.arange(3)
def five(): return 5
def join(image, mask, strength: int = 1): return (image, mask, strength)
def backwards(strength: int, mask, image): return (image, mask, strength)
def anything(**inputs): return inputs
async def fetch(url): return url
async def feed():
    yield 1

fetching = functools.partial(fetch)

@pipeflow.stream
async def drifting(xs):
    yield 1

@pipeflow.stream
def rolling(xs, window: int):
    for x in xs:
        yield x + window

@pipeflow.stream
def forgot(xs): return 7

class Detector:
    def __init__(self, model: Path, limit: int = 3):
        self.model, self.limit, self.closed = model, limit, False
    def __call__(self, image): return (self.model, self.limit, image)
    def close(self): self.closed = True

class Summer:
    def __init__(self): self.total = 0
    def __call__(self, x): self.total += x
    def finish(self): return [self.total]

class Silent(Summer):
    def finish(self): return None

class Wrong(Summer):
    def finish(self): return 5

class Saved:
    def __call__(self, x): return x
    def snapshot(self): return 1
    def restore(self, state): pass

class Camera:
    def __init__(self, frames: int): self.frames = frames
    def __call__(self): return range(self.frames)
    def close(self): pass

class Tape:
    def __iter__(self): return iter("ab")

class AsyncTape:
    def __aiter__(self): return feed()

class Inert: pass
class Eager:
    async def __call__(self, x): return x
class Pair:
    def __call__(self, left, right): return left - right
class Family:
    class Member:
        def __call__(self, x): return -x

adder = functools.partial(lambda x, y: x + y, y=10)
ready = Pair()
value = 5
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "authored.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    importing.forget()


def load(
    folder: Path,
    target: str,
    *,
    source: bool = False,
    inputs: tuple[str, ...] = (),
    **parameters: object,
) -> Work:
    return load_work(
        call=f"authored:{target}",
        operator="",
        folder=str(folder),
        parameters=parameters,
        source=source,
        input_names=inputs,
    )


def called(work: Work, *payloads: Any) -> Any:
    assert work.call is not None
    return work.call(*payloads)


def given(work: Work) -> list[Any]:
    assert work.source is not None
    return list(work.source())


def test_a_function_is_called_with_each_item(folder: Path) -> None:
    work = load(folder, "square")

    assert called(work, 4) == 16
    assert not work.keeps_state
    assert (work.source, work.stream, work.finish, work.close) == (None, None, None, None)


def test_parameters_are_converted_to_the_annotated_types(folder: Path) -> None:
    work = load(folder, "scale", factor=3, to="out")

    assert called(work, 2) == (6.0, Path("out"))


def test_a_generator_function_gives_many(folder: Path) -> None:
    result = called(load(folder, "words"), "a b")

    assert hasattr(result, "__next__")
    assert list(result) == ["a", "b"]


def test_a_stream_function_takes_the_whole_stream(folder: Path) -> None:
    work = load(folder, "rolling", window=10)

    assert work.stream is not None
    assert list(work.stream(iter([1, 2]))) == [11, 12]
    assert work.keeps_state


def test_a_class_is_built_with_the_parameters_and_called(folder: Path) -> None:
    work = load(folder, "Detector", model="m.bin")

    assert called(work, 1) == (Path("m.bin"), 3, 1)
    assert work.close is not None
    assert work.finish is None
    assert not work.keeps_state


def test_a_class_with_finish_keeps_state(folder: Path) -> None:
    work = load(folder, "Summer")
    silent = load(folder, "Silent")

    called(work, 2)
    called(work, 3)

    assert work.keeps_state
    assert work.finish is not None
    assert list(work.finish() or ()) == [5]
    assert silent.finish is not None
    assert list(silent.finish() or ()) == []


def test_a_class_with_snapshot_keeps_state(folder: Path) -> None:
    assert load(folder, "Saved").keeps_state


def test_each_load_of_a_class_makes_an_object_of_its_own(folder: Path) -> None:
    first, second = load(folder, "Summer"), load(folder, "Summer")

    called(first, 1)

    assert second.finish is not None
    assert list(second.finish() or ()) == [0]


def test_a_callable_object_a_partial_and_a_dotted_name_can_run(folder: Path) -> None:
    assert called(load(folder, "adder"), 1) == 11
    assert called(load(folder, "Family.Member"), 3) == -3
    assert called(load(folder, "ready", inputs=("left", "right")), 5, 2) == 3


def test_a_source_gives_any_iterable_or_nothing(folder: Path) -> None:
    assert given(load(folder, "numbers", source=True, stop=3)) == [0, 1, 2]
    assert given(load(folder, "nothing", source=True)) == []
    assert given(load(folder, "Camera", source=True, frames=2)) == [0, 1]
    assert given(load(folder, "Tape", source=True)) == ["a", "b"]


def test_whether_there_is_a_result_may_be_asked_of_an_array_too(folder: Path) -> None:
    work = load(folder, "array", source=True)
    assert work.source is not None

    assert list(work.source() or ()) == [0, 1, 2]


def test_a_source_that_gives_a_list_knows_its_total(folder: Path) -> None:
    listed, counted = (
        load(folder, "listed", source=True),
        load(folder, "Camera", source=True, frames=9),
    )
    unknown = load(folder, "numbers", source=True, stop=3)

    for work in (listed, counted, unknown):
        given(work)

    assert [work.total and work.total() for work in (listed, counted, unknown)] == [2, 9, None]


def test_named_inputs_come_by_name_in_any_order(folder: Path) -> None:
    names = ("image", "mask")

    assert called(load(folder, "join", inputs=names), "i", "m") == ("i", "m", 1)
    assert called(load(folder, "join", inputs=("mask", "image")), "m", "i") == ("i", "m", 1)
    assert called(load(folder, "backwards", inputs=names, strength=2), "i", "m") == ("i", "m", 2)
    assert called(load(folder, "anything", inputs=names), "i", "m") == {"image": "i", "mask": "m"}


@pytest.mark.parametrize(
    ("target", "arguments", "error", "message"),
    [
        ("scale", {"facto": 1}, TypeError, "authored:scale has no parameter 'facto'; did you mean"),
        (
            "scale",
            {"x": 1},
            TypeError,
            "authored:scale: multiple values for argument 'x'; it takes",
        ),
        (
            "scale",
            {"factor": "2"},
            ValueError,
            "authored:scale: parameter 'factor' takes float, but",
        ),
        ("rolling", {}, TypeError, "authored:rolling: missing a required argument: 'window'; it t"),
        ("Detector", {}, TypeError, "authored:Detector: missing a required argument: 'model'; it "),
        ("numbers", {"source": True}, TypeError, "authored:numbers: missing a required argument"),
        ("square", {"source": True}, TypeError, "authored:square: missing a required argument"),
        ("rolling", {"source": True, "window": 1}, TypeError, "authored:rolling is a stream func"),
        ("rolling", {"inputs": ("a", "b")}, TypeError, "authored:rolling is a stream function: i"),
        ("join", {"inputs": ("image", "maks")}, TypeError, "authored:join has no argument for the"),
        (
            "join",
            {"inputs": ("image",), "mask": 1, "image": 2},
            TypeError,
            "authored:join: 'image'",
        ),
        ("join", {"inputs": ("image",)}, TypeError, "authored:join: missing a required argument"),
        ("Pair", {}, TypeError, "authored:Pair: __call__: missing a required argument: 'right'; "),
        (
            "Pair",
            {"inputs": ("left", "rite")},
            TypeError,
            "authored:Pair: __call__ has no argument",
        ),
        (
            "Inert",
            {},
            TypeError,
            "authored:Inert is a class without __call__, so its object cannot",
        ),
        ("value", {}, TypeError, "authored:value is a int, not a function or class"),
        (
            "drifting",
            {},
            TypeError,
            "authored:drifting is a stream function, and those are no `async def`: take",
        ),
        ("sqare", {}, AttributeError, "has no 'sqare'; did you mean 'square'?"),
    ],
)
def test_what_cannot_run_is_refused_with_a_sentence(
    folder: Path, target: str, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        load(folder, target, **arguments)

    assert message in str(caught.value)


def test_what_is_async_is_known_as_that(folder: Path) -> None:
    loaded = {name: load(folder, name) for name in ("fetch", "fetching", "Eager", "square")}

    assert {name: work.awaits for name, work in loaded.items()} == {
        "fetch": True,
        "fetching": True,
        "Eager": True,
        "square": False,
    }


@pytest.mark.parametrize("name", ["feed", "AsyncTape"])
def test_an_async_source_gives_what_is_iterated_over_by_async_for(folder: Path, name: str) -> None:
    source = load(folder, name, source=True).source
    assert source is not None

    async def all_of_it() -> list[Any]:
        given: Any = source()
        return [item async for item in given]

    assert asyncio.run(all_of_it()) == [1]


def test_results_that_are_no_iterable_are_refused_when_they_come(folder: Path) -> None:
    wrong = load(folder, "Wrong")
    forgot = load(folder, "forgot")

    with pytest.raises(TypeError, match=r"authored:five must give an iterable .* or None, not int"):
        given(load(folder, "five", source=True))
    assert wrong.finish is not None
    with pytest.raises(TypeError, match=r"authored:Wrong: finish\(\) must give an iterable"):
        wrong.finish()
    assert forgot.stream is not None
    with pytest.raises(TypeError, match="authored:forgot must give an iterable"):
        forgot.stream(iter(()))


def test_a_missing_module_is_told_from_one_that_it_imports(folder: Path) -> None:
    (folder / "needy.py").write_text("import not_installed_anywhere\n")

    with pytest.raises(ModuleNotFoundError, match=f"no module 'absent' in {folder} or elsewhere"):
        importing.import_target("absent:x", str(folder))
    with pytest.raises(ModuleNotFoundError, match="No module named 'not_installed_anywhere'"):
        importing.import_target("needy:x", str(folder))


def test_the_folder_is_first_on_the_path_once(folder: Path) -> None:
    load(folder, "square")
    load(folder, "square")

    assert sys.path[0] == str(folder)
    assert sys.path.count(str(folder)) == 1


def test_two_folders_may_hold_modules_of_one_name(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "authored.py").write_text("import used_by_both\nwho = lambda: used_by_both.NAME\n")
    (other / "used_by_both.py").write_text("NAME = 'other'\n")
    third = tmp_path / "third"
    third.mkdir()
    (third / "authored.py").write_text("import used_by_both\nwho = lambda: used_by_both.NAME\n")
    (third / "used_by_both.py").write_text("NAME = 'third'\n")

    here = importing.import_target("authored:square", str(folder))
    there = importing.import_target("authored:who", str(other))
    elsewhere = importing.import_target("authored:who", str(third))

    assert (here(3), there(), elsewhere()) == (9, "other", "third")
    assert str(other) not in sys.path


def test_an_unknown_operator_is_named_with_the_nearest(folder: Path) -> None:
    with pytest.raises(UnknownOperator, match=r"no operator is named 'jsonl\.wite'; did you mean"):
        load_work(
            call="",
            operator="jsonl.wite",
            folder=str(folder),
            parameters={},
            source=False,
            input_names=(),
        )
