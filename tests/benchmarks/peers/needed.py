"""The packages that pipeflow is compared with: those there are drivers for, and what is missing."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Final

from tests.benchmarks.model import NotAvailable

#: Packages that are run, by ``PACKAGE_driver.py``.
DRIVEN: Final = ("pypeln", "mpire", "joblib", "ray")
#: Packages that one would like to see here, and why one does not.
NOT_DRIVEN: Final = {
    "shmpipeline": "its streams keep the latest value only, so that items get lost",
    "dora-rs": "it needs a daemon and a coordinator that one has to start first",
}


def about_peers() -> list[str]:
    """Say which peers will not be in the tables, and why."""
    return [
        *(
            f"{name} is not installed: pip install 'pipeflow[bench]'"
            for name in DRIVEN
            if importlib.util.find_spec(name) is None
        ),
        *(f"{name} has no driver here: {why}" for name, why in NOT_DRIVEN.items()),
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
