"""A stage: what it does, what it reads, how it runs."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.language import settings
from pipeflow.spec.language.batch import BATCH
from pipeflow.spec.language.join import JOIN
from pipeflow.spec.language.names import DESCRIPTION
from pipeflow.spec.language.on_error import ERROR_POLICY
from pipeflow.spec.language.partition import PARTITION
from pipeflow.spec.language.program import PROGRAM
from pipeflow.spec.language.resources import RESOURCES
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.policies import DEFAULT_CONCURRENCY
from pipeflow.spec.table import Table

STAGE: Final = Table(
    name="stage",
    title="a stage",
    open=True,
    options=(
        Option(
            name="call",
            types=(OptionType.STRING,),
            default=None,
            aliases=("function", "func", "fn", "handler", "exec", "python", "target"),
            description="Your own Python, as `module:attribute`; "
            "the file's folder is first on the path.",
            examples=("imaging:decode",),
        ),
        Option(
            name="use",
            types=(OptionType.STRING,),
            default=None,
            aliases=("type", "operator", "uses", "op", "kind", "plugin"),
            description="An operator by name: built in (`files`), or `plugin/operator`.",
            examples=("files", "jsonl.write"),
        ),
        Option(
            name="run",
            types=(OptionType.LIST, OptionType.MAPPING),
            default=None,
            aliases=("command", "cmd", "shell", "program"),
            description="An external program as a list of arguments (no shell), or a mapping that "
            "also says how it meets the items.",
            examples=(
                ["sort", "-n"],
                {"cmd": ["wc", "-c"], "mode": "each"},
            ),
        ),
        Option(
            name="pipeline",
            types=(OptionType.STRING,),
            default=None,
            aliases=("include", "subpipeline"),
            description="Another pipeline file as one stage, looked for beside this one. `with` "
            "gives its params, `inputs` feeds its inputs, and its outputs are the stage's ports.",
            examples=("resize.yaml",),
        ),
        Option(
            name="with",
            types=(OptionType.MAPPING,),
            default=None,
            aliases=("args", "kwargs", "params", "parameters", "options", "config", "arguments"),
            description="Keyword arguments: of the function beside the item, of a class's "
            "`__init__`, of the operator; params of the file that `pipeline` names.",
            examples=({"width": 256},),
        ),
        Option(
            name="inputs",
            types=(OptionType.STRING, OptionType.LIST, OptionType.MAPPING),
            default=None,
            aliases=(
                "source",
                "sources",
                "depends_on",
                "needs",
                "from",
                "upstream",
                "reads",
                "after",
            ),
            description="Where items come from: one output, a list that is merged, or named "
            "outputs, one argument each. A stage without inputs is a source.",
            examples=("decode", ["a", "b"], {"image": "decode", "mask": "segment.masks"}),
        ),
        Option(
            name="outputs",
            types=(OptionType.LIST,),
            default=None,
            description="Names of the extra output ports that a stage of your own writes to.",
            examples=(["masks"],),
        ),
        settings.REPLICAS,
        Option(
            name="partition",
            types=(OptionType.STRING, OptionType.MAPPING),
            default="balance",
            choices=("balance", "broadcast"),
            choice_docs=(
                "Items go to the replica with the least to do; in a chain of replicas, evenly.",
                "Every replica gets every item.",
            ),
            description="How items spread over the replicas: `balance`, `broadcast`, "
            "or `{key: EXPR}`.",
            examples=("broadcast", {"key": 'item["user"]'}),
        ),
        Option(
            name="ordered",
            types=(OptionType.BOOLEAN,),
            default=True,
            description="Whether what comes out has the order that one worker would give.",
        ),
        Option(
            name="batch",
            types=(OptionType.INTEGER, OptionType.MAPPING),
            default=None,
            unit="items",
            minimum=1,
            maximum=10**6,
            aliases=("batch_size", "chunk", "chunk_size"),
            description="Your function gets a list of that many items, and returns a list with one "
            "result for each, `None` for nothing.",
            examples=(64, {"size": 64, "wait": "50ms"}),
        ),
        Option(
            name="concurrency",
            types=(OptionType.INTEGER,),
            default=DEFAULT_CONCURRENCY,
            unit="items",
            minimum=1,
            maximum=10**6,
            aliases=("max_concurrency", "in_flight", "max_in_flight"),
            description="Items, or batches, in flight in one worker of an `async def` function; "
            "results leave in the order of the items, unless `ordered: false`.",
            examples=(100,),
        ),
        Option(
            name="join",
            types=(OptionType.STRING, OptionType.MAPPING),
            default="zip",
            choices=("zip", "latest"),
            choice_docs=(
                "Ports that come from one stage pair by item id, others by position.",
                "Each item of the first port with the newest of the others, until the first ends.",
            ),
            description="How named inputs meet: `zip`, `latest`, or by key: "
            "`{key: EXPR, within: 1000}`.",
            examples=("latest", {"key": 'item["id"]', "within": "5s"}),
        ),
        settings.ON_ERROR,
        settings.TIMEOUT,
        settings.RESOURCES,
        settings.ENV,
        Option(
            name="enabled",
            types=(OptionType.BOOLEAN,),
            default=True,
            description="`false` takes the stage out.",
        ),
        DESCRIPTION,
    ),
    within={
        "run": PROGRAM,
        "on_error": ERROR_POLICY,
        "resources": RESOURCES,
        "partition": PARTITION,
        "batch": BATCH,
        "join": JOIN,
    },
)

#: Keys that say what a stage does; it has exactly one of them.
WORKS: Final = tuple(
    option.name
    for option in STAGE.options
    if option.name in {"call", "use", "run", "pipeline"} and not option.later
)

#: What a stage that runs another file may say beside ``pipeline``: the rest is for processes, and
#: those are the inner file's.
BESIDE_PIPELINE: Final = frozenset({"pipeline", "with", "inputs", "enabled", "description"})
