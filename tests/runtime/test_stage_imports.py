"""What a stage's modules import, read from source without running any of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeflow.runtime.launch.imports import StageImports, modules_beside, stage_imports

Modules = dict[str, str]


def read(tmp_path: Path, modules: Modules, call: str = "work") -> StageImports:
    """The imports of a module; names below ``site-packages/`` count as installed."""
    for name, code in modules.items():
        file = tmp_path / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code, encoding="utf-8")
    path = [str(tmp_path / "site-packages"), str(Path(json.__file__).parents[1])]
    return stage_imports(call, str(tmp_path), path)


LIBRARY: Modules = {"site-packages/library": "", "site-packages/other": ""}


def test_a_module_that_is_not_found_may_do_anything() -> None:
    found = stage_imports("tests.nowhere", "/", [])

    assert not found.settled


def test_imports_are_followed_through_modules_beside_the_file(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {
            **LIBRARY,
            "work": "import helper\nfrom library import one, two\nimport json\n",
            "helper": "from tools.deep import part\n",
            "tools/__init__": "",
            "tools/deep": "from . import part\n",
            "tools/part": "import other as o\n",
        },
    )

    assert found.packages == (("other", ()), ("library", ("one", "two")))
    assert found.standard == (("json", ()),)
    assert found.settled


@pytest.mark.parametrize(
    "first",
    [
        "configure()",
        "settings['x'] = 1",
        "import other\nother.use('Agg')",
        "if ready():\n    pass",
        "for x in ():\n    pass",
    ],
)
def test_an_import_behind_something_that_acts_is_the_workers_own(
    tmp_path: Path, first: str
) -> None:
    found = read(tmp_path, {**LIBRARY, "work": f"{first}\nimport library\n"})

    assert not found.settled


@pytest.mark.parametrize(
    "first",
    [
        "'''Doc.'''\nfrom __future__ import annotations",
        "import logging\nlog = logging.getLogger()\nlimit: int = 3",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import other",
        "def f(): configure()\nclass A: pass",
        "import pipeflow",
        "import sys\nimport time",  # modules of the interpreter, which lie in no file
    ],
)
def test_what_surely_leaves_imports_alone_may_stand_before_them(tmp_path: Path, first: str) -> None:
    found = read(tmp_path, {**LIBRARY, "work": f"{first}\nimport library\n"})

    assert found.settled
    assert found.packages == (("library", ()),)


@pytest.mark.parametrize(
    "change",
    [
        "os.environ['A'] = '1'",
        "del os.environ['A']",
        "os.environ.setdefault('A', '1')",
        "os.environ |= {}",
        "os.putenv('A', '1')",
        "load_dotenv()",
    ],
)
def test_a_module_that_may_change_variables_is_never_settled(tmp_path: Path, change: str) -> None:
    code = f"import os\nimport library\n\ndef work(x):\n    {change}\n"

    assert not read(tmp_path, {**LIBRARY, "work": code}).settled


def test_variables_that_are_only_read_change_nothing(tmp_path: Path) -> None:
    code = "import os\nimport library\nA = os.environ['A']\nB = os.environ.get('B')\n"

    assert read(tmp_path, {**LIBRARY, "work": code}).settled


def test_an_installed_module_that_is_called_is_read_and_not_named(tmp_path: Path) -> None:
    modules = {
        **LIBRARY,
        "site-packages/mine/__init__": "",
        "site-packages/mine/steps": "import library\nfrom mine import db\n",
        "site-packages/mine/db": "import other\n",
    }

    found = read(tmp_path, modules, call="mine.steps")

    assert found.packages == (("library", ()), ("other", ()))


def test_a_module_beside_the_file_hides_an_installed_one(tmp_path: Path) -> None:
    found = read(tmp_path, {**LIBRARY, "library": "import other\n", "work": "import library\n"})

    assert found.packages == (("other", ()),)


def test_imports_inside_functions_and_in_the_rescue_of_a_failed_one_are_left_alone(
    tmp_path: Path,
) -> None:
    code = "try:\n    import library\nexcept ImportError:\n    import other\n"

    found = read(tmp_path, {**LIBRARY, "work": f"{code}def f():\n    import other\n"})

    assert found.packages == (("library", ()),)


@pytest.mark.parametrize("code", ["def broken(:\n", "\x00"])
def test_a_module_that_cannot_be_read_is_not_settled(tmp_path: Path, code: str) -> None:
    assert not read(tmp_path, {"work": code}).settled


def test_circles_of_imports_end(tmp_path: Path) -> None:
    found = read(tmp_path, {**LIBRARY, "work": "import a\nimport library\n", "a": "import work\n"})

    assert found.packages == (("library", ()),)


def test_names_beside_the_file_are_those_that_python_would_find_there(tmp_path: Path) -> None:
    (tmp_path / "one.py").touch()
    (tmp_path / "two.cpython-311-x86_64-linux-gnu.so").touch()
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / "__init__.py").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data.csv").touch()

    assert sorted(modules_beside(str(tmp_path))) == ["one", "three", "two"]
    assert list(modules_beside(str(tmp_path / "missing"))) == []
