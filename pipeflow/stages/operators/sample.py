"""sample: a part of the items, by chance that is the same in every run with one seed."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.context import current
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression
from pipeflow.stages.keys import key_hash

#: Draws are whole numbers below this.
_ALL: Final = 2**64


@operator(
    name="sample",
    role=Role.OPERATOR,
    summary="Passes on a part of the items, chosen by chance.",
    details=(
        "Each item is drawn for by itself, from `--seed` and the item's id (or its `by`), so the "
        "choice is the same in every executor and for any number of replicas, and memory does not "
        "grow. About `rate` of the items pass, not exactly."
    ),
    options=(
        Option(
            name="rate",
            types=(OptionType.NUMBER,),
            default=REQUIRED,
            description="Which part of the items passes: 0 for none, 1 for all.",
            minimum=0,
            maximum=1,
            examples=(0.1,),
        ),
        Option(
            name="by",
            types=(OptionType.EXPRESSION,),
            default=None,
            description=(
                "Draw for this value instead: of items with equal values all pass or none. As for "
                "`partition`, it is text, a number, a date or a tuple of such."
            ),
            examples=('item["user"]',),
        ),
    ),
    one_to_one=True,
    may_drop=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 10

  some:
    use: sample
    inputs: numbers
    with:
      rate: 0.5

  show:
    use: print
    inputs: some
""",
)
class Sample:
    """Draws by a keyed hash: as good as a generator for each item, and much quicker."""

    def __init__(self, rate: float, by: Expression | None) -> None:
        self._below = round(rate * _ALL)
        self._by = by
        context = current()
        # Two samples of one stream must not choose the same items.
        stage = context.stage.encode() if context else b""
        seed = (context.seed if context else 0) % 2**64
        self._start = blake2b(seed.to_bytes(8, "little") + stage, digest_size=8)
        self._count = 0

    def __call__(self, item: Any) -> Any:
        drawn = self._start.copy()
        drawn.update(self._drawn_for(item))
        return item if int.from_bytes(drawn.digest(), "little") < self._below else None

    def _drawn_for(self, item: Any) -> bytes:
        if self._by is not None:
            return key_hash(self._by(item)).to_bytes(8, "little")
        context = current()
        if context is None:  # outside a run items have no ids
            self._count += 1
            return str(self._count).encode()
        return repr(context.item_id()).encode()
