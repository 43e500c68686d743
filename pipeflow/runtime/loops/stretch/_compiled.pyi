from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipeflow.runtime.board import Marks

FORM_7: int
HOPS: int
WHOLE: int
OTHER: int
RAISED: int
UNSEEN: int
STOPPING: int

def take(
    items: Iterator[Any],
    most: int,
    waiting: list[Any] | None,
    listed: list[int] | None,
    ordinal: int,
    step: int,
    woken: Sequence[int],
    stopping: Sequence[int],
    asking: bytearray,
    /,
) -> tuple[int, int, Any, bool]: ...
def call(
    function: Callable[..., Any],
    payloads: list[Any],
    at: int,
    stop: int,
    marks: Marks,
    waiting: list[Any] | None,
    listed: list[int] | None,
    woken: Sequence[int],
    passes_none: bool,
    joined: bool,
    /,
) -> tuple[int, int, int, Any, bool]: ...
def call_only(
    function: Callable[..., Any],
    payloads: list[Any],
    at: int,
    stop: int,
    marks: Marks,
    joined: bool,
    /,
) -> tuple[int, int, int, int, Any, bool]: ...

class Outlet:
    def __init__(self, parts: tuple[Any, ...], /) -> None: ...
    def gather(
        self,
        items: Iterator[Any],
        stage: int,
        first: int,
        stopping: Sequence[int],
        asking: bytearray,
        /,
    ) -> tuple[int, int, Any, bool]: ...

class Hop:
    def __init__(self, parts: tuple[Any, ...], /) -> None: ...
    def go(self, function: Callable[..., Any], /) -> tuple[Any, ...]: ...
