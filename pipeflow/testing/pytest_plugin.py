"""The pytest plug-in: the ``tests`` of pipeline files, collected as items of their own.

It is loaded by every pytest beside which pipeflow is installed, so nothing of ours is imported
before there is a pipeline file to collect.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import pytest

#: Files that are pipelines by their names; others are named by the option ``pipeflow_files``.
PATTERNS: Final = ("*.pipeflow.yaml", "pipeflow.yaml")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what makes further files ours."""
    parser.addini(
        "pipeflow_files",
        "pipeline files whose tests are collected, beside *.pipeflow.yaml and pipeflow.yaml:"
        " patterns of names, or of paths from the root directory",
        type="args",
        default=[],
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> PipelineFile | None:
    """Take pipeline files."""
    if file_path.suffix not in {".yaml", ".yml"}:
        return None
    wanted = (*PATTERNS, *parent.config.getini("pipeflow_files"))
    from_root = os.path.relpath(file_path, parent.config.rootpath).replace(os.sep, "/")
    if any(fnmatch(file_path.name, each) or fnmatch(from_root, each) for each in wanted):
        file: PipelineFile = PipelineFile.from_parent(parent, path=file_path)
        return file
    return None


class PipelineFile(pytest.File):
    """A pipeline file; its tests are its items."""

    @property
    def shown(self) -> str:
        """Its path as people would type it, for places in messages."""
        return os.path.relpath(self.path)

    def collect(self) -> Iterator[PipelineTest]:
        """Give the tests in the order of the file."""
        from pipeflow.api import Settings
        from pipeflow.errors import InvalidPipeline
        from pipeflow.testing.file_tests import tests_of

        try:
            tests = tests_of(self.shown, Settings(), os.environ)
        except InvalidPipeline as invalid:
            raise self.CollectError(_mistakes(invalid)) from None
        for test in tests:
            yield PipelineTest.from_parent(self, name=test.name, line=test.at.line)


class PipelineTest(pytest.Item):
    """One test of a pipeline file."""

    def __init__(self, *, line: int, **more: Any) -> None:
        super().__init__(**more)
        self._line = line
        # Items of functions and doctests have it, and there are plug-ins (pytest-lsp 1.0) whose
        # hooks fail for an item without.
        self.funcargs: dict[str, object] = {}

    def runtest(self) -> None:
        """Run it, inline."""
        from pipeflow.api import Settings
        from pipeflow.testing.file_tests import run_test
        from pipeflow.testing.telling import told

        assert isinstance(self.parent, PipelineFile)
        outcome = run_test(self.parent.shown, self.name, Settings(), os.environ)
        if not outcome.passed:
            raise NotAsExpected(told(outcome))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any) -> Any:
        """Show what a reader of the pipeline file wants to see: no traceback of ours."""
        from pipeflow.errors import InvalidPipeline

        match excinfo.value:
            case NotAsExpected() as failure:
                return str(failure)
            case InvalidPipeline() as invalid:
                return _mistakes(invalid)
            case _:
                return super().repr_failure(excinfo, *args)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands; lines are counted from 0 here."""
        return self.path, self._line - 1, self.name


class NotAsExpected(AssertionError):
    """A test of a pipeline file does not hold; the text tells all of it."""


def _mistakes(invalid: Any) -> str:
    from pipeflow.config.render import render_text

    return render_text(invalid.findings, invalid.sources).rstrip("\n")
