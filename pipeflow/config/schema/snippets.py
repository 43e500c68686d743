"""What editors offer to write as a whole: a new file, a stage of each kind, an edge's long form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from pipeflow.spec.options import OptionType

Snippet: TypeAlias = dict[str, Any]

#: A file with nothing in it yet.
NEW_FILE: Final[list[Snippet]] = [
    {
        "label": "new pipeline",
        "description": "A source, a function of your own, and what becomes of the results.",
        "body": {
            "version": 1,
            "name": "${1:name}",
            "stages": {
                "${2:find}": {"use": "files", "with": {"root": "${3:.}", "pattern": "${4:**/*}"}},
                "${5:work}": {"call": "${6:module}:${7:function}", "inputs": "${2:find}"},
                "${8:show}": {"use": "print", "inputs": "${5:work}"},
            },
        },
    },
    {
        "label": "new file for use as a stage",
        "description": "What it takes, what it gives, and a stage between the two.",
        "body": {
            "version": 1,
            "inputs": ["${1:items}"],
            "outputs": {"out": "${2:work}"},
            "stages": {
                "${2:work}": {"call": "${3:module}:${4:function}", "inputs": "${1:items}"},
            },
        },
    },
]

#: A stage, under ``stages``: nothing else proposes a new key there.
NEW_STAGE: Final[list[Snippet]] = [
    {
        "label": "stage: your own function",
        "description": "One call for each item that comes in.",
        "body": {
            "${1:name}": {"call": "${2:module}:${3:function}", "inputs": "${4:stage}"},
        },
    },
    {
        "label": "stage: your own function, in batches",
        "description": "It gets lists of items and returns one result for each.",
        "body": {
            "${1:name}": {
                "call": "${2:module}:${3:function}",
                "inputs": "${4:stage}",
                "batch": {"size": "${5:64}", "wait": "${6:50ms}"},
            },
        },
    },
    {
        "label": "stage: your own async function",
        "description": "`async def`: many items are awaited at once in one worker.",
        "body": {
            "${1:name}": {
                "call": "${2:module}:${3:function}",
                "inputs": "${4:stage}",
                "concurrency": "${5:16}",
                "timeout": "${6:10s}",
            },
        },
    },
    {
        "label": "stage: your own source",
        "description": "A function without inputs: what it returns or yields are the items.",
        "body": {"${1:name}": {"call": "${2:module}:${3:function}"}},
    },
    {
        "label": "stage: an operator",
        "description": "A built-in operator, or one of a plug-in.",
        "body": {
            "${1:name}": {"use": "${2:print}", "inputs": "${3:stage}"},
        },
    },
    {
        "label": "stage: a program",
        "description": "An external program for the whole stream: items in, lines out; no shell.",
        "body": {
            "${1:name}": {"run": ["${2:sort}", "${3:-n}"], "inputs": "${4:stage}"},
        },
    },
    {
        "label": "stage: a program, line by line",
        "description": "One line in, one line out, written at once: order and errors by item.",
        "body": {
            "${1:name}": {
                "run": {"cmd": ["${2:sed}", "${3:-u}", "${4:s/a/b/}"], "mode": "item"},
                "inputs": "${5:stage}",
            },
        },
    },
    {
        "label": "stage: another file",
        "description": "A pipeline file as one stage: its params, and what feeds its inputs.",
        "body": {
            "${1:name}": {"pipeline": "${2:part}.yaml", "inputs": "${3:stage}"},
        },
    },
    {
        "label": "stage: a join of named inputs",
        "description": "One argument of the function for each input; they meet by item.",
        "body": {
            "${1:name}": {
                "call": "${2:module}:${3:function}",
                "inputs": {"${4:left}": "${5:stage}", "${6:right}": "${7:stage}"},
            },
        },
    },
    {
        "label": "stage: a join by key",
        "description": "Items of the inputs meet that have equal keys; the rest is `unmatched`.",
        "body": {
            "${1:name}": {
                "call": "${2:module}:${3:function}",
                "inputs": {"${4:left}": "${5:stage}", "${6:right}": "${7:stage}"},
                "join": {"key": "${8:item}", "within": "${9:1000}"},
            },
        },
    },
    {
        "label": "stage: keeps dead letters",
        "description": "Writes the items that a stage with `on_error: dead_letter` gave up on.",
        "body": {
            "${1:broken}": {
                "use": "jsonl.write",
                "inputs": "${2:stage}.errors",
                "with": {"path": "${3:out/broken.jsonl}"},
            },
        },
    },
]

#: A test, under ``tests``.
NEW_TEST: Final[list[Snippet]] = [
    {
        "label": "test: what goes in, what comes out",
        "description": "Items in place of a stage's output, and what another must emit.",
        "body": {
            "${1:name}": {
                "given": {"${2:stage}": ["${3:item}"]},
                "expect": {"${4:stage}": ["${5:item}"]},
            },
        },
    },
]

#: State that stages share, under ``shared``.
NEW_STATE: Final[list[Snippet]] = [
    {
        "label": "shared: a dict",
        "description": "In a process of its own; also `list`.",
        "body": {"${1:seen}": {"type": "dict"}},
    },
    {
        "label": "shared: a value",
        "description": "One number in shared memory.",
        "body": {"${1:total}": {"type": "value", "dtype": "${2:int64}", "value": "${3:0}"}},
    },
    {
        "label": "shared: an array",
        "description": "In shared memory.",
        "body": {"${1:histogram}": {"type": "array", "dtype": "${2:float64}", "shape": "${3:256}"}},
    },
]

#: What becomes of items that fail, inside a stage.
_ERROR_POLICIES: Final[list[Snippet]] = [
    {
        "label": "error policy: dead letters",
        "description": "Items that fail go to port `errors`, which another stage must read.",
        "body": {"on_error": "dead_letter"},
    },
    {
        "label": "error policy: skip",
        "description": "Items that fail are left out, and counted.",
        "body": {"on_error": "skip"},
    },
]

#: The same where ``on_error`` may be a mapping.
_TRY_AGAIN: Final[Snippet] = {
    "label": "error policy: try again",
    "description": "Tries an item again before it is given up.",
    "body": {
        "on_error": {"then": "${1:dead_letter}", "retries": "${2:3}", "backoff": "${3:200ms}"},
    },
}

#: Under ``inputs`` of a stage.
NEW_INPUTS: Final[list[Snippet]] = [
    {
        "label": "edge: long form",
        "description": "One input, with settings of its own.",
        "body": {"from": "${1:stage}", "capacity": "${2:256}"},
    },
    {
        "label": "inputs: named",
        "description": "One argument of the function for each input.",
        "body": {"${1:left}": "${2:stage}", "${3:right}": "${4:stage}"},
    },
]


def error_policies(types: Iterable[OptionType]) -> list[Snippet]:
    """What to offer for items that fail, by the forms that ``on_error`` has."""
    long_form = [_TRY_AGAIN] if OptionType.MAPPING in types else []
    return [*_ERROR_POLICIES, *long_form]
