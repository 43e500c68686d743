"""``pipeflow stages``: the operators there are, and the manual page of each."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Final

from pipeflow.cli.arguments import Command
from pipeflow.cli.world import Exit, World
from pipeflow.errors import UsageError
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import BUILT_IN, StageType
from pipeflow.suggest import meant_names, spell_choice

_HEADINGS: Final = {
    Role.SOURCE: "Sources",
    Role.OPERATOR: "Operators",
    Role.SINK: "Sinks",
}


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="show this operator's manual page")


def _execute(arguments: argparse.Namespace, world: World) -> int:
    from pipeflow.stages.manual import manual_page
    from pipeflow.stages.registry import stage_types

    known = stage_types()
    if arguments.name is None:
        world.answer(_listing(known))
        return Exit.DONE
    if arguments.name not in known:
        meant = meant_names(arguments.name, known)
        hint = f"did you mean {spell_choice(meant)}?" if meant else f"there are: {', '.join(known)}"
        raise UsageError(f"there is no operator '{arguments.name}'; {hint}")
    world.answer(manual_page(known[arguments.name]))
    return Exit.DONE


def _listing(known: Mapping[str, StageType]) -> str:
    width = max((len(name) for name in known), default=0)
    all_of_them = list(known.values())
    blocks: list[str] = []
    for role, heading in _HEADINGS.items():
        ours = [each for each in all_of_them if each.role is role and each.origin == BUILT_IN]
        if ours:
            blocks.append(_block(f"{heading} ({BUILT_IN})", ours, width))
    for origin in sorted({each.origin for each in all_of_them} - {BUILT_IN}):
        theirs = [each for each in all_of_them if each.origin == origin]
        blocks.append(_block(f"From {origin}", theirs, width))
    blocks.append("'pipeflow stages NAME' shows an operator's manual page.")
    return "\n\n".join(blocks)


def _block(heading: str, operators: Iterable[StageType], width: int) -> str:
    return "\n".join(
        [heading, *sorted(f"  {each.name:{width}}  {each.summary}" for each in operators)]
    )


COMMAND: Final = Command(
    name="stages",
    help="list the operators, or show one's manual page",
    add=_add,
    execute=_execute,
)
