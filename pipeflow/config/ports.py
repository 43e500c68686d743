"""From ``inputs`` and ``outputs`` of a file that is used as a stage to ports."""

from __future__ import annotations

from pipeflow.config.cursor import Cursor
from pipeflow.config.nodes import Map, Scalar, Seq
from pipeflow.errors import Location
from pipeflow.spec.language import ROOT
from pipeflow.spec.pipeline import InPort, OutPort, PortRef
from pipeflow.spec.ports import ERRORS, OUT, UNMATCHED
from pipeflow.values import dataclass

#: Ports that come of themselves, and why nobody writes them.
_TAKEN = {
    ERRORS: "dead letters that no stage of this file reads come out there by themselves",
    UNMATCHED: "give it another name, as in 'lost: pair.unmatched'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a file takes and gives as a stage.

    Attributes:
        inputs: In the order of the file.
        outputs: In the order of the file.
        at: Where the first of the two keys stands; ``None``: the file is no part of another.
        whole: All of them could be read.
    """

    inputs: tuple[InPort, ...] = ()
    outputs: tuple[OutPort, ...] = ()
    at: Location | None = None
    whole: bool = True


def read_ports(root: Cursor) -> Ports:
    """Read the ports of a file; what is wrong goes to the cursor's findings."""
    keys = [entry.key_at for entry in root.node.entries if entry.key in {"inputs", "outputs"}]
    inputs, outputs = _inputs(root), _outputs(root)
    named = root.get("inputs"), root.get("outputs")
    counts = [len(node) for node in named if isinstance(node, Map | Seq)]
    read = not any(root.unread(key, ROOT) for key in ("inputs", "outputs"))
    return Ports(
        inputs=inputs,
        outputs=outputs,
        at=keys[0] if keys else None,
        whole=read and sum(counts) == len(inputs) + len(outputs),
    )


def _inputs(root: Cursor) -> tuple[InPort, ...]:
    node, stages = root.get("inputs"), root.inner("stages")
    if not isinstance(node, Seq):
        return ()
    # Names that differ in case alone are one name, as those of stages are.
    taken = {entry.key.casefold(): entry for entry in (stages.node.entries if stages else ())}
    made: dict[str, InPort] = {}
    for index, item in enumerate(node.items):
        if ("inputs", index) in root.wrong or not isinstance(item, Scalar):
            continue
        name = str(item.value)
        twin = taken.get(name.casefold())
        if twin is not None:
            root.findings.error(
                item,
                "duplicate-name",
                f"input '{name}' has the name of a stage (line {twin.key_at.line})",
                "give one of them another name: stages read both in the same way",
            )
        elif name.casefold() in made:
            problem = f"input '{name}' is listed twice"
            hint = "take one of them out: any number of stages may read it"
            root.findings.error(item, "duplicate-name", problem, hint)
        else:
            made[name.casefold()] = InPort(name=name, at=item.at)
    return tuple(made.values())


def _outputs(root: Cursor) -> tuple[OutPort, ...]:
    cursor = root.inner("outputs")
    made: list[OutPort] = []
    for entry in cursor.entries() if cursor else ():
        if not isinstance(entry.value, Scalar) or not isinstance(entry.value.value, str):
            continue
        if entry.key in _TAKEN:
            root.findings.error(
                entry,
                "bad-output",
                f"output port '{entry.key}' belongs to pipeflow",
                _TAKEN[entry.key],
            )
            continue
        stage, _, port = entry.value.value.partition(".")
        made.append(
            OutPort(
                name=entry.key,
                at=entry.key_at,
                source=PortRef(stage, port or OUT),
                source_at=entry.value.at,
            )
        )
    return tuple(made)
