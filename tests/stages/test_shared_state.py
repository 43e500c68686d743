"""What stages get for ``${shared.x}``, without any process."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any

import numpy as np
import pytest

from pipeflow.errors import Location
from pipeflow.spec.shared import DTYPES, Shared, SharedKind, SharedRef, misfit, names_of
from pipeflow.stages.shared_state import InlineShares, with_state

HERE = Location("pipeline.yaml", 1, 1)


def state(kind: str, stage: str = "work", **more: Any) -> Any:
    return shares(kind, **more).give("seen", stage)


def shares(kind: str, **more: Any) -> InlineShares:
    return InlineShares((Shared(name="seen", kind=SharedKind(kind), at=HERE, **more),))


def both_of(both: InlineShares) -> tuple[Any, Any]:
    return both.give("seen", "one"), both.give("seen", "other")


def test_a_dict_does_what_a_dict_does() -> None:
    seen, plain = state("dict"), dict[Any, Any]()

    for each in (seen, plain):
        each["a"] = 1
        each[(1, "b")] = [2]
        each.update({"c": 3}, d=4)
        each.setdefault("e", 5)
        assert each.setdefault("a", 6) == 1
        assert each.pop("c") == 3
        assert each.pop("zz", None) is None
        del each["d"]
    assert seen == plain
    assert (len(seen), list(seen), "a" in seen, "x" in seen) == (3, list(plain), True, False)
    assert list(seen.items()) == list(plain.items())
    assert list(seen.values()) == list(plain.values())
    assert seen.popitem() == plain.popitem()
    assert seen.get("nothing", 7) == 7
    assert str(seen) == "<shared 'seen': {'a': 1, (1, 'b'): [2]}>"
    seen.value = {"new": 1}
    seen.value["more"] = 2
    assert pickle.loads(pickle.dumps(seen)) == {"new": 1, "more": 2}
    seen.clear()
    assert not seen
    with pytest.raises(KeyError, match="gone"):
        seen["gone"]
    with pytest.raises(TypeError, match="unhashable"):
        seen[[]] = 1


def test_a_list_does_what_a_list_does() -> None:
    seen, plain = state("list"), list[Any]()

    for each in (seen, plain):
        each += [3, 1, 2]
        each.append([4])
        each.insert(0, 9)
        each[1] = 5
        each[2:3] = [7, 8]
        each.remove(9)
        assert each.pop() == [4]
        del each[-1:]
        each.extend([1, 1])
        each.sort(reverse=True)
        each.reverse()
    assert seen == plain
    assert (len(seen), seen[0], seen[-1], seen[1:3]) == (5, plain[0], plain[-1], plain[1:3])
    assert (seen.index(8), seen.count(1), 7 in seen, 70 in seen) == (4, 2, True, False)
    assert list(reversed(seen)) == plain[::-1]
    seen.value = [1]
    assert pickle.loads(pickle.dumps(seen)) == [1]
    seen.clear()
    with pytest.raises(IndexError):
        seen[0]


def test_what_is_put_in_is_a_copy_as_between_processes() -> None:
    seen, inner = state("dict"), [1]

    seen["list"] = inner
    inner.append(2)

    assert seen["list"] == [1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_begins_as_the_file_says_and_all_see_the_same(dtype: str) -> None:
    both = shares("array", dtype=dtype, shape=(3, 5), value=True)
    one, other = both_of(both)

    one.array[2, 4] = 0

    assert one.array.dtype == np.dtype(dtype)
    assert other.array[2, 4] == 0
    assert int(other.array.sum().real) == 14
    with pytest.raises(TypeError, match=r"pass its \.array on"):
        pickle.dumps(one)


def test_a_value_is_of_its_type_and_says_so_otherwise() -> None:
    small = state("value", dtype="int8", value=-3)

    small.value += 4

    assert small.value == 1
    with pytest.raises(ValueError, match="shared 'seen' is of type int8, which 300 is not"):
        small.value = 300
    assert state("value", dtype="bool", value=True).value is True
    assert state("value", dtype="float64", value=2).value == 2.0


def test_the_lock_keeps_threads_apart_and_may_be_taken_twice_by_one() -> None:
    total = state("value", dtype="int64")

    def add() -> None:
        for _ in range(1000):
            with total, total as same:
                same.value += 1

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert total.value == 4000


def test_a_task_that_awaits_with_the_lock_in_hand_is_no_hang() -> None:
    total = state("value", dtype="int64")

    async def hold() -> None:
        with total:
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(hold(), hold())

    with pytest.raises(RuntimeError, match="neither await nor yield inside `with seen:`"):
        asyncio.run(both())


def test_two_stages_in_one_process_never_wait_for_each_other() -> None:
    both = shares("value", dtype="int64")
    one, other = both_of(both)

    with one, pytest.raises(RuntimeError, match="stage 'one' holds the lock"), other:
        pass

    with other:
        other.value = 1
    assert one.value == 1


def test_an_exception_lets_go_of_the_lock() -> None:
    total = state("value", dtype="int64")

    def fail() -> None:
        with total:
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    thread = threading.Thread(target=total.__enter__)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_references_are_found_and_filled_at_any_depth() -> None:
    given: dict[str, object] = {"a": SharedRef("x"), "b": [{"c": SharedRef("y")}], "d": 1}

    assert names_of(given) == {"x", "y"}
    filled = with_state(given, lambda name: name.upper())  # type: ignore[arg-type, return-value]  # any object will do
    assert filled == {"a": "X", "b": [{"c": "Y"}], "d": 1}


@pytest.mark.parametrize(
    ("value", "dtype", "why"),
    [
        (1, "int8", ""),
        (128, "int8", "it does not fit"),
        (-1, "uint8", "it does not fit"),
        (1.5, "int64", "it is a whole number"),
        (1e300, "float32", "it does not fit"),
        (1, "float64", ""),
        (True, "bool", ""),
        (1, "bool", "it is true or false"),
        (True, "int8", "it is a number"),
        (2, "complex64", ""),
    ],
)
def test_a_start_fits_its_type_or_not(value: object, dtype: str, why: str) -> None:
    assert misfit(value, dtype) == why
