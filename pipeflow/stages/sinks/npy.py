"""npy.write: arrays or numbers as the rows of one numpy file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.sinks.files import EverySecond, FileOutput
from pipeflow.stages.sinks.output import FILE, LIVE

if TYPE_CHECKING:
    import numpy as np

#: The header says how many rows there are; it is as long as for the most.
_MOST_ROWS: Final = 10**18
_ALIGNMENT: Final = 64


@operator(
    name="npy.write",
    role=Role.SINK,
    summary="Writes arrays or numbers as the rows of one numpy `.npy` file.",
    details=(
        "The first item says what a row is, unless `dtype` does; an item of another shape, or "
        "whose numbers would lose something, is an error of its own. The file can be read at any "
        "time: its header says within a second how many rows there are."
    ),
    options=(
        FILE,
        Option(
            name="join",
            types=(OptionType.STRING,),
            default="stack",
            description="How items make the file.",
            choices=("stack", "concatenate"),
            choice_docs=("each item is a row", "each item is an array of rows, of any number"),
        ),
        Option(
            name="dtype",
            types=(OptionType.STRING,),
            default=None,
            description="Type of the numbers, as numpy spells it; they are converted to it.",
            examples=("float32",),
        ),
        LIVE,
    ),
    keeps_state=True,
    may_drop=True,
    single=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 3

  rows:
    use: map
    inputs: numbers
    with:
      expr: "[item, item * item]"

  save:
    use: npy.write
    inputs: rows
    with:
      path: out/squares.npy
""",
)
class WriteNpy:
    """Writes rows as they come, and how many there are into the header."""

    def __init__(self, path: Path, join: str, dtype: str | None, live: bool) -> None:
        import numpy as np

        self._concatenates = join == "concatenate"
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._given = self._dtype is not None
        self._row: tuple[int, ...] | None = None
        self._rows = 0
        self._header_bytes = 0
        self._output = FileOutput(path, live=live)
        self._counter = EverySecond(self._write_header)

    def __call__(self, item: Any) -> None:
        rows = self._fitting(item)
        with self._counter:
            if self._row is None or self._dtype is None:
                self._begin(rows)
            import numpy as np

            self._output.write_bytes(rows.reshape(-1).view(np.uint8).data, records=len(rows))
            self._rows += len(rows)

    def finish(self) -> None:
        """Say how many rows there are, and give the file its name."""
        self._counter.stop()
        self._counter.raise_late()
        if self._row is None:
            import numpy as np

            self._begin(np.empty(0, self._dtype or np.float64))
        self._write_header()
        self._output.commit()

    def close(self) -> None:
        """Close the file."""
        self._counter.stop()
        try:
            if self._row is not None:
                self._write_header()
                self._row = None
        finally:
            self._output.close()

    def _fitting(self, item: Any) -> np.ndarray[Any, Any]:
        """An item as rows of the file.

        Raises:
            ValueError: It is no array, or does not fit.
        """
        import numpy as np

        array = np.asarray(item)
        rows = array if self._concatenates else array[np.newaxis]
        if rows.ndim == 0:
            raise ValueError("with `join: concatenate` an item is an array of rows, not a number")
        if rows.dtype.hasobject:
            raise ValueError(f"an item is an array or a number, not {type(item).__name__}")
        if self._row is not None and rows.shape[1:] != self._row:
            raise ValueError(f"a row has the shape {rows.shape[1:]}, and those before {self._row}")
        if self._dtype is not None:
            if not np.can_cast(rows.dtype, self._dtype, "same_kind" if self._given else "safe"):
                raise ValueError(f"it holds {rows.dtype}, and the file {self._dtype}")
            rows = rows.astype(self._dtype, copy=False)
        return np.ascontiguousarray(rows)

    def _begin(self, rows: np.ndarray[Any, Any]) -> None:
        """The first item says what a row is; its header has room for any number of them."""
        header = _header(rows.dtype, rows.shape[1:], _MOST_ROWS)
        if len(header) >= 2**16:
            raise ValueError("the type of a row has too many parts for a file of this format")
        self._row, self._dtype = rows.shape[1:], rows.dtype
        self._header_bytes = len(header)
        self._output.write_bytes(self._header(), records=0)

    def _header(self) -> bytes:
        assert self._row is not None
        return _header(self._dtype, self._row, self._rows, self._header_bytes)

    def _write_header(self) -> None:
        self._output.rewrite(self._header())


def _header(dtype: Any, row: tuple[int, ...], rows: int, size: int = 0) -> bytes:
    """What the format begins with (numpy.lib.format, version 1.0), ``size`` bytes long at least."""
    from numpy.lib.format import dtype_to_descr

    shape = (rows, *row)
    words = f"{{'descr': {dtype_to_descr(dtype)!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    size = max(size, -(-(10 + len(words) + 1) // _ALIGNMENT) * _ALIGNMENT)
    text = words.ljust(size - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin-1")
