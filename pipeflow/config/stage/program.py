"""``run``: from a list of arguments, or a mapping, to a program; and what it cannot go with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeflow.config.cursor import Cursor
from pipeflow.config.nodes import Map, Node, Scalar, Seq, TreePath
from pipeflow.config.problem import Problem
from pipeflow.config.stage.edges import Inputs
from pipeflow.errors import Severity
from pipeflow.spec.program import ItemFormat, Program, ProgramMode

#: What only a shell would act on.
_OF_A_SHELL: Final = frozenset("|&;<>$`*?~")

#: References that are filled in elsewhere.
_FILLED_IN: Final = ("${params.", "${env.", "${file.", "${run.", "${shared.")


def read_program(cursor: Cursor, search_path: str) -> Program | None:
    """What ``run`` of a stage says; ``None`` if it cannot be read.

    Args:
        cursor: The stage's mapping.
        search_path: Where programs are looked for: ``PATH``.
    """
    node = cursor.get("run")
    inner = cursor.inner("run")
    words = inner.get("cmd") if inner else node
    if not isinstance(words, Seq) or not words.items:
        return None
    path = (*cursor.path, "run", "cmd") if inner else (*cursor.path, "run")
    if any((*path, index) in cursor.wrong for index in range(len(words.items))):
        return None
    command = tuple(_spelled(word) for word in words.items)
    first = words.items[0]
    if not command[0]:
        problem = "the name of the program is empty"
        hint = "the program comes first, its arguments behind it: run: [sort, -n]"
        cursor.findings.error(first, "bad-run", problem, hint)
        return None
    for word, text in zip(words.items, command, strict=True):
        _judge_argument(cursor, word, text)
    _look_for(cursor, first, command[0], search_path)
    form = inner.text("format") if inner else ""
    return Program(
        command=command,
        mode=ProgramMode((inner.text("mode") if inner else "") or ProgramMode.STREAM.value),
        format=ItemFormat(form) if form else None,
    )


def judge_program(cursor: Cursor, program: Program, inputs: Inputs) -> None:
    """Tell what a stage says that does not go with its program."""
    given = cursor.node.entry("with")
    if given is not None:
        cursor.findings.error(
            given,
            "bad-run",
            f"'with' gives arguments to Python, and '{program.name}' is a program",
            "write its arguments in the list; values of params reach it by 'env'",
        )
    for key in ("batch", "concurrency"):
        entry = cursor.node.entry(key)
        if entry is not None and cursor.get(key) is not None:
            cursor.findings.error(
                entry,
                "bad-run",
                f"a program gets its items one by one, so it has no '{key}'",
                "'replicas' has several programs work at the same time, in modes item and each",
            )
    if not inputs.whole:
        return
    mode = _setting(cursor, "mode")
    if mode is not None and not inputs.edges and program.mode is not ProgramMode.STREAM:
        cursor.findings.error(
            mode,
            "bad-run",
            f"mode '{program.mode.value}' answers items, and a stage without inputs gets none",
            "leave 'mode' out: each line that the program writes is an item",
        )
    form = _setting(cursor, "format")
    if form is not None and inputs.named and program.format is ItemFormat.LINES:
        cursor.findings.error(
            form,
            "bad-run",
            "named inputs reach a program as one JSON object, and 'lines' is for text",
            "format: jsonl",
        )


def bad_program(path: TreePath, node: Node) -> Problem | None:
    """Words for a wrong shape of ``run``; ``None`` where the usual ones will do."""
    match path:
        case ("stages", _, "run") | ("stages", _, "run", "cmd") if isinstance(node, Scalar):
            return _text_for_list(str(path[-1]), node)
        case ("stages", _, "run", *_, int() as index) if isinstance(node, Map):
            return Problem(
                code="wrong-type",
                problem=f"argument {index} of 'run' is read as a mapping",
                hint="braces and colons have a meaning in YAML: put the argument in quotes",
            )
        case ("stages", _, "run", *_, int() as index):
            return Problem(
                code="wrong-type",
                problem=f"argument {index} of 'run' must be text",
                hint="put it in quotes",
            )
        case _:
            return None


def _text_for_list(key: str, node: Scalar) -> Problem | None:
    """A command line where a list is due."""
    if not isinstance(node.value, str) or not node.value.strip():
        return None
    if _OF_A_SHELL.intersection(node.value):
        hint = f"for what a shell does, start one: {key}: [sh, -c, {_quoted(node.value)}]"
    else:
        import shlex  # so few files say this that it is not loaded for all

        try:
            words = shlex.split(node.value)
        except ValueError:  # a quote without its partner
            words = node.value.split()
        hint = f"{key}: [{', '.join(map(_quoted, words))}]"
    return Problem(
        code="wrong-type",
        problem=f"'{key}' is a list of arguments, since no shell reads it; got text",
        hint=hint,
    )


def _quoted(word: str) -> str:
    """A word as it may stand in a flow list."""
    if word and all(one.isalnum() or one in "_-./+%" for one in word):
        return word
    return "'" + word.replace("'", "''") + "'"


def _spelled(node: Node) -> str:
    """An argument as it is spelled: ``1e3`` stays ``1e3``."""
    assert isinstance(node, Scalar)
    return node.value if isinstance(node.value, str) else node.text or str(node.value)


def _judge_argument(cursor: Cursor, node: Node, text: str) -> None:
    if "\0" in text:
        problem = "an argument of a program cannot hold a NUL"
        hint = "no program could get it: its arguments end at one"
        cursor.findings.error(node, "bad-run", problem, hint)
    if any(one in text for one in _FILLED_IN):
        doubt = Problem(
            code="bad-run",
            problem="${…} is not filled in under 'run': the program gets it as it stands here",
            hint="set a variable by 'env', which the program can read",
            severity=Severity.WARNING,
        )
        cursor.findings.add(doubt, node.at, node.length)


def _look_for(cursor: Cursor, node: Node, name: str, search_path: str) -> None:
    """Whether the program is there; a file may be checked on another machine than it runs on."""
    own = cursor.inner("env")
    path = own.get("PATH") if own else None
    if isinstance(path, Scalar) and isinstance(path.value, str):
        search_path = path.value
    import shlex  # most files run no programs
    import shutil

    if shutil.which(name, path=search_path) is not None:
        return
    where, hint = "in the folders of PATH", "is it installed, and its name spelled right?"
    if "/" in name:
        where, hint = "", "a relative path means the folder where the command is started"
        if Path(name).exists():
            where, hint = "that may be run", f"chmod +x {shlex.quote(name)}"
    doubt = Problem(
        code="unknown-program",
        problem=f"there is no program '{name}' {where}".rstrip(),
        hint=hint,
        severity=Severity.WARNING,
    )
    cursor.findings.add(doubt, node.at, node.length)


def _setting(cursor: Cursor, key: str) -> Node | None:
    inner = cursor.inner("run")
    return inner.get(key) if inner else None
