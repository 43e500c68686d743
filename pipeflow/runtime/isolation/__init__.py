"""Isolation: the user's code runs in a process beside its worker's, so its death is one item's.

    neighbours ══> keeper ──orders, by a pipe──> runner
               <══   │    <──records, by a ring──  │
                     owns edges, order, ledger     runs the loop with the user's code

A stage whose ``on_error`` goes on, or that has a ``timeout``, has two processes for each replica.
The *keeper* is the worker: it owns the edges, and knows of each item whether it was begun and
whether it is done. The *runner* runs the stage's ordinary loop over an inbox and an outbox that
speak to the keeper. When it dies, or is killed for taking too long, exactly the item in its hand
has failed; the keeper starts another runner and gives it the rest again. Nothing downstream can
tell: what leaves the keeper is what came of items that were done.
"""
