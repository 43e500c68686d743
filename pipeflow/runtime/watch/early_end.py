"""Which workers nobody needs any more, because their readers have closed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pipeflow.planner.plan import Plan
from pipeflow.runtime.flow.wiring import ChannelPlan


def unneeded(
    plan: Plan,
    channels: Sequence[ChannelPlan],
    *,
    early: Collection[int],
    ended: Collection[int],
) -> frozenset[int]:
    """Numbers of the workers whose readers are all gone, some of them before their input ended.

    Readers of ``errors`` do not count, but the one for whom the whole runs. Who has no
    readers at all is a sink, and always needed.

    Args:
        plan: What runs.
        channels: Its channels.
        early: Numbers of the workers that closed their inputs before the end.
        ended: Numbers of the workers whose process has ended.
    """
    readers: dict[int, set[int]] = {}
    for channel in channels:
        if plan.edges[channel.edge].needed:
            for writer in channel.writers:
                readers.setdefault(writer, set()).update(channel.readers)
    gone = {*early, *ended}
    return frozenset(
        writer for writer, those in readers.items() if those <= gone and not those.isdisjoint(early)
    )
