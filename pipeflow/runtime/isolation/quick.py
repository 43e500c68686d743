"""Quick results of a row leave together: what a keeper hears at once, it appends at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.joins import Calls
from pipeflow.runtime.flow.keeping import Keeping
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.isolation.messages import is_quick
from pipeflow.spec.ports import OUT


def together(records: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Quick results that follow one another as one; each other record by itself."""
    begin = 0
    for at, data in enumerate(records):
        if not is_quick(data):
            if begin < at:
                yield records[begin:at]
            yield (data,)
            begin = at + 1
    if begin < len(records):
        yield records[begin:]


def append_results(
    outbox: Outbox, calls: Calls, first: int, results: Sequence[Any], *, more: bool
) -> int:
    """Append what calls of a row gave, one plain result each, as far as the short way goes.

    Args:
        outbox: Where they go.
        calls: The row.
        first: Place of the first of these calls in it.
        results: What each gave; nobody else has them.
        more: Others follow at once, with which they may leave.

    Returns:
        How many were appended; the next one needs to wait, or another way.

    Raises:
        ReadersGone: Nobody needs any more results of this stage; none was appended.
    """
    express: Express | None
    keeping: Keeping | None = None
    if calls.end_units:
        express = keeping = outbox.express_at(OUT, calls.lane, calls.begin_of(first))
    else:
        express = outbox.express(OUT)
    if express is None:
        return 0
    ordinal = calls.ordinals[first]
    if keeping is not None:
        room = keeping.room_for(calls, first)
    else:
        room = express.room(calls.prefix, ordinal)
    count = min(room, len(results))
    if not count or express.run.pile is not None or not express.takes_many:
        return 0
    if keeping is not None:
        keeping.announce(calls, first, first + count)
    express.hold()
    counts_on = type(calls.ordinals) is range
    listed = express.run.listed if counts_on else express.list_ordinals()
    if listed is not None:  # first: who sends meanwhile finds one for each
        listed.extend(calls.ordinals[first : first + count])
    express.run.payloads.extend(results[:count])
    if not more or count < len(results):
        express.send_if_idle(count, more=bool)
    elif not express.woken[0]:
        express.wake_up()
    return count
