"""Why an item cannot go on."""

from __future__ import annotations

from typing import Any

from pipeflow.errors import ItemNotLoadable, ItemNotSerializable, PipeflowError
from pipeflow.runtime.messages import ItemId


class NotOneToOne(PipeflowError):
    """Items that are to be paired by their ids have more than one partner on another input.

    Attributes:
        item: Id of an item of which others were made.
    """

    def __init__(self, item: ItemId, port: str) -> None:
        super().__init__(item, port)
        self.item, self._port = item, port

    def __str__(self) -> str:
        return f"a stage on the way to '{self._port}' gives any number of results for an item"


class ReadersGone(PipeflowError):
    """All readers of the stage have closed their edges: nobody needs its results."""


class Unplaced(Exception):
    """The replica for a result cannot be worked out on the short way.

    Attributes:
        payload: The result.
    """

    def __init__(self, payload: Any) -> None:
        super().__init__(payload)
        self.payload = payload


class ResultNotSerializable(PipeflowError):
    """A result cannot cross to its reader.

    Attributes:
        item: Id of the result.
        cause: What pickle said.
    """

    def __init__(self, item: ItemId, cause: ItemNotSerializable) -> None:
        super().__init__(item, cause)
        self.item, self.cause = item, cause


class InputNotLoadable(PipeflowError):
    """What came cannot be made into an object again.

    Attributes:
        item: Id of the item.
        cause: What pickle said.
    """

    def __init__(self, item: ItemId, cause: ItemNotLoadable) -> None:
        super().__init__(item, cause)
        self.item, self.cause = item, cause
