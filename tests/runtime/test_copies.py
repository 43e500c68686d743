"""Results that are held: what nobody can write any more is not copied."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pipeflow.runtime.loops.copies import AsItCame, as_it_is
from pipeflow.transports.shm import Arena
from pipeflow.transports.slots import SlotPool

Array = np.ndarray[Any, Any]


@pytest.fixture
def pool() -> Iterator[list[SlotPool]]:
    """In a list, for pytest keeps what a test was given."""
    arena = Arena.create(1, 2**24)
    given = [Arena.attach(arena.handle, 0).pool]
    yield given
    given.pop().close()
    gc.collect()
    arena.close()


@pytest.mark.parametrize("form", [lambda array: array, lambda array: array[5:].reshape(5, -1)])
def test_a_result_that_lies_in_shared_memory_is_held_without_a_copy_and_read_only(
    pool: list[SlotPool], form: Callable[[Array], Array]
) -> None:
    array = pool[0].empty(100_000, np.int64)
    result = form(array)

    held = as_it_is(result)

    assert held is result
    for each in (array, result):
        with pytest.raises(ValueError, match="WRITEABLE"):
            each.setflags(write=True)


@pytest.mark.parametrize("form", [lambda array: array, lambda array: array[5:]])
def test_any_other_result_that_can_be_written_is_copied(form: Callable[[Array], Array]) -> None:
    array = np.arange(10)

    held = as_it_is(form(array))
    array[:] = 7

    assert held[-1] == 9
    assert array.flags.writeable


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize(
    "item",
    [
        np.arange(4),
        np.arange(4)[::2],
        np.array([1, None], dtype=object),
        np.arange(4).reshape(2, 2).view(np.matrix),
        np.ma.masked_array([1, 2], [True, False]),
        np.arange(4).view([("x", "i8")]).view(np.recarray),
    ],
    ids=["plain", "strided", "objects", "matrix", "masked", "records"],
)
def test_a_next_try_may_write_what_the_first_might(item: Array, writable: bool) -> None:
    item = item.copy()
    item.setflags(write=writable)
    came = AsItCame({"array": item})

    tries = [came.take()["array"] for _ in range(3)]

    assert [each.flags.writeable for each in tries] == [writable] * 3
    assert [type(each) for each in tries] == [type(item)] * 3
    assert all(each.tolist() == item.tolist() for each in tries)
