"""What the schema of one project knows beside the language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeflow.config.schema.nodes import Schema
from pipeflow.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What a schema knows of one project; nothing of any, for the schema of all files.

    Attributes:
        call: The property ``call`` of a stage; empty for that of the language.
        calls: What holds for a stage by what it calls.
        definitions: What these refer to.
        ports: The outputs that edges may read, each with what to say of it; empty: any name.
    """

    call: Schema = field(default_factory=dict)
    calls: Sequence[Schema] = ()
    definitions: Schema = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)
