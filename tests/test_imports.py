"""Who may import whom: a folder of pipeflow/ is a step of the journey and sees only those below."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent / "pipeflow"

#: What each package may import of ours: whole packages, or single modules by their dotted name.
#: ``errors``, ``clock``, ``suggest`` and ``values`` are open to all; a package may import itself.
MAY_IMPORT: Final[dict[str, set[str]]] = {
    "spec": set(),
    "transports": set(),
    "telemetry": set(),
    "config": {"spec", "telemetry.masking"},
    "planner": {"spec"},
    "stages": {"spec", "telemetry"},
    "runtime": {"planner.plan", "spec", "stages", "transports", "telemetry"},
    # The inline executor is its own worker, so it loads stages and holds their contexts.
    "executors": {
        *("runtime", "planner.plan", "spec", "transports", "telemetry"),
        *("stages.context", "stages.loading", "stages.work"),
        *("stages.shared_lock", "stages.shared_state"),
    },
    # It reads files and runs them, as whoever calls ``pipeflow.run`` does.
    "testing": {
        *("stages", "transports", "executors", "telemetry", "planner", "spec"),
        *("api", "config", "runtime.machine"),
    },
    "lsp": {"spec", "config", "stages", "api"},
    "cli": {
        *("spec", "transports", "telemetry", "config", "planner", "stages"),
        *("runtime", "executors", "api", "lsp", "testing"),
    },
}

#: What no process that runs the user's code may have loaded.
TOO_HEAVY_FOR_WORKERS: Final = ("yaml", "jsonschema", "networkx", "rich")

#: Packages that a worker loads, so that none of their modules may import the heavy ones.
LOADED_BY_WORKERS: Final = ("spec", "transports", "telemetry", "stages", "runtime")


def modules(package: str) -> Iterator[Path]:
    return (ROOT / package).rglob("*.py")


def imports(file: Path) -> Iterator[str]:
    """Dotted names of all that a module imports, also inside functions and ``TYPE_CHECKING``.

    ``from pipeflow.a import b`` gives ``pipeflow.a.b``: ``b`` may be a module or a name in one.
    """
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=module, names=names, level=0):
                yield from (f"{module}.{name.name}" for name in names)
            case ast.ImportFrom(level=level):
                pytest.fail(f"{file}:{node.lineno}: a relative import ({'.' * level})")
            case _:
                pass  # no import


def ours(name: str) -> str | None:
    """``pipeflow.planner.plan.Plan`` as ``planner.plan.Plan``; ``None`` if it is not ours."""
    return name.removeprefix("pipeflow.") if name.split(".", maxsplit=1)[0] == "pipeflow" else None


def is_allowed(name: str, package: str) -> bool:
    open_to_all = {"errors", "clock", "suggest", "values", package}
    return any(
        name == allowed or name.startswith(f"{allowed}.")
        for allowed in MAY_IMPORT[package] | open_to_all
    )


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_those_below_it(package: str) -> None:
    used = {
        (str(file.relative_to(ROOT)), name)
        for file in modules(package)
        for name in map(ours, imports(file))
        if name is not None
    }

    assert sorted(use for use in used if not is_allowed(use[1], package)) == []


def test_every_package_has_its_row() -> None:
    packages = {init.parent.name for init in ROOT.glob("*/__init__.py")}

    assert packages == set(MAY_IMPORT)


def test_what_is_open_to_all_imports_nothing_of_ours_but_what_makes_values() -> None:
    used = [
        name
        for stem in ("errors", "clock", "suggest", "values")
        for name in imports(ROOT / f"{stem}.py")
    ]

    known = {each for each in map(ours, used) if each is not None}
    assert known == {"values.dataclass", "values.field"}


def test_values_are_made_by_our_dataclass() -> None:
    standard = [
        str(file.relative_to(ROOT))
        for file in ROOT.rglob("*.py")
        if "dataclasses.dataclass" in imports(file) and file.name != "values.py"
    ]

    assert standard == []


@pytest.mark.parametrize("package", LOADED_BY_WORKERS)
def test_what_a_worker_loads_never_mentions_a_heavy_library(package: str) -> None:
    used = {
        (str(file.relative_to(ROOT)), name)
        for file in modules(package)
        for name in imports(file)
        if name.split(".")[0] in TOO_HEAVY_FOR_WORKERS
    }

    assert sorted(used) == []


@pytest.mark.processes
@pytest.mark.parametrize("module", ["pipeflow", "pipeflow.runtime.worker"])
def test_a_worker_process_has_no_heavy_library_loaded(module: str) -> None:
    # As a worker does: its own module, and the public names that the author's code may use.
    use = "pipeflow.stream, pipeflow.to, pipeflow.log, pipeflow.metric, pipeflow.stopping"
    program = f"import sys, json, {module}; {use}; print(json.dumps(sorted(sys.modules)))"

    output = subprocess.check_output([sys.executable, "-c", program], text=True)

    loaded = {name.split(".")[0] for name in json.loads(output)}
    assert module.split(".", maxsplit=1)[0] in loaded
    assert loaded.isdisjoint({*TOO_HEAVY_FOR_WORKERS, "numpy"})


@pytest.mark.processes
def test_a_supervisor_loads_nothing_that_only_a_worker_needs() -> None:
    program = (
        "import sys, json, pipeflow.executors.processes; print(json.dumps(sorted(sys.modules)))"
    )

    output = subprocess.check_output([sys.executable, "-c", program], text=True)

    loaded = json.loads(output)
    assert "pipeflow.runtime.supervisor" in loaded
    workers = ("pipeflow.runtime.loops", "pipeflow.runtime.guest", "pipeflow.runtime.worker")
    assert [name for name in loaded if name.startswith(workers)] == []
