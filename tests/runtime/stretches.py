"""Both kinds of innermost loops: what holds of one must hold of the other."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import pytest

ALL: Final = ("interpreted", "_compiled")


def load(name: str) -> Any:
    """The module of that name; skips the test where it could not be compiled."""
    try:
        return import_module(f"pipeflow.runtime.loops.stretch.{name}")
    except ModuleNotFoundError:
        pytest.skip("no compiler was found when pipeflow was installed")
