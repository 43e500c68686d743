"""What a stage is read against: the file around it, and the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeflow.config.cursor import Findings
from pipeflow.config.problem import Problem
from pipeflow.config.source import Inspected
from pipeflow.config.stage.defaults import StageDefaults
from pipeflow.config.stage.part import Asked
from pipeflow.spec.pipeline import Pipeline
from pipeflow.spec.stage_type import StageType
from pipeflow.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a stage is read against.

    Attributes:
        look_up: What ``module:attribute`` is: each is read once, however many stages call it.
        program_path: Where programs are looked for: ``PATH``.
        stage_types: The operators there are.
        include: Reads the file that a stage runs; ``None``: it could not be read at all.
        defaults: ``defaults`` of the file.
    """

    look_up: Callable[[str], Inspected | Problem]
    stage_types: Mapping[str, StageType]
    include: Callable[[Asked, Findings], Pipeline | None]
    program_path: str = ""
    defaults: StageDefaults = field(default_factory=StageDefaults)
