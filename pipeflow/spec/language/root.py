"""The whole file: its top level."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.language.defaults import DEFAULTS
from pipeflow.spec.language.file_tests import TEST
from pipeflow.spec.language.limits import LIMITS
from pipeflow.spec.language.names import DESCRIPTION
from pipeflow.spec.language.params import PARAM
from pipeflow.spec.language.shared import SHARED
from pipeflow.spec.language.stage import STAGE
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.table import Table

#: Version of the language that this pipeflow reads.
VERSION: Final = 1

ROOT: Final = Table(
    name="pipeline",
    title="a pipeline",
    open=True,
    options=(
        Option(
            name="version",
            types=(OptionType.INTEGER,),
            default=VERSION,
            description=f"Version of the language; {VERSION} when left out.",
            examples=(VERSION,),
        ),
        Option(
            name="name",
            types=(OptionType.STRING,),
            default=None,
            description="Name of the pipeline; the file's stem when left out.",
            examples=("thumbnails",),
        ),
        DESCRIPTION,
        Option(
            name="params",
            types=(OptionType.MAPPING,),
            default=None,
            aliases=("parameters", "variables", "vars", "args"),
            description="Values that `--param NAME=VALUE` changes, read as `${params.NAME}`: "
            "a mapping each, or a bare default.",
            examples=({"width": {"type": "integer", "default": 256}},),
        ),
        Option(
            name="defaults",
            types=(OptionType.MAPPING,),
            default=None,
            description="Settings for every stage that has none of its own and can have them.",
        ),
        Option(
            name="limits",
            types=(OptionType.MAPPING,),
            default=None,
            description="Bounds of the whole run.",
            examples=({"memory": "4GiB", "processes": 64},),
        ),
        Option(
            name="shared",
            types=(OptionType.MAPPING,),
            default=None,
            aliases=("state", "globals"),
            description="State that stages share, which reaches a function by "
            '`with: {seen: "${shared.seen}"}`: an object with `.value` or `.array` that is also a '
            "context manager holding its lock.",
            examples=({"seen": {"type": "dict"}},),
        ),
        Option(
            name="delivery",
            types=(OptionType.STRING,),
            default="stop",
            choices=("stop",),
            choice_docs=("The first crash that no `on_error` covers ends the run.",),
            later_choices=("at-least-once", "exactly-once"),
            description="What is promised when a process dies.",
        ),
        Option(
            name="stages",
            types=(OptionType.MAPPING,),
            aliases=("steps", "tasks", "nodes", "jobs", "services", "components", "pipeline"),
            description="The stages: a name each, and what it does.",
        ),
        Option(
            name="tests",
            types=(OptionType.MAPPING,),
            default=None,
            description="Tests of the pipeline, which `pipeflow test` runs: a name each, "
            "and what is given and expected.",
        ),
        Option(
            name="inputs",
            types=(OptionType.LIST,),
            default=None,
            description="Names of the inputs of a file that is used as a stage; its stages read "
            "them as they read each other. Such a file is not run by itself.",
            examples=(["images"],),
        ),
        Option(
            name="outputs",
            types=(OptionType.MAPPING,),
            default=None,
            description="The outputs of a file that is used as a stage: the name of a port, and "
            "the `stage` or `stage.port` whose items it gives. Such a file is not run by itself.",
            examples=({"out": "shrink", "masks": "segment.masks"},),
        ),
        *(
            Option(name=name, types=(OptionType.ANY,), default=None, description=words, later=True)
            for name, words in (
                ("checkpoint", "How often the state of the run is saved, and where."),
                ("restart", "How often a run may begin again after a crash."),
            )
        ),
    ),
    within={"defaults": DEFAULTS, "limits": LIMITS},
    each={"params": PARAM, "shared": SHARED, "stages": STAGE, "tests": TEST},
)
