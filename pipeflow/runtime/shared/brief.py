"""The brief of the manager process."""

from __future__ import annotations

from pipeflow.spec.shared import SharedKind
from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerBrief:
    """What the manager is told.

    Attributes:
        door: Descriptor of its end of the door.
        kinds: What each piece of state is.
        folders: Of all pipeline files of the run: keys may be objects of the user's own classes.
    """

    door: int
    kinds: tuple[SharedKind, ...]
    folders: tuple[str, ...]
