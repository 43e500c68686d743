"""The packages that pipeflow is compared with: those there are drivers for, and what is missing."""

from __future__ import annotations

import importlib
from typing import Any

from tests.benchmarks.model import NotAvailable


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
