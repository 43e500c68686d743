"""What holds for every test: nothing is left behind."""

from __future__ import annotations

import pytest

from pipeflow.testing.leftovers import no_leftovers

__all__ = ["no_leftovers"]


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(no_leftovers: None) -> None:
    """Put ``no_leftovers`` around each test."""
