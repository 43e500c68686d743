"""What each error code means, and what to do about it; for ``pipeflow explain``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_YAML: Final[Mapping[str, str]] = {
    "alias-expansion": "Aliases (*name) repeat what an anchor (&name) holds, and here they grow "
    "to more values than a pipeline can sensibly have. Write the repeated part once, in "
    "`defaults` or an overlay.",
    "bad-escape": 'In double quotes a backslash begins an escape. Double it ("\\\\d"), or use '
    "single quotes, in which a backslash is itself.",
    "bad-first-character": "YAML gives this character a meaning at the start of a value. Put the "
    "value in quotes.",
    "behind-bracket": "Something stands behind a closing bracket where the value has ended.",
    "behind-quote": "Something stands behind a closing quote where the value has ended. Quote the "
    "whole value.",
    "colon-in-text": 'A colon with a space behind it begins a new key. Quote the text: "a: b".',
    "comma-in-expression": "Inside { } a comma separates entries, so the expression was cut in "
    "two. Put it in quotes.",
    "control-character": "An invisible character stands in the file: a control character, or one "
    "that turns the direction of writing. Remove it; editors often paste it unseen.",
    "cut-by-comment": "A # with a space before it begins a comment, so the rest of the value is "
    "lost. Quote the value.",
    "duplicate-key": "The same key stands twice in one mapping; one of the two would be lost.",
    "encoding": "Pipeline files are UTF-8. Save the file anew in that encoding.",
    "indentation": "The line is not indented like those beside it. Entries of one mapping start in "
    "the same column, and tabs do not indent.",
    "key-not-text": "Keys are text. A list, a mapping or a number as a key is often a missing "
    "quote.",
    "leading-zero": "0755 is 493 to some programs and 755 to others. Write 0o755 for an octal "
    'number, or "0755" for a text.',
    "list-beside-keys": "A list entry (-) stands where a key is expected; a mapping cannot hold "
    "both.",
    "merge-key": "<< takes an alias of a mapping, or a list of such aliases.",
    "missing-colon": "A key is followed by a colon and a space.",
    "missing-comma": "Inside [ ] and { } a comma separates the entries.",
    "missing-space": 'A colon needs a space behind it: "a: 1".',
    "missing-value": "A key has no value here.",
    "number-too-large": "The number is larger than programs can keep exactly.",
    "number-too-long": "The number has more digits than any program would keep.",
    "recursive-alias": "An alias lies inside its own anchor, so it would contain itself.",
    "second-document": "--- begins a second document. A file holds one pipeline.",
    "syntax": "The text is not YAML from here on.",
    "tag": "Tags (!!python/object and the like) make objects from text. Pipeline files hold data "
    "only.",
    "too-deep": "Values are nested deeper than any pipeline needs.",
    "too-large": "The file is larger than any pipeline needs. Is it the right file?",
    "unclosed-bracket": "A bracket or brace that opens here is never closed.",
    "unclosed-quote": "A quote that opens here is never closed.",
    "unknown-anchor": "An alias (*name) needs an anchor (&name) before it.",
    "unquoted-expression": "Inside { } an expression with brackets, commas or colons needs quotes.",
    "unquoted-reference": 'Inside { } a reference needs quotes: {width: "${params.width}"}. '
    "The block style needs none.",
}

_LANGUAGE: Final[Mapping[str, str]] = {
    "async-stream": "A stream function pulls its items one after the other, so it is an ordinary "
    "function. An `async def` function is called with each item, and many of its calls wait at the "
    "same time.",
    "bad-expression": "The text is no Python expression. Expressions see `item`, `params`, the "
    "builtins, math, re, json and datetime.",
    "bad-batch": "`batch` gives a function of your own its items in lists. Operators take them one "
    "by one, a stream function pulls them itself, and a source has none.",
    "bad-concurrency": "`concurrency` says how many items an `async def` function has in flight in "
    "one worker. Other functions have one; more of them at a time is what `replicas` is for.",
    "bad-join": "`join` says how named inputs are paired.",
    "bad-name": "Names begin with a letter and hold letters, digits, - and _; at most 64.",
    "bad-on-error": "`on_error` is stop, skip or dead_letter, or a mapping with `then`, `retries`, "
    "`backoff` and `budget`. Sources and stream functions of your own know only stop; where items "
    "do not come one by one, none can be tried again; a budget bounds what is skipped or "
    "dead-lettered.",
    "bad-output": "`outputs` lists the stage's own ports. out, errors and unmatched belong to "
    "pipeflow.",
    "bad-reference": "${...} names params.NAME, env.NAME, file.dir, run.id, or under `with` "
    "shared.NAME; $$ is a $.",
    "bad-run": "`run` is a program and its arguments as a list, or a mapping with `cmd`, `mode` "
    "and `format`. It has no `with`: what the program needs to know is in its arguments or, by "
    "`env`, in its variables. Modes `item` and `each` answer items, so they need `inputs`.",
    "bad-set": "--set takes a path and a value: stages.shrink.replicas=4.",
    "beside-pipeline": "A stage with `pipeline` has no processes of its own, so what concerns them "
    "(replicas, on_error, env and the like) is written in the file that it runs. A param of that "
    "file lets each stage that runs it choose. `with`, `inputs`, `enabled` and `description` may "
    "stand beside `pipeline`.",
    "bad-timeout": "`timeout` bounds the time in your function for one item, so it needs a stage "
    "that is called with single items: no source and no stream function.",
    "bad-value": "The value is none of those that are allowed here.",
    "call-or-use": "A stage has exactly one kind of work: `call` for your own Python, `use` for "
    "an operator, `run` for a program, or `pipeline` for another file.",
    "cut-expression": "A comment cut the expression. Quote it.",
    "directory": "A folder stands where a pipeline file is expected.",
    "duplicate-name": "Two stages may not have the same name, nor names that differ in case only.",
    "duration": "A duration has a unit: 50ms, 2s, 5m, 1h.",
    "empty-file": "The file has no pipeline in it.",
    "file-missing": "There is no such file.",
    "missing-key": "A key that is needed is not there.",
    "missing-param": "The param has no default, so it must be given: --param NAME=VALUE; for a "
    "file that a stage runs, under `with` of that stage.",
    "newer-version": "The file is written in a newer version of the language. Upgrade pipeflow.",
    "no-stages": "A pipeline has at least one stage.",
    "not-a-mapping": "A mapping is expected: lines of `key: value`.",
    "not-yet": "The word belongs to the language, but this version does not have it yet.",
    "out-of-range": "The number is too small or too large for this setting.",
    "param-type": "A param is one of string, integer, number, boolean, path, duration, size, list.",
    "param-value": "The value does not fit what the param says of its type, range or choices.",
    "recursive-pipeline": "A file that runs itself, by way of others or at once, would never come "
    "to an end.",
    "reference-in-expression": "${...} is not filled in inside an expression: it stays text. An "
    "expression reads `params.NAME`.",
    "size": "A size has a unit: 64KiB, 4GB. KB is 10^3 bytes, KiB is 2^10.",
    "unknown-key": "There is no such key here. Keys of your own begin with x-.",
    "unknown-name": "An expression sees `item`, `params`, the builtins, math, re, json and "
    "datetime; another name fails for every item.",
    "unknown-operator": "There is no such operator; `pipeflow stages` lists those there are. Names "
    "with a / belong to plug-ins, which must be installed.",
    "too-many-files": "The files that stages run, and those that these run, are more than any "
    "pipeline needs.",
    "unclosed-reference": "${ is closed by }; $$ is a $ that begins nothing.",
    "unknown-param": "The file declares no param of that name.",
    "bad-parameter": "Parameters of the operator do not go together: one is missing that another "
    "needs, or two say different things.",
    "unknown-parameter": "The function, class or operator has no such parameter.",
    "unknown-shared": "`shared` declares no state of that name.",
    "unreadable": "The file cannot be read.",
    "unset-variable": "The environment has no such variable. ${env.NAME:-default} gives a default.",
    "wrong-type": "The value is of another type than the setting takes.",
}

_CALLS: Final[Mapping[str, str]] = {
    "bad-call": "`call` is module:attribute, such as imaging:decode for decode() in imaging.py "
    "beside the pipeline file.",
    "hidden-module": "A file beside the pipeline has the name of a module of the standard library, "
    "and hides it from every other import.",
    "item-argument": "The first argument of a function is the item; with named inputs there is one "
    "argument for each of them.",
    "missing-parameter": "The function, class or operator needs this parameter under `with`.",
    "not-callable": "The attribute is there, but it is nothing that can be called.",
    "parameter-is-item": "The parameter of this name receives the item, so `with` cannot give it.",
    "parameter-type": "The value does not fit the annotation of the parameter.",
    "python-syntax": "The module cannot be read as Python.",
    "undecorated-stream": "A function is called with each item, unless `@pipeflow.stream` says "
    "that it takes the whole stream as one iterator.",
    "unknown-attribute": "The module has no function or class of that name.",
    "unknown-module": "There is no such module beside the pipeline file or on Python's path.",
}

_GRAPH: Final[Mapping[str, str]] = {
    "cycle": "Stages feed each other in a circle, so none could begin. Remove one of the edges.",
    "duplicate-input": "A stage reads the same port twice.",
    "errors-not-open": "Port `errors` exists only on stages with `on_error: dead_letter`.",
    "file-twice": "Two stages write one file, and each would replace what the other has written. "
    "Tables of one SQLite database may be written by several stages that say `live: true`.",
    "item-types": "The annotations of the two functions disagree: who gives the item names one "
    "type, who takes it another. One of them is wrong, or a stage between the two is missing.",
    "join-drops": "A join by position pairs the n-th item of each input, so nothing on the way may "
    "filter, skip or drop.",
    "join-merged": "A named input takes one output. Here a stage of an inner file joins, and the "
    "outer file feeds that input from several; or dead letters of several inner stages come "
    "together. Merge them in a stage before the join.",
    "join-mixed": "Some of the inputs come from one stage and some do not, so neither ids nor "
    "positions can pair them.",
    "join-not-one-to-one": "A join by item id needs one-to-one stages between the split and the "
    "join; flat-maps, streams and joins there make new ids. That a plain function returns an "
    "iterator shows when it runs, and ends the run.",
    "join-partition": "With named inputs the join decides which replica gets what.",
    "join-repeated-ids": "After a merge the same id may come twice, so ids cannot pair items.",
    "join-replicas": "This join cannot be spread over replicas: positions are counted once, and "
    "what the latest item has replaced is told once.",
    "join-unordered": "A join by position needs its inputs in order. Replicas that keep none, and "
    "those that join by key, have none. A join by item id needs the same order on all inputs.",
    "limits-of-a-part": "The limits of a run are those of the file that is run; files that its "
    "stages run have no say in them.",
    "missing-inputs": "The operator, or the file, takes items, and the stage lacks `inputs`.",
    "named-stream": "A stream function takes one stream, so it has no named inputs.",
    "never-answers": "The function returns nothing, yet another stage reads what it gives. Is a "
    "`return` missing?",
    "no-source": "Every stage has inputs, so nothing would start the pipeline.",
    "part-of-another": "A file with `inputs` or `outputs` is made to be a stage of another file: "
    "alone it has nothing to read, or nobody to give to. `pipeflow validate` and `pipeflow test` "
    "look at it alone.",
    "reads-a-sink": "A sink gives nothing that could be read.",
    "self-edge": "A stage reads its own output.",
    "single-replicas": "Sources, file sinks and programs for the whole stream have one replica.",
    "source-partition": "A source has no inputs to spread.",
    "source-with-inputs": "The operator is a source, and takes no inputs.",
    "stateful-replicas": "A stage that keeps state has one replica, unless `partition` says which "
    "replica sees which items: by a key, or all of them.",
    "stdin-twice": "Standard input can be read by one stage only.",
    "test-input": "A test lets a join run and gives only some of its inputs. Give the others too.",
    "test-path": "A test expects what nothing that it gives leads to, or gives what leads to "
    "nothing that it expects. Only the stages between the two run.",
    "unknown-input": "The file that the stage runs has no such input, or several, which must be "
    "named.",
    "unknown-port": "The stage has no such output port.",
    "unknown-stage": "An input names a stage that is not there.",
    "unknown-program": "The program that `run` names is not in the folders of PATH, or is no file "
    "that may be run. It may be there on the machine where the pipeline runs.",
    "unread-errors": "Dead letters must be read: let a stage have `inputs: NAME.errors`, or say "
    "`on_error: skip`.",
    "unread-input": "A file that is used as a stage names an input that none of its stages reads.",
    "unread-output": "Nobody reads what this port gives.",
    "unused-shared": "No stage gets this state; a stage gets it by ${shared.NAME} under `with`.",
}

_MACHINE: Final[Mapping[str, str]] = {
    "capacity-lowered": "All edges together would hold more than `limits.memory`, so the planner "
    "lowered their byte bounds.",
    "memory-above-free": "`limits.memory` is more than what this machine has free.",
    "memory-limit": "`limits.memory` leaves less than one item of 1 MiB for each edge.",
    "too-many-lanes": "Merges of replicated merges would have to keep too many streams apart.",
    "too-many-processes": "The replicas of all stages together are more than `limits.processes`.",
}

_RUN: Final[Mapping[str, str]] = {
    "budget-spent": "A stage skipped or dead-lettered more items than the `budget` of its "
    "`on_error` allows: something is wrong with the stage or its input as a whole.",
    "close-failed": "close() of a stage's class raised, and that ends the run.",
    "constructor-failed": "A stage's class could not be built; `on_error` covers items only.",
    "finish-failed": "finish() of a stage raised; `on_error` covers items only.",
    "import-failed": "The module that `call` names raised while it was imported, or its function "
    "does not fit the stage.",
    "not-loadable": "What came cannot be unpickled in the process of this stage: code of the "
    "item's class raised there. Its module must be importable, and its `__reduce__` or "
    "`__setstate__` must work in every process.",
    "not-serializable": "What a stage gave cannot be pickled, so it cannot cross to another "
    "process. Open files, locks, lambdas and generators are the usual causes.",
    "program-failed": "A program that `run` names could not be started, ended with an exit status "
    "other than 0 or by a signal, did not answer in time, or wrote what is no item. The last lines "
    "of its standard error are shown. In modes `item` and `each` the item in hand has failed, and "
    "`on_error` says what follows. In mode `item` a program that dies five times in a row without "
    "an answer between ends the run. `grep` ends with 1 when it has found nothing: "
    "`[sh, -c, 'grep -e x || [ $? = 1 ]']`.",
    "run-failed": "The run as a whole could not go on.",
    "stage-failed": "The stage's own code raised, and its `on_error` is stop. `on_error: skip` or "
    "`dead_letter` lets the run go on past such items; `retries` tries them again.",
    "test-failed": "A test of the file expected something else than came. `pipeflow test --update` "
    "writes what came into the file.",
    "worker-died": "A process ended without a word: by a signal, by os._exit, or for want of "
    "memory.",
}

#: Every code with its meaning.
CODES: Final[Mapping[str, str]] = {**_YAML, **_LANGUAGE, **_CALLS, **_GRAPH, **_MACHINE, **_RUN}
