"""What a stage is read against: the file around it, and the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeflow.config.cursor import Findings
from pipeflow.config.stage.defaults import StageDefaults
from pipeflow.config.stage.part import Asked
from pipeflow.spec.pipeline import Pipeline
from pipeflow.spec.stage_type import StageType
from pipeflow.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a stage is read against.

    Attributes:
        folder: Of the pipeline file; the user's modules are looked for there first.
        search_path: Where they are looked for next.
        program_path: Where programs are looked for: ``PATH``.
        stage_types: The operators there are.
        include: Reads the file that a stage runs; ``None``: it could not be read at all.
        defaults: ``defaults`` of the file.
    """

    folder: str
    search_path: Sequence[str]
    stage_types: Mapping[str, StageType]
    include: Callable[[Asked, Findings], Pipeline | None]
    program_path: str = ""
    defaults: StageDefaults = field(default_factory=StageDefaults)
