"""Libraries that pipeflow can do without: imported when an operator needs one."""

from __future__ import annotations

import importlib
from typing import Any


def needed(module: str, *, operator: str, extra: str) -> Any:
    """A module that comes with one of our extras.

    Raises:
        ModuleNotFoundError: It is not installed; the text says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != library:
            raise  # it is there, and lacks something itself
        raise ModuleNotFoundError(
            f"{operator} needs {library}: pip install 'pipeflow[{extra}]'", name=error.name
        ) from None
