"""The project's schema as a file: made from what was read, written only when it is another."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeflow.config.load import Loaded
    from pipeflow.spec.pipeline import Pipeline

#: Where ``validate --write-schema`` puts it, from the folder of the pipeline files.
PLACE: Final = Path(".pipeflow/schema.json")

#: The line that tells an editor so; editors look from the folder of the pipeline file.
MODELINE: Final = f"# yaml-language-server: $schema={PLACE}"


def schema_of(loaded: Sequence[Loaded], folder: str, *, stages: bool = False) -> str:
    """The schema of the files of one folder, as text.

    Args:
        loaded: The files.
        folder: Their folder.
        stages: Whether the stages of the first file are in it.
    """
    from pipeflow.config.own_project import read_project
    from pipeflow.config.schema.project import project_schema
    from pipeflow.stages.registry import plugin_code, stage_types

    calls = [call for one in loaded for call in calls_in(one)]
    pipeline = loaded[0].pipeline if stages else None
    project = read_project(calls, folder, sys.path, plugin_code())
    parts = {name: part for one in loaded for name, part in parts_in(one)}
    schema = project_schema(stage_types(), project, pipeline, parts)
    # Nobody reads it but editors, and it is long.
    return json.dumps(schema, ensure_ascii=False) + "\n"


def calls_in(loaded: Loaded) -> Iterator[str]:
    """What stands behind ``call:`` in a file, right or wrong."""
    from pipeflow.config.nodes import Map, Scalar

    stages = loaded.resolved.get("stages") if loaded.resolved is not None else None
    for _, stage in stages.items() if isinstance(stages, Map) else ():
        call = stage.get("call") if isinstance(stage, Map) else None
        if isinstance(call, Scalar) and isinstance(call.value, str):
            yield call.value


def parts_in(loaded: Loaded) -> Iterator[tuple[str, Pipeline]]:
    """What stands behind ``pipeline:`` in a file, and the file that it names."""
    from pipeflow.config.nodes import Scalar, at_path

    if loaded.pipeline is None or loaded.resolved is None:
        return
    for stage in loaded.pipeline.stages:
        named = at_path(loaded.resolved, ("stages", stage.name, "pipeline"))
        if stage.inner is not None and isinstance(named, Scalar):
            yield str(named.value), stage.inner


def folder_of(file: str) -> str:
    """The folder of a pipeline file, where its modules are; of standard input this one."""
    return os.fspath(Path(file).absolute().parent)


def write_beside(files: Iterable[tuple[str, Loaded]]) -> list[tuple[Path, bool]]:
    """Write the schema of each folder, from its files; gives where it is, and whether it is new.

    Raises:
        OSError: A file cannot be written.
    """
    folders: dict[str, list[Loaded]] = {}
    for file, loaded in files:
        folders.setdefault(folder_of(file), []).append(loaded)
    places = []
    for folder, loaded_there in folders.items():
        place = Path(folder) / PLACE
        places.append((place, write_if_new(place, schema_of(loaded_there, folder))))
    return places


def write_if_new(place: Path, text: str) -> bool:
    """Write a text, unless it stands there: editors read a file again when it changes.

    Returns:
        Whether it was written.

    Raises:
        OSError: It cannot be written.
    """
    if place.is_file() and place.read_text(encoding="utf-8") == text:
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f"{place.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(place)
    return True
