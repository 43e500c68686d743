"""The cutter: a row of calls that is taken by parts, or call by call. Pure."""

from __future__ import annotations

from pipeflow.runtime.flow.joins import Call, Calls, UnitEnd


class Cutter:
    """What is left of the last row that came; false when nothing is."""

    def __init__(self) -> None:
        self._row: Calls | None = None
        self._at = 0
        self._end: UnitEnd | None = None

    def __bool__(self) -> bool:
        return self._row is not None or self._end is not None

    def put(self, row: Calls) -> None:
        """A row has come, and nothing is left of the one before."""
        self._row, self._at = row, 0

    def left(self) -> Calls | None:
        """The row of which some calls are left; ``None``: none are, or an end of a unit is next."""
        return self._row if self._end is None else None

    def take(self, most: int) -> Call | Calls | UnitEnd:
        """Cut off so many calls at most; with 0 one call by itself, and the end of its unit next.

        Whoever gets an item decides how long it lives.
        """
        if self._end is not None:
            end, self._end = self._end, None
            return end
        row, at = self._row, self._at
        assert row is not None
        taken: Call | Calls
        if most:
            taken = row.part(at, at + most)
            count = len(taken.payloads)
        else:
            taken, count = row.single(at), 1
            if row.end_units:
                self._end = UnitEnd(row.lane, taken.unit, 1, free=False)
        self._at += count
        if self._at >= len(row.payloads):
            self._row = None
        else:
            row.payloads[at : at + count] = [None] * count
        return taken
