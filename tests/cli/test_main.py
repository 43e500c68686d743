import subprocess
import sys

import pytest

import pipeflow
from pipeflow.__main__ import main as entry
from pipeflow.cli import later
from pipeflow.cli.main import COMMANDS, main
from pipeflow.runtime.loops import stretch
from tests.cli.fakes import Theatre


def test_an_unknown_command_is_told_what_was_meant() -> None:
    theatre = Theatre()

    code = main(["rnu", "a.yaml"], theatre.world)

    assert code == 2
    assert theatre.err == "pipeflow: error: unknown command 'rnu'; did you mean 'run'?\n"
    assert theatre.out == ""


def test_without_a_command_the_commands_are_listed() -> None:
    theatre = Theatre()

    code = main([], theatre.world)

    assert code == 2
    assert all(f"  {name} " in theatre.err for name in COMMANDS)


def test_a_file_in_place_of_a_command_is_understood() -> None:
    theatre = Theatre()

    code = main([__file__], theatre.world)

    assert code == 2
    assert f"pipeflow run {__file__}" in theatre.err


@pytest.mark.parametrize("name", sorted(later.COMMANDS))
def test_a_reserved_command_is_refused_with_a_sentence(name: str) -> None:
    theatre = Theatre()

    code = main([name, "--whatever", "x"], theatre.world)

    assert code == 2
    assert theatre.err.startswith(f"pipeflow: error: 'pipeflow {name}' comes in a later version; ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "a.yaml", "--resume"],
        ["run", "a.yaml", "--dashboard=8080"],
        ["run", "a.yaml", "--executor", "ray"],
        ["explain", "report.json"],
        ["graph", "a.yaml", "--report", "r.json"],
    ],
)
def test_a_reserved_option_is_refused_with_a_sentence(arguments: list[str]) -> None:
    theatre = Theatre()

    code = main(arguments, theatre.world)

    assert code == 2
    assert "comes in a later version" in theatre.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "the following arguments are required: FILE"),
        (["run", "a.yaml", "b.yaml"], "unexpected argument 'b.yaml'"),
        (["run", "a.yaml", "--reprot=x"], "unknown option '--reprot'; did you mean '--report'?"),
        (["run", "a.yaml", "--param", "width"], "--param width: expected NAME=VALUE"),
        (["run", "a.yaml", "--set", "=4"], "--set =4: expected PATH=VALUE"),
        (["run", "a.yaml", "--grace", "10"], "a duration needs a unit"),
        (["run", "a.yaml", "--seed=-1"], "'-1' is not a whole number from 0 on"),
        (["run", "a.yaml", "--seed=x"], "'x' is not a whole number from 0 on"),
        (["run", "a.yaml", "--take", "3"], "--take goes with --until"),
        (["run", "a.yaml", "--until", "x", "--take", "0"], "not a whole number from 1 on"),
        (["run", "a.yaml", "--executor", "lokal"], "did you mean 'local'?"),
        (["run", "a.yaml", "--report", "no/such/folder/r.json"], "there is no folder"),
        (["run", "a.yaml", "--events", "no/such/folder/e.jsonl"], "there is no folder"),
        (["run", ""], "argument FILE: the name of the file is empty"),
        (["validate", ""], "argument FILE: the name of the file is empty"),
        (["run", "a.yaml", "--dry"], "unknown option '--dry'; see 'pipeflow run --help'"),
        (["stages", "flies"], "there is no operator 'flies'; did you mean 'files'?"),
        (["explain", "unknown-stag"], "did you mean 'unknown-stage'?"),
        (["--quiet"], "a command comes first"),
    ],
)
def test_a_bad_command_line_ends_with_2_and_one_sentence(
    arguments: list[str], message: str
) -> None:
    theatre = Theatre()

    code = main(arguments, theatre.world)

    assert code == 2
    assert message in theatre.err
    assert theatre.err.startswith("pipeflow: error: ")
    assert theatre.err.count("\n") == 1


def test_help_and_version_are_answers(capsys: pytest.CaptureFixture[str]) -> None:
    theatre = Theatre()

    codes = [main(["--help"], theatre.world), main(["--version"], theatre.world)]
    codes.append(main(["run", "--help"], theatre.world))

    assert codes == [0, 0, 0]
    assert "pipeflow COMMAND" in theatre.out
    assert "--resume" not in capsys.readouterr().out


@pytest.mark.parametrize("compiled", [True, False])
def test_the_version_says_if_the_loops_could_not_be_compiled(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretch, "COMPILED", compiled)
    theatre = Theatre()

    assert main(["--version"], theatre.world) == 0
    assert theatre.out == f"pipeflow {pipeflow.__version__}\n"
    assert ("not compiled" in theatre.err) is not compiled


def test_operators_are_listed_and_each_has_a_page() -> None:
    theatre = Theatre()
    page = Theatre()

    codes = [main(["stages"], theatre.world), main(["stages", "jsonl.read"], page.world)]

    assert codes == [0, 0]
    assert theatre.out.startswith("Sources (built in)\n")
    assert "jsonl.read" in theatre.out
    assert "path" in page.out


def test_a_code_is_explained() -> None:
    theatre = Theatre()

    code = main(["explain", "unquoted-reference"], theatre.world)

    assert code == 0
    assert "needs quotes" in theatre.out


def test_a_fault_of_ours_is_one_line_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("pipeflow.cli.plan.read_file", broken)
    quiet, loud = Theatre(), Theatre()

    codes = [
        main(["plan", "a.yaml"], quiet.world),
        main(["plan", "a.yaml", "--log-level", "debug"], loud.world),
    ]

    assert codes == [1, 1]
    assert quiet.err == (
        "pipeflow: internal error: RuntimeError: two lines; please report it"
        " (with --log-level debug it shows where)\n"
    )
    assert "Traceback" in loud.err


def test_ctrl_c_outside_a_run_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeflow.cli.plan.read_file", interrupted)
    theatre = Theatre()

    code = main(["plan", "a.yaml"], theatre.world)

    assert code == 130
    assert theatre.err == "pipeflow: interrupted\n"


@pytest.mark.processes
def test_a_reader_that_has_seen_enough_makes_no_traceback() -> None:
    command = [sys.executable, "-m", "pipeflow", "schema"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        code = process.wait(timeout=30)

    assert (code, err) == (0, b"")


@pytest.mark.processes
def test_importing_pipeflow_imports_nothing_heavy() -> None:
    program = (
        "import sys, pipeflow; pipeflow.stream(lambda xs: xs);"
        "print([n for n in ('yaml', 'jsonschema', 'networkx', 'numpy', 'rich')"
        " if n in sys.modules])"
    )

    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )

    assert found.stdout == "[]\n"


class Interrupted:
    """A finder that a Ctrl-C hits while the command line is still being loaded."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pipeflow.cli.main":
            raise KeyboardInterrupt


def test_a_ctrl_c_before_anything_has_begun_ends_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "pipeflow.cli.main")
    monkeypatch.setattr(sys, "meta_path", [Interrupted, *sys.meta_path])

    with pytest.raises(SystemExit) as ended:
        entry()

    assert ended.value.code == 130
    assert capsys.readouterr().err == ""
