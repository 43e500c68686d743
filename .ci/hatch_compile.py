"""Compiles the innermost loops when pipeflow is built or installed, if a compiler is there.

The module is put beside its source, so a checkout has it too once it was installed from. Where
nothing can be compiled the package is the same without it: see pipeflow/runtime/loops/stretch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "pipeflow/runtime/loops/stretch"


class CompileHook(BuildHookInterface):  # type: ignore[type-arg]  # of any builder
    """The build hook that pyproject.toml names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling; ``version`` tells an editable installation from a standard one."""
        del version
        made = compiled(Path(self.root))
        if made is None:
            self.app.display_warning(
                "pipeflow: no compiler, so cheap items will cost a few times as much; all else is"
                " the same"
            )
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"].append(f"/{made.relative_to(self.root).as_posix()}")


def compiled(root: Path) -> Path | None:
    """The compiled module of this Python, made if it is older than its source; ``None``: none."""
    from setuptools import Distribution, Extension

    folder = root / FOLDER
    module = Extension(
        "_compiled",
        [str(folder / "_compiled.c")],
        depends=[*map(str, folder.glob("*.h"))],
        optional=True,
    )
    command = Distribution({"ext_modules": [module]}).get_command_obj("build_ext")
    command.ensure_finalized()
    command.build_lib = str(folder)
    with TemporaryDirectory() as scratch:
        command.build_temp = scratch
        command.run()
    made = Path(command.get_ext_fullpath("_compiled"))
    return made if made.exists() else None


if __name__ == "__main__":
    sys.exit(compiled(Path.cwd()) is None)
