"""From file, overlays and command line to one result: places, order, secrets, no exceptions."""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeflow.config.load import FROM_STDIN, Loaded, load, resolved_yaml
from pipeflow.config.render import render_text
from pipeflow.planner.checks import check
from pipeflow.stages.registry import stage_types

GOOD = Path(__file__).resolve().parents[1] / "cases" / "valid" / "every-key.yaml"
CANARY = 'raise SystemExit("imported")\ndef load():\n    yield 1\n'


def run(path: str | Path | dict[str, object], **more: object) -> Loaded:
    options: dict[str, object] = {
        "environ": {},
        "stage_types": stage_types(),
        "search_path": (),
        **more,
    }
    return load(path, **options)  # type: ignore[arg-type]  # options of load, given by name


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "steps.py").write_text(CANARY, encoding="utf-8")
    path = tmp_path / "flow.yaml"
    path.write_text("stages:\n  load:\n    call: steps:load\n", encoding="utf-8")
    return path


def test_a_file_gives_a_pipeline_with_its_stem_and_its_folder(file: Path) -> None:
    loaded = run(file)

    assert loaded.findings == ()
    assert loaded.complete
    assert loaded.pipeline is not None
    assert (loaded.pipeline.name, loaded.pipeline.folder) == ("flow", str(file.parent))
    assert loaded.sources == {str(file): file.read_text(encoding="utf-8")}


def test_nothing_of_the_user_is_imported(file: Path) -> None:
    before = set(sys.modules)

    run(file)

    assert "steps" not in set(sys.modules) - before


def test_an_overlay_lies_over_the_file_and_keeps_its_own_places(file: Path) -> None:
    overlay = file.parent / "more.yaml"
    overlay.write_text("stages:\n  load:\n    replcas: 2\n", encoding="utf-8")

    loaded = run(file, overlays=[overlay])

    (finding,) = loaded.findings
    assert str(finding.at) == f"{overlay}:3:5"
    assert finding.code == "unknown-key"


def test_an_overlay_that_is_missing_is_a_finding(file: Path) -> None:
    loaded = run(file, overlays=[file.parent / "moer.yaml"])

    assert [finding.code for finding in loaded.findings] == ["file-missing"]
    assert not loaded.complete


def test_a_single_value_can_be_set(file: Path) -> None:
    loaded = run(file, sets=["name=other", "stages.load.env.A=1"])

    assert loaded.pipeline is not None
    assert loaded.pipeline.name == "other"
    assert loaded.pipeline.stages[0].env == {"A": "1"}


def test_what_the_command_line_says_is_shown_under_its_mistakes_but_for_secrets(
    file: Path,
) -> None:
    file.write_text(
        "params:\n  key: {type: integer, default: hunter2, secret: true}\n  size: 3\n"
        "stages: {load: {call: 'steps:load'}}\n",
        encoding="utf-8",
    )
    sets = ["stages.load.replicas=many", "params.key.default=hunter3"]

    loaded = run(file, sets=sets, params={"size": "big", "sise": "hunter4", "key": "hunter5"})

    told = render_text(loaded.findings, loaded.sources)
    assert "stages.load.replicas=many\n      |                      ^^^^" in told
    assert "size=big\n      |      ^^^" in told
    assert "    2 | sise\n      | ^^^^\n  hint: did you mean 'size'?" in told
    assert "key=***" in told
    assert "hunter" not in told


def test_a_secret_that_does_not_fit_is_not_shown_with_its_line(file: Path) -> None:
    file.write_text(
        "params:\n  key: {type: integer, default: hunter2, secret: true}\n"
        "stages: {load: {call: 'steps:load'}}\n",
        encoding="utf-8",
    )

    loaded = run(file)

    told = render_text(loaded.findings, loaded.sources)
    assert "2:33: error[param-type]" in told
    assert "default: *******, secret" in told
    assert "hunter" not in told


def test_a_mapping_is_a_pipeline_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)

    loaded = run({"name": "mine", "stages": {"load": {"call": "steps:load"}}})

    assert loaded.findings == ()
    assert loaded.pipeline is not None
    assert (loaded.pipeline.name, loaded.pipeline.file) == ("mine", "<mapping>")
    assert loaded.pipeline.folder == os.fspath(file.parent)


def test_standard_input_is_read_from_the_text_given(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)

    loaded = run("-", stdin_text="stages:\n  load:\n    cal: steps:load\n")

    assert [(finding.at.file, finding.code) for finding in loaded.findings] == [
        (FROM_STDIN, "unknown-key")
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty-file"),
        (b"stages:\x00", "control-character"),
        (b"name: caf\xe9\nstages: {}\n", "encoding"),
        ("stages: {}\n".encode("utf-16"), "encoding"),
        (b"#" * (2**20 + 1), "too-large"),
    ],
)
def test_bytes_that_are_no_pipeline_earn_one_message(
    tmp_path: Path, data: bytes, code: str
) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(data)

    loaded = run(path)

    assert [finding.code for finding in loaded.findings] == [code]
    assert loaded.pipeline is None


@pytest.mark.parametrize(
    "line", ["on_error: $${x}", "replicas: $${x}", "partition: $${x}", "ordered: $${x}"]
)
def test_an_escaped_reference_is_a_text_like_any_other(file: Path, line: str) -> None:
    file.write_text(file.read_text(encoding="utf-8") + f"    {line}\n", encoding="utf-8")

    loaded = run(file)

    assert [finding.code for finding in loaded.findings] == ["bad-value"]


def test_a_byte_order_mark_is_no_mistake(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())

    assert run(file).findings == ()


def test_a_missing_file_says_which_one_was_meant(file: Path) -> None:
    loaded = run(file.parent / "flwo.yaml")

    (finding,) = loaded.findings
    assert finding.code == "file-missing"
    assert "flow.yaml" in finding.hint


def test_a_directory_lists_what_it_holds(file: Path) -> None:
    (finding,) = run(file.parent).findings

    assert finding.code == "directory"
    assert "flow.yaml" in finding.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_who_owns_it(file: Path) -> None:
    file.chmod(0)

    (finding,) = run(file).findings

    assert finding.code == "permission"


def test_findings_are_sorted_by_place_and_none_is_told_twice(file: Path) -> None:
    file.write_text(
        "zzz: 1\nstages:\n  b: {call: 'steps:load', replicas: 0}\n  a: {use: nothing}\n",
        encoding="utf-8",
    )

    loaded = run(file)

    places = [finding.at for finding in loaded.findings]
    assert places == sorted(places)
    assert len(set(loaded.findings)) == len(loaded.findings) == 3


def test_the_resolved_file_can_be_loaded_again_and_means_the_same() -> None:
    first = run(GOOD)
    text = resolved_yaml(first)

    again = run("-", stdin_text=text)

    assert first.pipeline is not None
    assert again.pipeline is not None
    # Tests set params, and those are used up.
    assert (len(first.pipeline.tests), again.pipeline.tests) == (1, ())
    was = [(one.name, one.replicas, one.on_error, one.env) for one in first.pipeline.stages]
    now = [(one.name, one.replicas, one.on_error, one.env) for one in again.pipeline.stages]
    assert now == was
    edges = [
        [(edge.source, edge.input, edge.capacity, edge.overflow) for edge in one.edges]
        for one in first.pipeline.stages
    ]
    assert edges == [
        [(edge.source, edge.input, edge.capacity, edge.overflow) for edge in one.edges]
        for one in again.pipeline.stages
    ]


@pytest.mark.parametrize(
    ("secret", "sets", "environ", "hidden"),
    [
        ('"${env.HIDE:-true}"', (), {}, True),
        ('"${env.HIDE:-true}"', (), {"HIDE": "false"}, False),
        ("false", ("params.key.secret=true",), {}, True),
        ("true", ("params.key.secret=false",), {}, False),
    ],
)
def test_type_and_secret_of_a_param_are_values_like_others(
    file: Path, secret: str, sets: tuple[str, ...], environ: dict[str, str], hidden: bool
) -> None:
    file.write_text(
        'params:\n  key: {type: "${env.KIND:-string}", default: hunter2, secret: ' + secret + "}\n"
        'stages:\n  load:\n    call: steps:load\n    env: {KEY: "${params.key}"}\n',
        encoding="utf-8",
    )

    loaded = run(file, sets=sets, environ=environ)

    assert loaded.findings == ()
    assert ("hunter2" not in resolved_yaml(loaded)) is hidden
    assert ("hunter2" not in "".join(loaded.sources.values())) is hidden


def test_whether_a_param_is_secret_that_cannot_be_told_hides_it(file: Path) -> None:
    file.write_text(
        'params:\n  key: {type: "${env.NONE}", default: hunter2, secret: "${env.NONE}"}\n'
        "stages: {load: {call: 'steps:load'}}\n",
        encoding="utf-8",
    )

    loaded = run(file)

    assert {finding.code for finding in loaded.findings} == {"unset-variable"}
    assert "hunter2" not in render_text(loaded.findings, loaded.sources)


def test_the_resolved_file_hides_secrets(tmp_path: Path, file: Path) -> None:
    file.write_text(
        "params:\n  key: {type: string, secret: true}\n"
        "stages:\n  load:\n    call: steps:load\n"
        '    env: {KEY: "${params.key}", URL: "x?k=${params.key}"}\n',
        encoding="utf-8",
    )

    loaded = run(file, params={"key": "hunter2"})

    assert loaded.findings == ()
    assert loaded.pipeline is not None
    assert loaded.pipeline.stages[0].env["KEY"] == "hunter2"
    assert "hunter2" not in resolved_yaml(loaded)
    assert yaml.safe_load(resolved_yaml(loaded))["stages"]["load"]["env"]["KEY"] == "***"


def test_texts_that_look_like_numbers_stay_texts_in_the_resolved_file(file: Path) -> None:
    file.write_text(
        "description: '1e3'\nstages:\n  load:\n    call: steps:load\n"
        "    env: {A: '0755', B: 'no'}\n",
        encoding="utf-8",
    )
    loaded = run(file)

    again = run("-", stdin_text=resolved_yaml(loaded))

    assert again.pipeline is not None
    assert again.pipeline.description == "1e3"
    assert again.pipeline.stages[0].env == {"A": "0755", "B": "no"}


def test_an_escaped_dollar_is_escaped_again_in_the_resolved_file(file: Path) -> None:
    file.write_text(
        "description: '$${HOME} costs $$5'\nstages:\n  load:\n    call: steps:load\n"
        "    env: {N: '${replica}'}\n",
        encoding="utf-8",
    )
    loaded = run(file)

    again = run("-", stdin_text=resolved_yaml(loaded))

    assert again.pipeline is not None
    assert again.pipeline.description == "${HOME} costs $5"
    assert again.pipeline.stages[0].env == {"N": "${replica}"}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_mutated_file_never_raises_and_places_lie_inside_it(data: st.DataObject) -> None:
    lines = GOOD.read_text(encoding="utf-8").splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["delete", "double", "swap", "cut", "insert"])):
            case "delete":
                del lines[number]
            case "double":
                lines.insert(number, lines[number])
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[number], lines[other] = lines[other], lines[number]
            case "cut":
                lines[number] = lines[number][: data.draw(st.integers(0, 30))]
            case _:
                odd = data.draw(
                    st.sampled_from(["\t", "{", "]", ": ", "'", "${", "&a", "*b", "- "])
                )
                lines[number] = lines[number][:4] + odd + lines[number][4:]

    loaded = run("-", stdin_text="\n".join(lines) + "\n")

    for finding in loaded.findings:
        assert 1 <= finding.at.line <= len(lines) + 1
        assert finding.at.column >= 1


ODD: tuple[object, ...] = (
    None,
    3,
    -1,
    1.5,
    True,
    "x",
    "",
    "$${x}",
    "a.b.c",
    [],
    ["a"],
    {},
    {"from": 3},
    {"a": {"b": 1}},
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_odd_values_anywhere_never_raise(data: st.DataObject) -> None:
    tree = yaml.safe_load(GOOD.read_text(encoding="utf-8"))
    for _ in range(data.draw(st.integers(1, 3))):
        place = tree
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys))
            if place[key] and isinstance(place[key], (dict, list)) and data.draw(st.booleans()):
                place = place[key]
                continue
            place[key] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
            break

    loaded = run(tree)

    assert loaded.complete == (
        not any(finding.severity.value == "error" for finding in loaded.findings)
    )
    if loaded.pipeline is not None:
        check(loaded.pipeline)
