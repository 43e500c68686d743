"""The language of pipeline files: every key, declared once.

The JSON Schema, the checks of a file, the defaults and the reference page are made from these
tables. What a key does is not here: ``config.build`` turns keys into ``spec.pipeline``.
"""

from __future__ import annotations

from typing import Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.policies import (
    DEFAULT_CONCURRENCY,
    DEFAULT_WITHIN_ITEMS,
    ArrayMode,
    OnError,
    Overflow,
    TransportKind,
)
from pipeflow.spec.program import ItemFormat, ProgramMode
from pipeflow.spec.shared import DTYPES, SharedKind
from pipeflow.spec.table import Table

#: Version of the language that this pipeflow reads.
VERSION: Final = 1

#: What a stage, a parameter, a port may be called.
NAME_PATTERN: Final = "[A-Za-z][A-Za-z0-9_-]{0,63}"

#: What an argument of a Python function may be called: named inputs and ``with``.
ARGUMENT_PATTERN: Final = "[A-Za-z_][A-Za-z0-9_]{0,63}"

_ANY = OptionType.ANY
_BOOLEAN = OptionType.BOOLEAN
_DURATION = OptionType.DURATION
_EXPRESSION = OptionType.EXPRESSION
_INTEGER = OptionType.INTEGER
_LIST = OptionType.LIST
_MAPPING = OptionType.MAPPING
_NUMBER = OptionType.NUMBER
_PERCENT = OptionType.PERCENT
_SIZE = OptionType.SIZE
_STRING = OptionType.STRING


CAPACITY: Final = Table(
    name="capacity",
    title="a capacity",
    options=(
        Option(
            name="items",
            types=(_INTEGER,),
            default=256,
            unit="items",
            minimum=1,
            maximum=2**31 - 1,
            description="Items between the writer's function and the reader's, "
            "for each reading replica.",
            examples=(8,),
        ),
        Option(
            name="bytes",
            types=(_SIZE,),
            default="64MiB",
            unit="bytes",
            description="Bytes of arrays among them; one item, or one batch, always fits.",
            examples=("1GiB",),
        ),
    ),
)

_EDGE_SETTINGS: Final = (
    Option(
        name="transport",
        types=(_STRING,),
        default=TransportKind.AUTO.value,
        choices=tuple(kind.value for kind in TransportKind),
        choice_docs=(
            "The planner takes what suits the edge.",
            "One pipe for each writer and reader.",
            "Many writers and readers on one buffer.",
        ),
        description="How the bytes of the edge cross. Whichever it is, all promises hold.",
    ),
    Option(
        name="capacity",
        types=(_INTEGER, _MAPPING),
        default=256,
        unit="items",
        minimum=1,
        maximum=2**31 - 1,
        description="How much the edge holds for each reading replica before its writer waits: "
        "a number of items, or `items` and `bytes`.",
        examples=(8, {"items": 8, "bytes": "1GiB"}),
    ),
    Option(
        name="overflow",
        types=(_STRING,),
        default=Overflow.BLOCK.value,
        choices=tuple(choice.value for choice in Overflow),
        choice_docs=(
            "The writer waits.",
            "The oldest item that still waits is dropped, and counted.",
            "The new item is dropped, and counted.",
        ),
        description="What a full edge does with the next item.",
    ),
    Option(
        name="arrays",
        types=(_STRING,),
        default=ArrayMode.SHARED.value,
        choices=tuple(mode.value for mode in ArrayMode),
        choice_docs=(
            "Large buffers are read-only views of shared memory.",
            "The reader gets private, writable arrays.",
        ),
        description="How the reader gets arrays.",
    ),
)

EDGE_DEFAULTS: Final = Table(
    name="edge defaults",
    title="the defaults of edges",
    options=_EDGE_SETTINGS,
    within={"capacity": CAPACITY},
)

EDGE: Final = Table(
    name="edge",
    title="an edge",
    options=(
        Option(
            name="from",
            types=(_STRING,),
            pattern=rf"{NAME_PATTERN}(\.{NAME_PATTERN})?",
            description="The output that is read: `stage`, or `stage.port`.",
            examples=("shrink", "segment.masks"),
        ),
        *_EDGE_SETTINGS,
    ),
    within={"capacity": CAPACITY},
)

RESOURCES: Final = Table(
    name="resources",
    title="resources",
    options=(
        Option(
            name="cpus",
            types=(_LIST,),
            default=None,
            description="Numbers of the processors that the workers are bound to.",
            examples=([0, 1],),
        ),
        Option(
            name="threads",
            types=(_INTEGER,),
            default=None,
            minimum=1,
            maximum=4096,
            description="Threads of BLAS and OpenMP in each worker; "
            "cores over workers when left out.",
            examples=(1,),
        ),
        Option(
            name="memory",
            types=(_SIZE,),
            default=None,
            unit="bytes",
            description="Private memory of each worker; shared arrays do not count.",
            examples=("2GiB",),
        ),
        Option(
            name="gpus",
            types=(_LIST,),
            default=None,
            description="Replica *i* sees one of these.",
            examples=([0, 1],),
        ),
        Option(
            name="spin",
            types=(_BOOLEAN,),
            default=False,
            description="Whether a waiting worker may burn processor time for latency.",
        ),
    ),
)

PARTITION: Final = Table(
    name="partition",
    title="a partition",
    options=(
        Option(
            name="key",
            types=(_EXPRESSION,),
            description="Items for which this Python expression over `item` gives equal values "
            "meet in one replica.",
            examples=('item["user"]',),
        ),
    ),
)

JOIN: Final = Table(
    name="join by key",
    title="a join by key",
    options=(
        Option(
            name="key",
            types=(_EXPRESSION, _MAPPING),
            aliases=("on", "by", "keys"),
            description="Items for which this Python expression over `item` gives equal values "
            "meet, one to one; a mapping gives each input an expression of its own. `None` meets "
            "nothing.",
            examples=('item["id"]', {"order": 'item["id"]', "payment": 'item["order"]'}),
        ),
        Option(
            name="within",
            types=(_INTEGER, _DURATION),
            default=DEFAULT_WITHIN_ITEMS,
            minimum=1,
            maximum=2**31 - 1,
            aliases=("window", "timeout", "tolerance"),
            description="How long an item waits for its partner: so many further items on its own "
            "input, or a time. Then it goes to port `unmatched`. The number also bounds "
            "how many items are held.",
            examples=(1000, "5s"),
        ),
    ),
)

BATCH: Final = Table(
    name="batch",
    title="a batch",
    options=(
        Option(
            name="size",
            types=(_INTEGER,),
            unit="items",
            minimum=1,
            maximum=10**6,
            aliases=("items", "count", "max", "batch_size"),
            description="How many items the function gets at once; fewer at the end.",
            examples=(64,),
        ),
        Option(
            name="wait",
            types=(_DURATION,),
            default=None,
            unit="seconds",
            aliases=("timeout", "linger", "max_wait", "period"),
            description="How long after its first item a batch goes to the function, however few "
            "it has then; for ever when left out.",
            examples=("50ms",),
        ),
        Option(
            name="stack",
            types=(_BOOLEAN,),
            default=False,
            aliases=("stacked", "array"),
            description="Whether the function gets one array, with the items along its first axis, "
            "in place of a list of arrays; it may return such an array.",
        ),
    ),
)

PROGRAM: Final = Table(
    name="program",
    title="a program",
    options=(
        Option(
            name="cmd",
            types=(_LIST,),
            aliases=("command", "args", "argv", "run", "program"),
            description="The program and its arguments; no shell reads them.",
            examples=(["sort", "-n"],),
        ),
        Option(
            name="mode",
            types=(_STRING,),
            default=ProgramMode.STREAM.value,
            choices=tuple(mode.value for mode in ProgramMode),
            choice_docs=(
                "One program for the whole stream: it reads all items, and writes what it likes.",
                "One line in, one line out, written at once: replicas, order, `on_error` hold.",
                "One program an item: bytes in, bytes out.",
            ),
            description="How the program meets the items.",
        ),
        Option(
            name="format",
            types=(_STRING,),
            default=None,
            choices=tuple(form.value for form in ItemFormat),
            choice_docs=(
                "An item is the text of a line.",
                "An item is a line of JSON.",
            ),
            description="How items are written and read: `lines` for text items, else `jsonl`, "
            "when left out.",
        ),
    ),
)

LIMITS: Final = Table(
    name="limits",
    title="limits",
    options=(
        Option(
            name="memory",
            types=(_SIZE,),
            default=None,
            unit="bytes",
            description="What shared arrays of the whole run may take; half of what the machine "
            "has free when left out.",
            examples=("4GiB",),
        ),
        Option(
            name="processes",
            types=(_INTEGER,),
            default=None,
            minimum=1,
            maximum=2**22,
            description="Most worker processes of the run.",
            examples=(64,),
        ),
    ),
)

PARAM_TYPES: Final = (
    "string",
    "integer",
    "number",
    "boolean",
    "path",
    "duration",
    "size",
    "list",
)

_DESCRIPTION: Final = Option(
    name="description",
    types=(_STRING,),
    default="",
    description="What people should know of it.",
)

PARAM: Final = Table(
    name="param",
    title="a parameter",
    options=(
        Option(
            name="type",
            types=(_STRING,),
            default="string",
            choices=PARAM_TYPES,
            choice_docs=(
                "Text.",
                "A whole number.",
                "A number.",
                "`true` or `false`.",
                "A path; a relative one means the folder where the command was started.",
                "A time with its unit: `50ms`, `2s`, `5m`, `1h`.",
                "A number of bytes with its unit: `64KiB`, `4GB`.",
                "A list; on the command line its entries stand between commas.",
            ),
            description="What kind of value it is; that of `default` when left out.",
        ),
        Option(
            name="default",
            types=(_ANY,),
            default=None,
            description="Its value when `--param` gives none; without one it must be given.",
        ),
        Option(
            name="description",
            types=(_STRING,),
            default="",
            description="What people should know of it.",
        ),
        Option(
            name="enum",
            types=(_LIST,),
            default=None,
            description="The only values allowed.",
            examples=(["fast", "exact"],),
        ),
        Option(
            name="minimum",
            types=(_NUMBER, _STRING),
            default=None,
            description="Least value allowed.",
        ),
        Option(
            name="maximum",
            types=(_NUMBER, _STRING),
            default=None,
            description="Greatest value allowed.",
        ),
        Option(
            name="secret",
            types=(_BOOLEAN,),
            default=False,
            description="Whether it is shown as `***` everywhere.",
        ),
    ),
)

_REPLICAS: Final = Option(
    name="replicas",
    types=(_INTEGER, _STRING),
    default=1,
    choices=("auto",),
    choice_docs=("The cores, divided evenly among the stages that say so.",),
    minimum=1,
    maximum=4096,
    aliases=("workers", "processes", "parallelism", "instances", "scale"),
    description="Parallel workers: a number, or `auto`.",
    examples=(4, "auto"),
)
_ON_ERROR_DOCS: Final = (
    "The run ends, and says why.",
    "The item is left out, and counted.",
    "The item goes to port `errors`, which must be read.",
)

ERROR_POLICY: Final = Table(
    name="error policy",
    title="an error policy",
    options=(
        Option(
            name="then",
            types=(_STRING,),
            default=OnError.STOP.value,
            choices=tuple(choice.value for choice in OnError),
            choice_docs=_ON_ERROR_DOCS,
            description="What follows when the last try has failed too.",
        ),
        Option(
            name="retries",
            types=(_INTEGER,),
            default=0,
            minimum=0,
            maximum=10**6,
            aliases=("retry", "attempts", "max_retries", "tries"),
            description="How often an item that fails is tried again. Its results are held until "
            "it is done, and leave together.",
            examples=(3,),
        ),
        Option(
            name="backoff",
            types=(_DURATION,),
            default="200ms",
            unit="seconds",
            aliases=("delay", "wait", "retry_delay"),
            description="The wait before an item is tried again, twice as long before each "
            "further try, at most 30s.",
            examples=("1s",),
        ),
        Option(
            name="budget",
            types=(_INTEGER, _PERCENT),
            default=None,
            minimum=0,
            maximum=2**53,
            pattern=r"[0-9]+(\.[0-9]+)? ?%",
            aliases=("limit", "max_errors", "tolerance"),
            description="How many items all replicas together may skip or dead-letter; one more "
            "ends the run. A percentage is judged from 100 items on, and at the end.",
            examples=(100, "1%"),
        ),
    ),
)

_ON_ERROR: Final = Option(
    name="on_error",
    types=(_STRING, _MAPPING),
    default=OnError.STOP.value,
    choices=tuple(choice.value for choice in OnError),
    choice_docs=_ON_ERROR_DOCS,
    description="What follows when an item fails: one of these words, or a mapping that also "
    "says how often to try again, and how many items may be given up.",
    examples=("skip", {"then": "dead_letter", "retries": 3, "backoff": "1s"}),
)
_TIMEOUT: Final = Option(
    name="timeout",
    types=(_DURATION,),
    default=None,
    unit="seconds",
    aliases=("time_limit", "deadline", "max_time"),
    description="Longest time in your function for one item (one batch, one attempt); waits for "
    "edges do not count. An item that takes longer has failed, and `on_error` says what follows. "
    "Not for sources and stream functions.",
    examples=("30s",),
)
_RESOURCES: Final = Option(
    name="resources",
    types=(_MAPPING,),
    default=None,
    description="What the stage's processes may use.",
    examples=({"threads": 1, "memory": "2GiB"},),
)
_ENV: Final = Option(
    name="env",
    types=(_MAPPING,),
    default=None,
    aliases=("environment",),
    description="Environment for the stage's processes; `${replica}` is the worker's number.",
    examples=({"MODEL": "large"},),
)

DEFAULTS: Final = Table(
    name="defaults",
    title="defaults",
    options=(
        _REPLICAS,
        _ON_ERROR,
        _TIMEOUT,
        _RESOURCES,
        _ENV,
        Option(
            name="edge",
            types=(_MAPPING,),
            default=None,
            description="Settings for every edge that has none of its own.",
            examples=({"capacity": 64},),
        ),
    ),
    within={"on_error": ERROR_POLICY, "resources": RESOURCES, "edge": EDGE_DEFAULTS},
)

STAGE: Final = Table(
    name="stage",
    title="a stage",
    open=True,
    options=(
        Option(
            name="call",
            types=(_STRING,),
            default=None,
            aliases=("function", "func", "fn", "handler", "exec", "python", "target"),
            description="Your own Python, as `module:attribute`; "
            "the file's folder is first on the path.",
            examples=("imaging:decode",),
        ),
        Option(
            name="use",
            types=(_STRING,),
            default=None,
            aliases=("type", "operator", "uses", "op", "kind", "plugin"),
            description="An operator by name: built in (`files`), or `plugin/operator`.",
            examples=("files", "jsonl.write"),
        ),
        Option(
            name="run",
            types=(_LIST, _MAPPING),
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
            types=(_STRING,),
            default=None,
            aliases=("include", "subpipeline"),
            description="Another pipeline file as one stage, looked for beside this one. `with` "
            "gives its params, `inputs` feeds its inputs, and its outputs are the stage's ports.",
            examples=("resize.yaml",),
        ),
        Option(
            name="with",
            types=(_MAPPING,),
            default=None,
            aliases=("args", "kwargs", "params", "parameters", "options", "config", "arguments"),
            description="Keyword arguments: of the function beside the item, of a class's "
            "`__init__`, of the operator; params of the file that `pipeline` names.",
            examples=({"width": 256},),
        ),
        Option(
            name="inputs",
            types=(_STRING, _LIST, _MAPPING),
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
            types=(_LIST,),
            default=None,
            description="Names of the extra output ports that a stage of your own writes to.",
            examples=(["masks"],),
        ),
        _REPLICAS,
        Option(
            name="partition",
            types=(_STRING, _MAPPING),
            default="balance",
            choices=("balance", "broadcast"),
            choice_docs=(
                "Items go to whichever replica has room.",
                "Every replica gets every item.",
            ),
            description="How items spread over the replicas: `balance`, `broadcast`, "
            "or `{key: EXPR}`.",
            examples=("broadcast", {"key": 'item["user"]'}),
        ),
        Option(
            name="ordered",
            types=(_BOOLEAN,),
            default=True,
            description="Whether what comes out has the order that one worker would give.",
        ),
        Option(
            name="batch",
            types=(_INTEGER, _MAPPING),
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
            types=(_INTEGER,),
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
            types=(_STRING, _MAPPING),
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
        _ON_ERROR,
        _TIMEOUT,
        _RESOURCES,
        _ENV,
        Option(
            name="enabled",
            types=(_BOOLEAN,),
            default=True,
            description="`false` takes the stage out.",
        ),
        Option(
            name="description",
            types=(_STRING,),
            default="",
            description="What people should know of it.",
        ),
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

EXPECTATION: Final = Table(
    name="expectation",
    title="an expectation",
    options=(
        Option(
            name="count",
            types=(_INTEGER,),
            default=None,
            unit="items",
            minimum=0,
            description="How many items there must be.",
            examples=(2,),
        ),
        Option(
            name="contains",
            types=(_LIST,),
            default=None,
            description="Items that must be among them, in any order.",
            examples=(["first", "last"],),
        ),
        Option(
            name="each",
            types=(_EXPRESSION,),
            default=None,
            description="A Python expression over `item` that must hold for every item.",
            examples=('item["width"] <= 64',),
        ),
    ),
)

TEST: Final = Table(
    name="test",
    title="a test",
    options=(
        _DESCRIPTION,
        Option(
            name="params",
            types=(_MAPPING,),
            default=None,
            description="Values of the file's params for this test.",
            examples=({"width": 64},),
        ),
        Option(
            name="given",
            types=(_MAPPING,),
            default=None,
            description="Items that stand in place of a stage's output: `stage` or `stage.port`, "
            "and a list. Without it the sources run.",
            examples=({"find": ["photos/a.jpg", "photos/b.jpg"]},),
        ),
        Option(
            name="expect",
            types=(_MAPPING,),
            description="What stages must emit, or what must reach a sink: `stage` or "
            "`stage.port`, and the exact items, or `count`, `contains`, `each`.",
            examples=({"shrink": {"count": 2}, "broken": []},),
        ),
    ),
    each={"expect": EXPECTATION},
)

SHARED: Final = Table(
    name="shared",
    title="shared state",
    options=(
        Option(
            name="type",
            types=(_STRING,),
            choices=tuple(kind.value for kind in SharedKind),
            choice_docs=(
                "A dict, in a process of its own: the manager.",
                "A list, in the same process.",
                "One number or truth value, in shared memory.",
                "An array, in shared memory.",
            ),
            description="What it is.",
        ),
        Option(
            name="dtype",
            types=(_STRING,),
            default=None,
            choices=tuple(DTYPES),
            description="Element type of a value or an array: float64 when left out; that of "
            "`value` if that is a whole number or a truth value.",
        ),
        Option(
            name="shape",
            types=(_INTEGER, _LIST),
            default=None,
            unit="elements",
            minimum=1,
            description="Length of each axis of an array.",
            examples=([256], [480, 640, 3]),
        ),
        Option(
            name="value",
            types=(_NUMBER, _BOOLEAN),
            default=0,
            description="What a value is at the start, and each element of an array.",
            examples=(1,),
        ),
    ),
)

ROOT: Final = Table(
    name="pipeline",
    title="a pipeline",
    open=True,
    options=(
        Option(
            name="version",
            types=(_INTEGER,),
            default=VERSION,
            description=f"Version of the language; {VERSION} when left out.",
            examples=(VERSION,),
        ),
        Option(
            name="name",
            types=(_STRING,),
            default=None,
            description="Name of the pipeline; the file's stem when left out.",
            examples=("thumbnails",),
        ),
        Option(
            name="description",
            types=(_STRING,),
            default="",
            description="What people should know of it.",
        ),
        Option(
            name="params",
            types=(_MAPPING,),
            default=None,
            aliases=("parameters", "variables", "vars", "args"),
            description="Values that `--param NAME=VALUE` changes, read as `${params.NAME}`: "
            "a mapping each, or a bare default.",
            examples=({"width": {"type": "integer", "default": 256}},),
        ),
        Option(
            name="defaults",
            types=(_MAPPING,),
            default=None,
            description="Settings for every stage that has none of its own and can have them.",
        ),
        Option(
            name="limits",
            types=(_MAPPING,),
            default=None,
            description="Bounds of the whole run.",
            examples=({"memory": "4GiB", "processes": 64},),
        ),
        Option(
            name="shared",
            types=(_MAPPING,),
            default=None,
            aliases=("state", "globals"),
            description="State that stages share, which reaches a function by "
            '`with: {seen: "${shared.seen}"}`: an object with `.value` or `.array` that is also a '
            "context manager holding its lock.",
            examples=({"seen": {"type": "dict"}},),
        ),
        Option(
            name="stages",
            types=(_MAPPING,),
            aliases=("steps", "tasks", "nodes", "jobs", "services", "components", "pipeline"),
            description="The stages: a name each, and what it does.",
        ),
        Option(
            name="tests",
            types=(_MAPPING,),
            default=None,
            description="Tests of the pipeline, which `pipeflow test` runs: a name each, "
            "and what is given and expected.",
        ),
        Option(
            name="inputs",
            types=(_LIST,),
            default=None,
            description="Names of the inputs of a file that is used as a stage; its stages read "
            "them as they read each other. Such a file is not run by itself.",
            examples=(["images"],),
        ),
        Option(
            name="outputs",
            types=(_MAPPING,),
            default=None,
            description="The outputs of a file that is used as a stage: the name of a port, and "
            "the `stage` or `stage.port` whose items it gives. Such a file is not run by itself.",
            examples=({"out": "shrink", "masks": "segment.masks"},),
        ),
        *(
            Option(name=name, types=(_ANY,), default=None, description=words, later=True)
            for name, words in (
                ("delivery", "What is promised when a process dies."),
                ("checkpoint", "How often the state of the run is saved, and where."),
                ("restart", "How often a run may begin again after a crash."),
            )
        ),
    ),
    within={"defaults": DEFAULTS, "limits": LIMITS},
    each={"params": PARAM, "shared": SHARED, "stages": STAGE, "tests": TEST},
)

#: What a stage that runs another file may say beside ``pipeline``: the rest is for processes, and
#: those are the inner file's.
BESIDE_PIPELINE: Final = frozenset({"pipeline", "with", "inputs", "enabled", "description"})

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
