"""Our ``dataclass`` beside the standard one: whoever uses one could use the other."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pickle
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import pipeflow
from pipeflow import values
from pipeflow.errors import Location

FROZEN = {"frozen": True, "slots": True, "kw_only": True}


@dataclasses.dataclass(frozen=True)
class Made:
    """The same classes, made by one of the two."""

    Point: Any
    Note: Any


def make(dataclass: Any, field: Any) -> Made:
    @dataclass(frozen=True, slots=True, order=True)
    class Point:
        x: int
        y: int = 2
        seen: str = field(default="", compare=False)

    @dataclass(slots=True, kw_only=True)
    class Note:
        text: str
        marks: list[int] = field(default_factory=list)
        length: int = field(init=False)

        def __post_init__(self) -> None:
            self.length = len(self.text)

    return Made(Point=Point, Note=Note)


@pytest.fixture(params=["ours", "ours, compiled", "standard"])
def made(request: pytest.FixtureRequest) -> Made:
    if request.param == "standard":
        return make(dataclasses.dataclass, dataclasses.field)
    made = make(values.dataclass, values.field)
    if request.param == "ours, compiled":
        values.complete()
    return made


def test_values_are_made_by_place_by_name_and_by_default(made: Made) -> None:
    point, note = made.Point(1, seen="here"), made.Note(text="abc")

    assert (point.x, point.y, point.seen) == (1, 2, "here")
    assert (note.text, note.marks, note.length) == ("abc", [], 3)
    assert made.Note(text="").marks is not made.Note(text="").marks


@pytest.mark.parametrize(
    "call",
    [
        lambda made: made.Point(),
        lambda made: made.Point(1, 2, "", 4),
        lambda made: made.Point(1, z=3),
        lambda made: made.Note("by place"),
        lambda made: made.Note(text="", length=3),
    ],
)
def test_what_does_not_fit_is_a_type_error(made: Made, call: Callable[[Made], object]) -> None:
    with pytest.raises(TypeError):
        call(made)


def test_values_are_equal_if_what_counts_is_equal(made: Made) -> None:
    assert made.Point(1, seen="a") == made.Point(1, seen="b") != made.Point(2)
    assert made.Point(1) != (1, 2, "")
    assert made.Note(text="a") == made.Note(text="a") != made.Note(text="b")


def test_frozen_values_have_a_hash_and_others_have_none(made: Made) -> None:
    assert len({made.Point(1, seen="a"), made.Point(1, seen="b"), made.Point(2)}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(made.Note(text=""))


def test_frozen_values_cannot_be_changed_and_others_have_no_other_attributes(made: Made) -> None:
    point, note = made.Point(1), made.Note(text="")

    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    with pytest.raises(AttributeError):
        note.other = 1


def test_values_are_shown_with_all_that_they_hold(made: Made) -> None:
    note = made.Note(text="a")
    note.marks.append(note)

    assert repr(made.Point(1)).endswith("Point(x=1, y=2, seen='')")
    assert repr(note).endswith("Note(text='a', marks=[...], length=1)")


def test_values_are_in_order_if_their_class_says_so(made: Made) -> None:
    assert min([made.Point(2), made.Point(1, 3), made.Point(1)]) == made.Point(1)
    assert made.Point(1) <= made.Point(1) < made.Point(1, 3)
    with pytest.raises(TypeError):
        assert made.Point(1) < 1


def test_values_are_matched_by_place(made: Made) -> None:
    match made.Point(1, 2, "here"):
        case made.Point(x, 2, seen):
            assert (x, seen) == (1, "here")
        case _:
            pytest.fail("no match")


def test_a_default_that_all_values_would_share_is_refused() -> None:
    with pytest.raises(ValueError, match="share one default"):

        @values.dataclass
        class _Wrong:
            items: list[int] = []  # noqa: RUF012 - what is refused


def test_a_subclass_has_the_fields_of_its_base_first() -> None:
    @values.dataclass(slots=True)
    class Base:
        a: int

    @values.dataclass(slots=True)
    class Derived(Base):
        b: int

    assert repr(Derived(1, 2)).endswith("Derived(a=1, b=2)")
    assert vars(Derived)["__slots__"] == ("b",)


def test_values_cross_processes_and_are_copied() -> None:
    place = Location("a.yaml", 1, 2)

    assert pickle.loads(pickle.dumps(place)) == copy.deepcopy(place) == copy.copy(place) == place


def test_a_copy_may_differ_and_is_checked_as_any_value() -> None:
    moved = values.replace(Location("a.yaml", 1, 2), line=7)

    assert moved == Location("a.yaml", 7, 2)
    with pytest.raises(TypeError):
        values.replace(moved, row=1)  # type: ignore[call-arg]  # what is refused


def test_the_standard_library_takes_ours_for_its_own() -> None:
    place = Location("a.yaml", 1, 2)

    assert dataclasses.is_dataclass(place)
    assert dataclasses.asdict(place) == {"file": "a.yaml", "line": 1, "column": 2, "via": None}
    assert dataclasses.replace(place, line=7) == Location("a.yaml", 7, 2)


def test_values_that_are_told_apart_by_identity_stay_what_python_makes_them() -> None:
    @values.dataclass(slots=True, eq=False)
    class Thing:
        a: int

    one, two = Thing(1), Thing(1)

    assert one != two
    assert len({one, two}) == 2


def test_an_init_is_compiled_when_many_values_are_made_or_when_all_are() -> None:
    made, other = make(values.dataclass, values.field), make(values.dataclass, values.field)
    before = made.Point.__init__, made.Note.__init__

    points = [made.Point(number) for number in range(100)]
    assert [point.x for point in points] == [*range(100)]
    assert made.Point.__init__ is not before[0]
    assert made.Note.__init__ is before[1]
    assert str(inspect.signature(made.Point)) == "(x, y=2, seen='')"

    values.complete()
    assert made.Note.__init__ is not before[1]
    assert str(inspect.signature(other.Point)) == "(x, y=2, seen='')"


def test_only_the_classes_of_some_packages_are_compiled_if_so_told() -> None:
    made = make(values.dataclass, values.field)
    before = made.Point.__init__

    values.complete("pipeflow", "test")
    assert made.Point.__init__ is before

    values.complete(__name__.partition(".")[0])
    assert made.Point.__init__ is not before


def classes_of_ours() -> set[type]:
    names = [module.name for module in pkgutil.walk_packages(pipeflow.__path__, "pipeflow.")]
    modules = [importlib.import_module(name) for name in names if name != "pipeflow.__main__"]
    there = [each for module in modules for each in vars(module).values()]
    return {each for each in there if isinstance(each, type) and "__values__" in vars(each)}


def test_every_class_of_ours_is_made_as_the_standard_library_would_make_it() -> None:
    found = classes_of_ours()
    values.complete()

    differing = [cls for cls in found if _seen(cls) != _seen(_standard(cls))]

    assert len(found) > 150
    assert differing == []


def _standard(cls: Any) -> type:
    """The class as the decorator of the standard library makes it of the same lines."""
    facts = cls.__values__
    body: dict[str, Any] = {}
    each: Any
    for name, each in facts.fields.items():
        given: dict[str, Any] = {}
        if each.default_factory is not None:
            given["default_factory"] = each.default_factory
        elif each.default is not values._NONE:
            given["default"] = each.default
        body[name] = dataclasses.field(
            init=each.init, compare=each.compare, kw_only=each.kw_only, **given
        )
    if hasattr(cls, "__post_init__"):
        body["__post_init__"] = cls.__post_init__
    annotations = dict.fromkeys(facts.fields, "object")
    twin = type(cls.__name__, (), {"__annotations__": annotations, **body})
    eq = "__eq__" in vars(cls)
    return dataclasses.dataclass(frozen=facts.frozen, slots="__slots__" in vars(cls), eq=eq)(twin)


def _seen(cls: Any) -> tuple[object, ...]:
    """What a user of a class can tell."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    return (
        [(each.name, each.kind, each.default is inspect.Parameter.empty) for each in parameters],
        cls.__match_args__,
        cls.__hash__ is None,
        [each.name for each in dataclasses.fields(cls)],
    )


@pytest.mark.processes
def test_the_command_line_does_without_the_standard_one() -> None:
    program = "import sys, pipeflow.cli.run; print('dataclasses' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"
