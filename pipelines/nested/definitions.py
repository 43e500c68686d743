"""The stage of longest.yaml: functions and classes of a file, with their lengths."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def find(source: dict[str, str], kind: str) -> Iterator[dict[str, str | int]]:
    """Find all functions, or all classes, wherever they stand in the file."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source["text"])):
        if isinstance(node, ast.ClassDef if kind == "class" else functions):
            where = f"{node.name} ({source['file']}:{node.lineno})"
            yield {"definition": where, "lines": (node.end_lineno or 0) - node.lineno + 1}
