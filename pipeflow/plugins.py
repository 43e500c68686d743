"""For authors of plug-ins: what an operator is declared with. See docs/plugins.md."""

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import Misuse
from pipeflow.stages.declare import operator
from pipeflow.stages.work import BadRecord

__all__ = ["REQUIRED", "BadRecord", "Misuse", "Option", "OptionType", "Role", "operator"]
