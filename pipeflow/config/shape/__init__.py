"""Is the tree of the right shape?

``accept`` says yes to most; for the rest ``judge`` asks ``jsonschema``, and ``retelling`` has what
that says in our words: ``wrong_keys``, ``wrong_values``.
"""

from __future__ import annotations

from pipeflow.config.shape.judge import Shape, check_shape

__all__ = ["Shape", "check_shape"]
