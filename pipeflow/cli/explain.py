"""``pipeflow explain``: what an error code means, with a file that earns it."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipeflow.cli.arguments import Command, suggestion
from pipeflow.cli.codes import CODES
from pipeflow.cli.world import Exit, World
from pipeflow.errors import UsageError

#: Code to a file that earns it and what is said of that; ``docs/make_reference.py`` writes it.
EXAMPLES: Final = Path(__file__).with_name("examples.json")


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "code", metavar="CODE", help="what stands in error[...], such as unknown-stage"
    )


def _execute(arguments: argparse.Namespace, world: World) -> int:
    code = arguments.code.strip("[]")
    if code not in CODES:
        if code.endswith(".json"):
            raise UsageError(
                "'explain REPORT' comes in a later version;"
                " 'bottleneck' and 'errors' of the report say most of it"
            )
        raise UsageError(f"there is no error code '{code}'{suggestion(code, CODES)}")
    examples: Mapping[str, Mapping[str, str]] = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    world.answer(page(code, examples.get(code)))
    return Exit.DONE


def page(code: str, example: Mapping[str, str] | None, *, fence: str = "") -> str:
    """The page of one code: plain text, or Markdown with a fence for what is code."""
    title = f"# {code}" if fence else code
    meaning = CODES[code] if fence else textwrap.fill(CODES[code], width=80)
    parts = [title, meaning]
    if example is not None:
        parts += ["For example, this file", _code(example["file"], fence, "yaml")]
        parts += ["is answered by", _code(example["told"], fence, "text")]
    return "\n\n".join(parts) + "\n"


def _code(text: str, fence: str, language: str) -> str:
    text = text.rstrip("\n")
    return f"{fence}{language}\n{text}\n{fence}" if fence else textwrap.indent(text, "    ")


COMMAND: Final = Command(
    name="explain",
    help="explain an error code",
    add=_add,
    execute=_execute,
)
