"""Arrays of other classes than numpy's own, and of objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.shm import Arena, Share


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena.create(2, 2**28)
    yield made
    made.close()


@pytest.fixture(params=["frames", "slots"])
def coder(request: pytest.FixtureRequest, arena: Arena) -> Iterator[list[Any]]:
    """Without shared memory, and with it."""
    writer, reader = Share(arena.handle, 0), Share(arena.handle, 1)
    slots = [Encoder(writer.pool), Decoder(reader.views)]
    both = [Encoder(), Decoder()] if request.param == "frames" else slots
    yield both
    both.clear()  # pytest keeps the list itself beyond the look for leftovers


class Kelvin(np.ndarray[Any, Any]):
    """A class of the user's own that leaves pickling to numpy."""


class Labelled(np.ndarray[Any, Any]):
    """One that does not."""

    label = ""

    def __reduce__(self) -> Any:
        reduced: Any = super().__reduce__()
        return (*reduced[:2], (self.label, reduced[2]))

    def __setstate__(self, state: Any) -> None:
        self.label, plain = state
        super().__setstate__(plain)


class Rebuilt(np.ndarray[Any, Any]):
    """One that is made in one step."""

    def __reduce__(self) -> Any:
        return rebuilt, (self.tolist(),)


def rebuilt(numbers: list[Any]) -> Rebuilt:
    return np.array(numbers).view(Rebuilt)


def labelled(label: str) -> Labelled:
    array = np.arange(4).view(Labelled)
    array.label = label
    return array


KINDS_OF_ARRAYS = {
    "matrix": np.arange(20_000).reshape(4, -1).view(np.matrix),
    "small matrix": np.arange(4).reshape(2, 2).view(np.matrix),
    "a class": np.arange(20_000).view(Kelvin),
    "a class that pickles itself": labelled("room"),
    "a class that is rebuilt": rebuilt([1, 2, 3]),
    "objects": np.array([1, None, "a"], dtype=object),
    "no axes": np.array(None, dtype=object),
    "records with objects": np.array([(1, "x")], dtype=[("n", "i4"), ("o", "O")]),
    "masked": np.ma.masked_array(np.arange(20_000), np.arange(20_000) % 3 == 0),
    "masked nowhere": np.ma.masked_array([1, 2], fill_value=7),
    "masked objects": np.ma.masked_array(np.array([1, None], dtype=object), [True, False]),
}


@pytest.mark.parametrize("form", [lambda array: array, lambda array: {"deep": (array,)}])
@pytest.mark.parametrize("name", KINDS_OF_ARRAYS)
def test_arrays_of_every_kind_arrive_as_they_were_and_read_only(
    name: str, form: Callable[[Any], Any], coder: list[Any]
) -> None:
    encoder, decoder = coder
    array = KINDS_OF_ARRAYS[name]

    (item,) = decoder.decode(encoder.encode([form(array)]))

    got = item["deep"][0] if isinstance(item, dict) else item
    assert type(got) is type(array)
    assert (got.dtype, got.shape) == (array.dtype, array.shape)
    assert got.tolist() == array.tolist()
    assert getattr(got, "label", "") == getattr(array, "label", "")
    assert getattr(got, "fill_value", None) == getattr(array, "fill_value", None)
    parts: list[Any] = [got, vars(got)["_mask"]] if np.ma.is_masked(array) else [got]
    for part in parts:
        with pytest.raises(ValueError, match="read-only"):
            part[...] = part.copy()


@pytest.mark.parametrize("name", KINDS_OF_ARRAYS)
def test_private_arrays_of_every_kind_may_be_written(name: str, coder: list[Any]) -> None:
    encoder, decoder = coder
    array = KINDS_OF_ARRAYS[name]

    (got,) = decoder.decode(encoder.encode([array]), private=True)

    got[...] = got.copy()
    assert type(got) is type(array)
    assert got.tolist() == array.tolist()


def test_arrays_of_a_class_are_passed_on_without_a_copy(arena: Arena) -> None:
    writer, reader = Share(arena.handle, 0), Share(arena.handle, 1)
    sent = [KINDS_OF_ARRAYS[name] for name in ("matrix", "a class", "masked")]

    got = Decoder(reader.views).decode(Encoder(writer.pool).encode(sent))
    packet = Encoder(reader.pool).encode(got)

    assert packet.shared_bytes == 3 * 160_000
    assert packet.copied_bytes < 20_100  # of the mask
