"""Findings in the forms of other programs: GitHub's workflow commands, and SARIF 2.1.0."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from pipeflow.errors import Finding, Location

_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def github(findings: Sequence[Finding]) -> str:
    """One workflow command a finding: they become remarks beside the lines of a pull request."""
    return "\n".join(
        f"::{finding.severity.value} file={_property(finding.at.file)},line={finding.at.line},"
        f"col={finding.at.column},endColumn={finding.at.column + finding.length},"
        f"title={_property(finding.code)}::{_data(_message(finding))}"
        for finding in findings
    )


def sarif(findings: Sequence[Finding]) -> str:
    """A SARIF log with one run."""
    codes = sorted({finding.code for finding in findings})
    run = {
        "tool": {
            "driver": {"name": "pipeflow", "rules": [{"id": code} for code in codes]},
        },
        # Columns are counted in characters, as in our own messages.
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding) for finding in findings],
    }
    log = {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2)


def _result(finding: Finding) -> Mapping[str, object]:
    at = finding.at
    region = {
        "startLine": at.line,
        "startColumn": at.column,
        "endColumn": at.column + finding.length,
    }
    place = {"artifactLocation": {"uri": at.file.replace("\\", "/")}, "region": region}
    result: dict[str, object] = {
        "ruleId": finding.code,
        "level": finding.severity.value,
        "message": {"text": _message(finding)},
        "locations": [{"physicalLocation": place}],
    }
    related = [_included(place) for place in at.includes()]
    return result | {"relatedLocations": related} if related else result


def _included(at: Location) -> Mapping[str, object]:
    return {
        "message": {"text": "included here"},
        "physicalLocation": {
            "artifactLocation": {"uri": at.file.replace("\\", "/")},
            "region": {"startLine": at.line, "startColumn": at.column},
        },
    }


def _message(finding: Finding) -> str:
    hint = [f"hint: {finding.hint}"] if finding.hint else []
    included = (f"included at {place}" for place in finding.at.includes())
    return "\n".join([finding.problem, *hint, *included])


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
