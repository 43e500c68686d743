"""Exceptions as text: the user's own frames, and no others."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from pipeflow.runtime.failures import traceback_of
from pipeflow.stages.sinks.output import open_output


def raised(call: object, *arguments: object) -> BaseException:
    assert callable(call)
    try:
        call(*arguments)
    except Exception as error:
        # Without this test's own frame, which no stage of a run has above it.
        return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
    raise AssertionError("nothing was raised")


def users_own(text: str) -> object:
    return json.loads(text)


def test_what_an_operator_meets_in_the_library_has_no_frames(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    text = traceback_of(raised(open_output, tmp_path / "file" / "below"))

    assert text.count("\n") == 1
    assert text.startswith("FileExistsError: ")


def test_the_way_to_the_users_module_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lacking.py").write_text("import nowhere_to_be_found\n")
    monkeypatch.syspath_prepend(tmp_path)

    text = traceback_of(raised(importlib.import_module, "lacking"))

    assert text.count("  File ") == 1
    assert "in <module>\n    import nowhere_to_be_found\n" in text


def test_frames_of_the_library_stay_below_those_of_the_user() -> None:
    text = traceback_of(raised(users_own, "{"))

    assert "in users_own" in text
    assert "in raw_decode" in text or "in decode" in text
