"""Rigs that are taken down after their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeflow.transports.base import Kind
from tests.transports.children import KINDS, Child, Rig


@pytest.fixture(params=KINDS, ids=[kind.value for kind in KINDS])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def make_rig() -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def make(kind: Kind, **options: Any) -> Rig:
        rigs.append(Rig.make(kind, **options))
        return rigs[-1]

    yield make
    while rigs:  # pytest keeps this function for longer than what it has made may live
        rigs.pop().close()


@pytest.fixture
def start() -> Iterator[Callable[[Callable[[], None]], Child]]:
    children: list[Child] = []

    def start_child(body: Callable[[], None]) -> Child:
        children.append(Child(body))
        return children[-1]

    yield start_child
    for child in children:
        child.kill()
