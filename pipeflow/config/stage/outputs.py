"""``outputs``: the ports that a stage gives its items by, beside those of pipeflow."""

from __future__ import annotations

import re

from pipeflow.config.cursor import Cursor
from pipeflow.config.nodes import Map, Scalar, Seq
from pipeflow.spec.language import ERROR_POLICY, NAME_PATTERN, STAGE
from pipeflow.spec.pipeline import Call, Use
from pipeflow.spec.ports import ERRORS, OUT, UNMATCHED
from pipeflow.spec.program import Program


def read_outputs(cursor: Cursor, work: Call | Use | Program) -> tuple[str, ...]:
    """Names of the ports; what cannot be one is a finding."""
    node = cursor.get("outputs")
    if isinstance(work, Use) and work.operator.ports_by:
        return _ports_by(cursor, work.operator.ports_by)
    if not isinstance(node, Seq):
        return ()
    if not isinstance(work, Call):
        what = f"operator '{work.operator.name}'" if isinstance(work, Use) else "a program"
        cursor.findings.error(
            node,
            "bad-output",
            f"{what} has no output ports of its own",
            "'outputs' names the ports that your own function writes to with pipeflow.to",
        )
        return ()
    names: list[str] = []
    for index, item in enumerate(node.items):
        if (*cursor.path, "outputs", index) in cursor.wrong or not isinstance(item, Scalar):
            continue
        name = str(item.value)
        if name in {OUT, ERRORS, UNMATCHED}:
            cursor.findings.error(
                item,
                "bad-output",
                f"output port '{name}' belongs to pipeflow",
                "'out' is there always, 'errors' with 'on_error: dead_letter', "
                "'unmatched' with named inputs",
            )
        elif name in names:
            problem = f"output port '{name}' is listed twice"
            hint = "take one of them out: any number of stages may read it"
            cursor.findings.error(item, "duplicate-name", problem, hint)
        else:
            names.append(name)
    return tuple(names)


def ports_known(cursor: Cursor, work: Call | Use | Program) -> bool:
    """Whether what opens ports could be read."""
    given = cursor.inner("with")
    named_by = work.operator.ports_by if isinstance(work, Use) else ""
    if named_by and not isinstance(given.get(named_by) if given else None, Map):
        return False
    policy = cursor.inner("on_error")
    opens = not any(cursor.unread(key, STAGE) for key in ("outputs", "on_error"))
    return opens and (policy is None or not policy.unread("then", ERROR_POLICY))


def _ports_by(cursor: Cursor, parameter: str) -> tuple[str, ...]:
    """Output ports whose names are the keys of a parameter."""
    given = cursor.inner("with")
    node = given.get(parameter) if given else None
    names: list[str] = []
    for entry in node.entries if isinstance(node, Map) else ():
        if entry.key in {OUT, ERRORS, UNMATCHED}:
            cursor.findings.error(
                entry,
                "bad-output",
                f"output port '{entry.key}' belongs to pipeflow",
                "choose another name for it",
            )
        elif not re.fullmatch(NAME_PATTERN, entry.key):
            cursor.findings.error(
                entry,
                "bad-name",
                f"'{entry.key}' is no name of a port",
                "a letter, then letters, digits, '_' and '-', 64 at most",
            )
        else:
            names.append(entry.key)
    return tuple(names)
