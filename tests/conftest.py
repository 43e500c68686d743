"""What holds for every test: nothing is left behind, and a busy machine is no failure."""

from __future__ import annotations

import gc

import hypothesis
import pytest

from pipeflow.testing.leftovers import no_leftovers

__all__ = ["no_leftovers"]

# So that what they assert is shown as in a test.
pytest.register_assert_rewrite(
    "tests.config.parts",
    "tests.executors.judging",
    "tests.executors.programs",
    "tests.stages.working",
)

# A loaded machine makes an example slow, not wrong; pytest's own time limit still holds.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(no_leftovers: None) -> None:
    """Put ``no_leftovers`` around each test."""


def pytest_collection_finish() -> None:
    """What was collected stays: nobody who looks for garbage need go through all of it.

    Each test that started a process does (``leftovers``), which took 0.4 s a time.
    """
    gc.collect()
    gc.freeze()
