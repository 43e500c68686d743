"""unbatch: the members of each item, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.members import members_of


@operator(
    name="unbatch",
    role=Role.OPERATOR,
    summary="Passes on the members of each item, a list as `batch` and `window` make it, as items.",
    details=(
        "An item may also be an array, a set or anything else that can be gone through; members "
        "that are `None` are not passed on. A text or a mapping is an error: see `flat_map`."
    ),
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 5

  pairs:
    use: batch
    inputs: numbers
    with:
      size: 2

  single:
    use: unbatch
    inputs: pairs

  show:
    use: print
    inputs: single
""",
)
def unbatch(item: Any) -> Iterator[Any] | None:
    """The members of an item."""
    return members_of(item)
