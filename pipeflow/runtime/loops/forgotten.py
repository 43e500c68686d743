"""What a plain function gives when it calls an ``async`` one and forgets to await it."""

from __future__ import annotations

from types import AsyncGeneratorType, CoroutineType
from typing import Final

#: Types of results that nobody has awaited.
FORGOTTEN: Final = frozenset({CoroutineType, AsyncGeneratorType})


def refuse_forgotten(result: object, *others: object) -> None:
    """See to it that a result is one, and no promise of one; the others are let go of then.

    Nobody would ever keep it: where the result is not read, the stage would seem to do its work.

    Raises:
        TypeError: It is a coroutine, or an async generator.
    """
    if isinstance(result, CoroutineType):
        for each in (result, *others):
            if isinstance(each, CoroutineType):
                each.close()  # else Python would warn of it in our name
        raise TypeError(
            f"the function returned the coroutine '{result.__qualname__}', which nobody awaited:"
            " make it `async def`, and `await` there"
        )
    if isinstance(result, AsyncGeneratorType):
        raise TypeError(
            f"the function returned the async generator '{result.__qualname__}', which nobody went"
            " through: name that one as the stage's function, or make it `async def`, with `async"
            " for`"
        )
