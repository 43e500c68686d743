"""Loads operators and drives them as a worker would."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pipeflow.stages.loading import load_work
from pipeflow.stages.work import BadRecord, Work


def source(operator: str, **parameters: object) -> Work:
    return load_work(
        call="", operator=operator, folder=".", parameters=parameters, source=True, input_names=()
    )


def load(operator: str, **parameters: object) -> Work:
    return load_work(
        call="", operator=operator, folder=".", parameters=parameters, source=False, input_names=()
    )


#: A sink is loaded as any operator that takes items.
sink = load


def given(operator: str, **parameters: object) -> list[Any]:
    """All that a source gives; its total is right if it knows one."""
    work = source(operator, **parameters)
    assert work.source is not None
    try:
        items = list(work.source())
        total = work.total() if work.total is not None else None
        assert total in {None, len(items)}
        return items
    finally:
        if work.close is not None:
            work.close()
            work.close()


def bad(items: list[Any]) -> list[tuple[Any, str]]:
    return [(item.item, str(item.error)) for item in items if isinstance(item, BadRecord)]


def results(operator: str, items: list[Any], **parameters: object) -> list[Any]:
    """What a worker would send on, of a stage that gives one result an item."""
    work = load(operator, **parameters)
    assert work.call is not None
    sent = [result for item in items if (result := work.call(item)) is not None]
    sent += list((work.finish and work.finish()) or ())
    if work.close is not None:
        work.close()
    return sent


def feed(work: Work, items: list[Any], *, whole: bool = True) -> list[str]:
    """Each item, ``finish`` only if they are all, ``close`` always; what was wrong with which."""
    assert work.call is not None
    refused = []
    try:
        for item in items:
            try:
                assert work.call(item) is None
            except (TypeError, ValueError, OSError) as error:
                refused.append(str(error))
        if whole and work.finish is not None:
            work.finish()
    finally:
        if work.close is not None:
            work.close()
            work.close()
    return refused


def until_true(holds: Callable[[], bool], *, longest_s: float = 20.0) -> None:
    """Wait for what another thread brings about."""
    moment = threading.Event()
    for _ in range(int(longest_s / 0.01)):
        if holds():
            return
        moment.wait(0.01)
    raise AssertionError("it never came true")
