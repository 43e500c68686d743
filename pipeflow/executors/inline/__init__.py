"""The inline executor: the whole run in one process, one stage at a time.

    run ── asks ──> turns   who can do something, and who of them is next
     │                      └─ coroutine   a stage that gives way; a stream function in a thread
     ├─ nobody can ──> idle   tasks go on, programs work, time passes (waiting, pauses)
     ├─ in the beginning ──> starting   context, code and loop of each replica, on its edges
     └─ all along ──> telling   events, and the report in the end (printed, interrupts)

It is the oracle: the same loop, inbox and outbox as in worker processes, over channels that are
deques. Whoever lies furthest downstream and can do something has the turn, so a source is asked for
its next item only when the one before has gone all the way.
"""

from __future__ import annotations

from pipeflow.executors.inline.run import InlineExecutor

__all__ = ["InlineExecutor"]
