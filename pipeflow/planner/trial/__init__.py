"""Trial: what of a pipeline runs for one of its tests, and what is compared; pure.

    given ─> [stages on the way] ─> expected

Only these stages run. What is given stands in place of a port's output, a collector stands behind
each port that is expected, and in the place of each sink: sinks do not run.
"""
