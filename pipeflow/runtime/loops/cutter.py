"""The cutter: a row of calls that is taken by parts, or call by call. Pure."""

from __future__ import annotations

from collections import deque

from pipeflow.runtime.flow.joins import Call, Calls, UnitEnd


class Cutter:
    """What is left of the last row that came; false when nothing is."""

    def __init__(self) -> None:
        self._row: Calls | None = None
        self._at = 0
        #: What comes with a call that was cut off by itself, in its order.
        self._due: deque[Call | UnitEnd] = deque()

    def __bool__(self) -> bool:
        return self._row is not None or bool(self._due)

    def put(self, row: Calls) -> None:
        """A row has come, and nothing is left of the one before."""
        self._row, self._at = row, 0

    def left(self) -> Calls | None:
        """The row of which some calls are left; ``None``: none are, or something else is next."""
        return None if self._due else self._row

    def take(self, most: int) -> Call | Calls | UnitEnd:
        """Cut off so many calls at most; with 0 one call by itself, among the ends of units.

        Whoever gets an item decides how long it lives.

        Args:
            most: How many; of a row that ``is_simple``.
        """
        if self._due:
            return self._due.popleft()
        row, at = self._row, self._at
        assert row is not None
        if most:
            taken = row.part(at, at + most)
            self._go_to(row, at + len(taken.payloads))
            return taken
        gap, call = row.gap_before(at), row.single(at)
        self._due += (call,) if gap is None else (gap, call)
        if row.end_units:
            self._due.append(UnitEnd(row.lane, call.unit, 1, free=False))
        if at + 1 == len(row.payloads) and (last := row.gap_before(at + 1)) is not None:
            self._due.append(last)
        del call
        self._go_to(row, at + 1)
        return self._due.popleft()

    def _go_to(self, row: Calls, at: int) -> None:
        """So many calls of the row are cut off."""
        if at >= len(row.payloads):
            self._row = None
        else:
            row.payloads[self._at : at] = [None] * (at - self._at)
        self._at = at


def is_simple(row: Calls) -> bool:
    """Whether parts of a row are rows like it: of one frame, one item a call, without gaps."""
    return row.units is None and not row.origins and not row.partners
