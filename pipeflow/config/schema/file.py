"""The schema of the language as a file: what it holds, and where it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pipeflow.config.schema.root import pipeline_schema
from pipeflow.spec.stage_type import StageType


def schema_text(stage_types: Mapping[str, StageType]) -> str:
    """The schema as the file in ``schemas/`` holds it."""
    return json.dumps(pipeline_schema(stage_types), indent=2, ensure_ascii=False) + "\n"


def schema_path() -> Path:
    """Where the schema file is: inside an installed package, or in a checkout.

    Raises:
        FileNotFoundError: Neither place has it.
    """
    package = Path(__file__).resolve().parents[2]
    name = "pipeline.schema.json"
    for folder in (package / "schemas", package.parent / "schemas"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{name} is neither in {package} nor beside it")
