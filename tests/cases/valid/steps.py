"""What the good pipelines of this folder call; it is only ever read, never run."""

from __future__ import annotations

from collections.abc import Iterator

import pipeflow

raise RuntimeError("a module of the user was imported by validate")


def load(limit: float = 3) -> Iterator[dict[str, object]]:
    yield from ({"user": number, "x": "a"} for number in range(int(limit)))


def clean(item: object) -> object:
    return item


def both(item: object) -> object:
    return pipeflow.to("large", item) if item else item


def pair(
    image: object,
    mask: object,
    names: list[str],
    seen: dict[str, int] | None = None,
    more: tuple[object, ...] = (),
) -> object:
    return dict.fromkeys(names, (image, mask))


def save(item: object, title: str = "") -> None:
    print(title, item)
