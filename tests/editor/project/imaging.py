"""Stage functions with every kind of parameter; only their source is read."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Optional

import pipeflow


class Mode(enum.Enum):
    FAST = "fast"
    EXACT = "exact"


@dataclass
class Box:
    width: int
    height: int = 3


def find(root: Path, pattern: str = "*") -> Iterator[Path]:
    """Find the photos below a folder.

    Args:
        root: Folder that is searched.
        pattern: Names that are taken.
    """
    yield from root.glob(pattern)


def shrink(
    photo: bytes,
    width: int,
    ratio: float = 0.5,
    deep: bool = False,
    how: Literal["near", "far"] = "near",
    mode: Mode = Mode.FAST,
    names: list[str] | None = None,
    sizes: tuple[int, int] = (1, 2),
    box: Optional[Box] = None,  # noqa: UP045 - people write it so
    extra: dict[str, int] | None = None,
    wait: timedelta = timedelta(0),
    anything: Any = None,
    either: int | str = 1,
) -> bytes:
    """Shrink a photo.

    Parameters
    ----------
    photo : bytes
        The photo.
    width : int
        How wide it becomes, in pixels.
    ratio : float, optional
        Ratio of its sides.
    """
    return photo


class Detector:
    """Finds things in photos."""

    def __init__(self, model: str, threshold: float = 0.5) -> None:
        """Load the model.

        :param model: Name of the model.
        :param threshold: From where on a thing counts.
        """

    def __call__(self, photo: bytes) -> list[Box]:
        return []


@pipeflow.stream
def rolling(xs: Iterator[float], window: int) -> Iterator[float]:
    """The mean over a window."""
    yield from xs


def pair(left: bytes, right: bytes, gap: int = 0) -> bytes:
    """Two photos side by side."""
    return left + right


def größe(photo: bytes, länge: int = 1) -> bytes:  # noqa: PLC2401 - people name them so
    """Names need not be ASCII."""
    return photo


def _private(item: int) -> int:
    return item
