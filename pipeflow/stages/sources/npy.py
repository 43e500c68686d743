"""npy.read: the rows of a numpy file, without the file ever being in memory as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.author import empty
from pipeflow.stages.declare import operator
from pipeflow.stages.sources.opening import FILE, check_is_file

if TYPE_CHECKING:
    import numpy as np

#: Small rows are read together, as many as fit in here.
_READ_BYTES: Final = 1 << 20
#: Larger pieces are read right into shared memory.
_SHARED_BYTES: Final = 1 << 16


def _example() -> bytes:
    """Two rows of three numbers."""
    import io

    import numpy as np

    file = io.BytesIO()
    np.save(file, np.arange(6).reshape(2, 3))
    return file.getvalue()


@operator(
    name="npy.read",
    role=Role.SOURCE,
    summary="The rows of a numpy `.npy` file: what lies along its first axis.",
    details=(
        "The rows of a table are arrays, those of a file with one axis are numbers. Memory does "
        "not grow with the file, and large rows are read right into shared memory. Files with "
        "Python objects in them are refused."
    ),
    options=(
        FILE,
        Option(
            name="batch",
            types=(OptionType.INTEGER,),
            default=None,
            description="Give arrays of that many rows, the last one shorter.",
            unit="rows",
            minimum=1,
            examples=(1000,),
        ),
    ),
    single=True,
    example="""
stages:
  rows:
    use: npy.read
    with:
      path: table.npy

  sums:
    use: map
    inputs: rows
    with:
      expr: "int(item.sum())"

  show:
    use: print
    inputs: sums
""",
    example_files={"table.npy": _example},
)
class ReadNpy:
    """Reads rows as they are asked for."""

    def __init__(self, path: Path, batch: int | None) -> None:
        import numpy as np

        check_is_file(path)
        self._path, self._batch = path, batch
        try:
            whole = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{str(path)!r} cannot be read: {error}") from None
        if not isinstance(whole, np.memmap) or whole.ndim == 0:
            raise ValueError(f"{str(path)!r} has no rows: it is no array with an axis")
        self._shape, self._dtype, self._offset = whole.shape, whole.dtype, whole.offset
        # Columns that lie one after the other: rows are gathered from all over the file.
        self._scattered = None if whole.flags.c_contiguous else whole
        self._file: BinaryIO = path.open("rb")

    def __call__(self) -> Iterator[Any]:
        self._file.seek(self._offset)
        rows, row = self._shape[0], self._shape[1:]
        row_bytes = self._dtype.itemsize * math.prod(row)
        at_once = self._batch or max(1, _READ_BYTES // max(1, row_bytes))
        for start in range(0, rows, at_once):
            piece = self._piece(start, min(at_once, rows - start))
            if self._batch is not None:
                yield piece
            elif row:
                yield from piece
            else:
                yield from piece.tolist()

    def total(self) -> int:
        """How many items there will be."""
        rows: int = self._shape[0]
        return rows if self._batch is None else -(-rows // self._batch)

    def close(self) -> None:
        """Close the file."""
        self._scattered = None
        self._file.close()

    def _piece(self, start: int, count: int) -> np.ndarray[Any, Any]:
        import numpy as np

        if self._scattered is not None:
            return np.ascontiguousarray(self._scattered[start : start + count])
        shape = (count, *self._shape[1:])
        size = self._dtype.itemsize * math.prod(shape)
        piece = (empty if size >= _SHARED_BYTES else np.empty)(shape, self._dtype)
        if self._file.readinto(piece.reshape(-1).view(np.uint8)) < size:  # type: ignore[attr-defined]  # a file in binary has it
            raise ValueError(f"{str(self._path)!r} ends in the midst of row {start + count:,}")
        return piece
