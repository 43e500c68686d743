"""The stage of texts.yaml."""

from __future__ import annotations

from pathlib import Path


def read(file: Path) -> dict[str, str]:
    """Read a file; one that is missing, or no text, is an error of its own item."""
    return {"file": Path(file).name, "text": Path(file).read_text(encoding="utf-8")}
