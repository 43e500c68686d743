"""``pipeflow init``: a project that runs, is known to the editor, and passes its tests."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipeflow.cli.arguments import Command
from pipeflow.cli.world import Exit, World
from pipeflow.errors import UsageError

#: Each template is a folder of files as they will stand in the project.
TEMPLATES: Final = Path(__file__).resolve().parents[1] / "templates"

#: Template to what it shows.
NAMES: Final[Mapping[str, str]] = {
    "minimal": "an operator, a function, a test",
    "images": "pictures as arrays, dead letters",
    "etl": "rows of a CSV file, cleaned and counted",
    "stream": "readings as they come, a window over them",
}

_PIPELINE: Final = "pipeline.yaml"


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="the folder; it is made if it is not there")
    shown = "; ".join(f"{name}: {words}" for name, words in NAMES.items())
    parser.add_argument(
        "--template", choices=tuple(NAMES), default="minimal", help=f"(minimal) {shown}"
    )


def _execute(arguments: argparse.Namespace, world: World) -> int:
    folder = Path(arguments.folder)
    files = template(arguments.template)
    _refuse_what_is_there(folder, files)
    place = folder
    try:
        for name, content in files.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as stream:  # never over a file that came in between
                stream.write(content)
            world.say(f"wrote {place}")
        _write_schema(folder, world)
    except OSError as error:
        # A full disk is told without a name: by the writing, not by the opening.
        raise UsageError(f"cannot write {error.filename or place}: {error.strerror}") from None
    here = os.path.normpath(folder) == os.curdir
    world.answer("\n".join(["next:", *([] if here else [f"  cd {folder}"]), *_NEXT]))
    return Exit.DONE


_NEXT: Final = (
    f"  pipeflow run {_PIPELINE}",
    "  pipeflow test",
    f"  pipeflow validate {_PIPELINE} --write-schema   # after changing the Python: tells editors",
)


def template(name: str) -> Mapping[str, bytes]:
    """The files of a template: path in the project to content, sorted."""
    folder = TEMPLATES / name
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


def _refuse_what_is_there(folder: Path, files: Mapping[str, bytes]) -> None:
    """Nothing is written where something stands.

    Raises:
        UsageError: It is no folder, or one with such files.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"'{folder}' is a file, not a folder")
    there = [name for name in files if os.path.lexists(folder / name)]
    if there:
        raise UsageError(f"'{folder}' has {', '.join(there)} already; nothing was written")


def _write_schema(folder: Path, world: World) -> None:
    """What the editor knows of the project, from the files that were just written."""
    from pipeflow.api import Settings, read
    from pipeflow.cli.write_schema import MODELINE, write_beside

    file = os.fspath(folder / _PIPELINE)
    reading = read(file, Settings(), world.environ)
    for place, _ in write_beside([(file, reading.loaded)]):
        world.say(f"wrote {os.path.relpath(place)}")
    world.say(f"editors know it by the first line of {_PIPELINE}: {MODELINE}")


COMMAND: Final = Command(
    name="init",
    help="write a project that runs and passes its tests",
    add=_add,
    execute=_execute,
)
