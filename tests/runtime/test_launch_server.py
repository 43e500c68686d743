from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from pipeflow.runtime.launch.server import LaunchServer


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("answered", [True, False])
def test_the_end_is_not_disturbed_by_the_signal_of_the_supervisors_death(
    monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """The end of the socket and the signal come at once, in any order."""
    ended: list[str] = []
    server = LaunchServer(0, os.getppid())
    die = -1  # who is not our parent

    def tie() -> None:
        signal.signal(signal.SIGTERM, server._on_term)

    def answer() -> None:
        server._supervisor = die
        if not answered:
            signal.raise_signal(signal.SIGTERM)

    def end_all() -> None:
        signal.raise_signal(signal.SIGTERM)
        ended.append("all")

    monkeypatch.setattr(server, "_tie", tie)
    monkeypatch.setattr(server, "_answer", answer)
    monkeypatch.setattr(server, "_end_all", end_all)

    server.serve()

    assert ended == ["all"]
    for number in (server._wake_r, server._wake_w):
        os.close(number)
