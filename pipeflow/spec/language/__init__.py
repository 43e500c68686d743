"""The language of pipeline files: every key, declared once.

The JSON Schema, the checks of a file, the defaults and the reference page are made from these
tables, a module each. What a key does is not here: ``config.build`` turns keys into
``spec.pipeline``.
"""

from __future__ import annotations

from typing import Final

from pipeflow.spec.language.batch import BATCH
from pipeflow.spec.language.defaults import DEFAULTS
from pipeflow.spec.language.edge import CAPACITY, EDGE
from pipeflow.spec.language.file_tests import EXPECTATION, TEST
from pipeflow.spec.language.join import JOIN
from pipeflow.spec.language.limits import LIMITS
from pipeflow.spec.language.names import ARGUMENT_PATTERN, NAME_PATTERN
from pipeflow.spec.language.on_error import ERROR_POLICY
from pipeflow.spec.language.params import PARAM, PARAM_TYPES
from pipeflow.spec.language.partition import PARTITION
from pipeflow.spec.language.program import PROGRAM
from pipeflow.spec.language.resources import RESOURCES
from pipeflow.spec.language.root import ROOT, VERSION
from pipeflow.spec.language.shared import SHARED
from pipeflow.spec.language.stage import BESIDE_PIPELINE, STAGE, WORKS

#: Every table, outermost first; for the reference page.
TABLES: Final = (
    ROOT,
    PARAM,
    DEFAULTS,
    LIMITS,
    SHARED,
    STAGE,
    PROGRAM,
    EDGE,
    CAPACITY,
    PARTITION,
    JOIN,
    BATCH,
    ERROR_POLICY,
    RESOURCES,
    TEST,
    EXPECTATION,
)

__all__ = [
    "ARGUMENT_PATTERN",
    "BATCH",
    "BESIDE_PIPELINE",
    "CAPACITY",
    "DEFAULTS",
    "EDGE",
    "ERROR_POLICY",
    "EXPECTATION",
    "JOIN",
    "LIMITS",
    "NAME_PATTERN",
    "PARAM",
    "PARAM_TYPES",
    "PARTITION",
    "PROGRAM",
    "RESOURCES",
    "ROOT",
    "SHARED",
    "STAGE",
    "TABLES",
    "TEST",
    "VERSION",
    "WORKS",
]
