"""The packages that pipeflow is compared with: those there are drivers for, and what is missing."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Final

from tests.benchmarks.model import NotAvailable

#: Modules of the packages, each with a ``MODULE_driver.py``.
DRIVEN: Final = ("pypeln", "mpire", "joblib", "shmpipeline", "ray", "dora")


def about_peers() -> list[str]:
    """Say which peers will not be in the tables, and why."""
    return [
        f"{name} is not installed: pip install 'pipeflow[bench]'"
        for name in DRIVEN
        if importlib.util.find_spec(name) is None
    ]


def needed(package: str) -> Any:
    """Import a package.

    Raises:
        NotAvailable: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as missing:
        if missing.name != package:
            raise
        raise NotAvailable(f"{package} is not installed: pip install 'pipeflow[bench]'") from None
