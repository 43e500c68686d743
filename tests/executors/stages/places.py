"""Stages that tell what they read in their environment."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pipeflow


def named(item: int) -> list[str | None]:
    return [os.environ.get("PLACE"), os.environ.get("CUDA_VISIBLE_DEVICES")]


async def named_later(item: int) -> str | None:
    before = os.environ.get("PLACE")
    await asyncio.sleep(0.001)
    return before if before == os.environ.get("PLACE") else "changed meanwhile"


@pipeflow.stream
def named_in_a_stream(items: Iterator[int]) -> Iterator[str | None]:
    for _ in items:
        yield os.environ.get("PLACE")


class NamedEachTime:
    """Notes what it reads when it is made, called and asked to finish."""

    def __init__(self) -> None:
        self.seen = [os.environ.get("PLACE")]

    def __call__(self, item: int) -> None:
        self.seen.append(os.environ.get("PLACE"))
        os.environ["PLACE"] = f"after {item}"

    def finish(self) -> Iterator[list[str | None]]:
        yield [*self.seen, os.environ.get("PLACE")]


class Goes:
    """Goes to a folder with its first item, and says from then on where it is."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __call__(self, item: int) -> str:
        if item == 0:
            os.chdir(self._folder)
        return str(Path.cwd())


def where(item: str) -> list[str]:
    """Where another is, and where we are."""
    return [item, str(Path.cwd())]


def remove(folder: str) -> str:
    """Removes a folder that is empty and not ours."""
    if Path(folder) != Path.cwd():
        Path(folder).rmdir()
    return folder
