"""The words in which a wrong shape is told: names of places, what was found, how to mend it."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.config.nodes import Map, Node, Scalar, Seq, TreePath, kind_of
from pipeflow.config.problem import Problem
from pipeflow.config.scalars import TRUTHS, reread, resolve
from pipeflow.config.stage.program import bad_program
from pipeflow.config.units import duration, size
from pipeflow.spec.language import EDGE, ROOT, STAGE, VERSION
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.stage_type import StageType
from pipeflow.spec.table import Table, expected
from pipeflow.suggest import did_you_mean, meant_names, spell_choice


def table_at(path: TreePath) -> Table | None:
    """The table of the mapping at a path; ``None`` where the keys are the user's own."""
    table: Table | None = ROOT
    steps: list[str | int] = list(path)
    while steps and table is not None:
        step = str(steps.pop(0))
        if step in table.each:
            table = table.each[step] if steps else None
            steps = steps[1:]
        elif table.name == "stage" and step == "inputs":
            table = EDGE
            steps = list[str | int](rest for rest in steps if rest == "capacity")[-1:]
        else:
            table = table.within.get(step)
    return table


def special_case(
    path: TreePath, node: Node, stage_types: Mapping[str, StageType]
) -> Problem | None:
    """Mistakes that deserve words of their own."""
    match path:
        case ():
            return Problem(
                code="wrong-type",
                problem=f"expected a mapping with 'stages:', got {kind_of(node)}",
                hint="put it under 'stages:'",
            )
        case ("version",):
            return _version(node)
        case ("stages",):
            return _stages(node)
        case ("stages", str() as stage) if isinstance(node, Scalar) and node.value is None:
            return Problem(
                code="wrong-type",
                problem=f"stage '{stage}' is empty",
                hint="it needs 'call: module:function', 'use:' with the name of an operator, "
                "or 'run:' with a program",
            )
        case ("stages", str() as stage):
            return Problem(
                code="wrong-type",
                problem=f"stage '{stage}' must be a mapping, got {kind_of(node)}",
                hint=f"{stage}: {{{_meant_work(node, stage_types)}}}",
            )
        case ("stages", _, "inputs", *_) if not isinstance(node, Map) or not len(node):
            return _bad_input(path, node)
        case ("outputs", _) if isinstance(node, Scalar) and node.value is not None:
            return _bad_output(path, node)
        case ("stages", _, "call"):
            return Problem(
                code="wrong-type",
                problem=f"'call' must be text, got {got(node)}",
                hint="call: module:function",
            )
        case ("stages", _, "use") if isinstance(node, Scalar) and isinstance(node.value, str):
            return unknown_operator(node.value, stage_types)
        case ("stages", _, "use") if isinstance(node, Scalar) and node.text in stage_types:
            # Only `null` can be that: YAML has a meaning of its own for the word.
            return Problem(
                code="wrong-type",
                problem=f"{node.text} without quotes is no text, and 'use' names an operator",
                hint=f"use: '{node.text}'",
            )
        case ("stages", _, "run", *_) if (problem := bad_program(path, node)) is not None:
            return problem
        case _:
            return None


def _meant_work(node: Node, stage_types: Mapping[str, StageType]) -> str:
    """What the stage should say, when its work stands where its mapping is due."""
    text = node.value if isinstance(node, Scalar) else None
    if isinstance(text, str) and text in stage_types:
        # A name that would read as something else, as null does, stands in quotes.
        return f"use: {text}" if isinstance(resolve(text), str) else f"use: '{text}'"
    return f"call: {text}" if isinstance(text, str) and ":" in text else "call: module:function"


def _bad_input(path: TreePath, node: Node) -> Problem | None:
    """What is wrong with a value where an edge is due; ``None`` for settings of an edge."""
    name = path[-1]
    if name in {option.name for option in EDGE.options} - {"from"} or "capacity" in path:
        return None
    if not (node.text if isinstance(node, Scalar) else len(node)):
        return Problem(
            code="wrong-type",
            problem=f"{subject(path)} is empty: it names the stage that is read",
            hint="inputs: stage, or stage.port; a source has no 'inputs'",
        )
    hint = "inputs: stage, or stage.port; several are a list: [first, second]"
    if isinstance(node, Scalar) and "${" in node.text:
        hint = "${…} is not filled in here; write the stage's name, and `enabled` to choose"
    if isinstance(node, Scalar) and isinstance(node.value, str) and "," in node.text:
        hint = f"a list stands in brackets: [{node.text}]"
    if isinstance(node, Scalar) and "/" in node.text:
        outer, _, inner = node.text.partition("/")
        hint = (
            f"a file that a stage runs gives its outputs: inputs: {outer}, and in that file "
            f"outputs: {{out: {inner}}}"
        )
    is_text = isinstance(node, Scalar) and isinstance(node.value, str)
    return Problem(
        code="bad-value" if is_text else "wrong-type",
        problem=f"{subject(path)} must be the name of a stage, or stage.port, got {got(node)}",
        hint=hint,
    )


def _bad_output(path: TreePath, node: Scalar) -> Problem:
    is_text = isinstance(node.value, str)
    hint = "${…} is not filled in here" if "${" in node.text else "stage, or stage.port"
    return Problem(
        code="bad-value" if is_text else "wrong-type",
        problem=f"output {subject(path)} must be the name of a stage, or stage.port, "
        f"got {got(node)}",
        hint=hint,
    )


def _version(node: Node) -> Problem:
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, int) and not isinstance(value, bool) and value > VERSION:
        return Problem(
            code="newer-version",
            problem=f"version {value} of the language; this pipeflow reads version {VERSION}",
            hint="pip install -U pipeflow",
        )
    return Problem(
        code="bad-value",
        problem=f"'version' must be the whole number {VERSION}, got {got(node)}",
        hint=f"version: {VERSION}",
    )


def _stages(node: Node) -> Problem:
    match node:
        case Seq(items=(Map() as first, *_)):
            named, alone = first.get("name"), first.entries[0] if len(first) == 1 else None
            hint = "write each stage as 'name:', and below it its settings"
            if isinstance(named, Scalar):
                hint = (
                    f"write the name as a key: '{named.text}:' in place of '- name: {named.text}'"
                )
            elif alone is not None and isinstance(alone.value, Map):
                hint = f"write '{alone.key}:' in place of '- {alone.key}:'"
            return Problem(
                code="wrong-type",
                problem="'stages' is a mapping from name to stage, got a list",
                hint=hint,
            )
        case Scalar(value=None) | Seq(items=()) | Map(entries=()):
            return Problem(
                code="no-stages",
                problem="a pipeline needs at least one stage",
                hint="under 'stages:' write a name, and below it 'call:' or 'use:'",
            )
        case _:
            return Problem(
                code="wrong-type",
                problem=f"'stages' is a mapping from name to stage, got {kind_of(node)}",
                hint="under 'stages:' write a name, and below it 'call:' or 'use:'",
            )


def unknown_operator(name: str, stage_types: Mapping[str, StageType]) -> Problem:
    """What to say of a name that no operator has."""
    builtin = sorted(known for known in stage_types if "/" not in known)
    if "/" in name:
        plugin = name.split("/", 1)[0]
        near = did_you_mean(name, stage_types)
        return Problem(
            code="unknown-operator",
            problem=f"no operator '{name}': no installed plug-in brings it",
            hint=f"did you mean '{near}'?" if near else f"install the plug-in '{plugin}'",
        )
    hint = "the built-in ones are: " + ", ".join(builtin)
    if meant := meant_names(name, stage_types):
        hint = f"did you mean {spell_choice(meant)}? 'pipeflow stages' lists them all"
    if "${" in name:
        hint = "${…} is not filled in here; write the operator's name, and `enabled` to choose"
    elif ":" in name:
        hint = f"your own Python goes under 'call': call: {name}"
    return Problem(code="unknown-operator", problem=f"no operator '{name}'", hint=hint)


def wrong_quantity(option: Option, node: Scalar) -> Problem | None:
    """What is wrong with a value where a duration or a size is due."""
    if OptionType.INTEGER in option.types and isinstance(node.value, int):
        return None  # it is meant as the number that may stand there as well
    for kind, read in ((OptionType.DURATION, duration), (OptionType.SIZE, size)):
        if kind in option.types:
            result = read(node.value)
            return result if isinstance(result, Problem) else None
    return None


def mended(node: Node, option: Option | None) -> str:
    """What to write instead, where that can be told."""
    if not isinstance(node, Scalar) or option is None:
        return ""
    key, value = option.name, node.value
    if isinstance(value, str):
        if option.name == "capacity" and not isinstance(size(value), Problem):
            return f"capacity: {{bytes: {value}}}"
        if OptionType.LIST in option.types and OptionType.STRING not in option.types:
            return f"{key}: [{value}]"
        near = did_you_mean(value, option.choices)
        if near:
            return f"did you mean '{near}'?"
        numbers = {OptionType.INTEGER, OptionType.NUMBER, OptionType.BOOLEAN}
        is_number = isinstance(resolve(node.text), int | float)
        if node.quoted and is_number and numbers.intersection(option.types):
            return f"remove the quotes: {key}: {node.text}"
        if OptionType.BOOLEAN in option.types and value.lower() in TRUTHS:
            return f"{key}: {TRUTHS[value.lower()]}"
        return ""
    if isinstance(value, bool | int | float) and "text" in expected(option):
        return f'write it in quotes: {key}: "{node.text}"'
    return ""


def got(node: Node) -> str:
    """What was found: a number or truth value as it is spelled, anything else with its kind.

    What came as text is told as the file would have it: no reading of it fits.
    """
    if isinstance(node, Scalar) and not node.secret:
        read = reread(node)
        node = read if isinstance(read, Scalar) else node
    if isinstance(node, Scalar) and isinstance(node.value, bool | int | float) and not node.secret:
        return node.text or str(node.value)
    return kind_of(node)


def subject(path: TreePath) -> str:
    """What a value is called: its key, or its place in a list."""
    if isinstance(path[-1], int):
        return f"entry {path[-1] + 1} of '{path[-2]}'"
    if len(path) >= 2 and path[-2] == "env":
        return f"variable '{path[-1]}'"
    return f"'{path[-1]}'"


def table_title(path: TreePath) -> str:
    """What the mapping at a path is called: ``an edge``."""
    table = table_at(path)
    return table.title if table else subject(path)


def listing(path: TreePath) -> str:
    """What the keys of the mapping at a path are called."""
    return "parameters" if path and path[-1] == "with" else "options"


def belongs(key: str, path: TreePath) -> str:
    """Where a key stands that is none of the mapping at a path; empty if nowhere else."""
    for table in (ROOT, STAGE, EDGE):
        if table is not table_at(path) and table.option(key) is not None:
            place = (
                "stands at the top of the file" if table is ROOT else f"belongs to {table.title}"
            )
            return f"'{key}' {place}; "
    return ""
