"""``pipeflow test``: runs the tests of pipeline files, inline, and says how they went."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeflow.cli.arguments import Command, add_settings, file_name, settings_of, whole_number
from pipeflow.cli.pipeline_files import pipeline_files
from pipeflow.cli.reading import STDIN, wants_color
from pipeflow.cli.wording import plural
from pipeflow.cli.world import Exit, World
from pipeflow.errors import Finding, InvalidPipeline, UsageError

if TYPE_CHECKING:
    from pipeflow.api import Settings
    from pipeflow.testing.creating import Created
    from pipeflow.testing.file_tests import Outcome

#: The file that is meant when none is named.
_HERE: Final = "."

#: Items of each source in a new test when --take does not say.
_FEW: Final = 3


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        type=file_name,
        default=[_HERE],
        help="pipeline files, or folders with such files below them (this folder)",
    )
    parser.add_argument(
        "-k", metavar="TEXT", default="", dest="wanted", help="only tests with this in their name"
    )
    parser.add_argument(
        "--update", action="store_true", help="write what came into the files, as expected"
    )
    parser.add_argument(
        "--create",
        metavar="STAGE",
        default="",
        help="write a test of a stage into the file, from a sample of real items",
    )
    parser.add_argument(
        "--take",
        metavar="N",
        type=whole_number(1),
        help=f"how many items of each source --create takes ({_FEW})",
    )
    add_settings(parser)


def _execute(arguments: argparse.Namespace, world: World) -> int:
    if arguments.create:
        return _create(arguments, world)
    if arguments.take is not None:
        raise UsageError("--take goes with --create STAGE: whose items are to be taken?")
    from pipeflow.testing.file_tests import run_test
    from pipeflow.testing.telling import told

    if STDIN in arguments.files:
        raise UsageError("'pipeflow test' reads files: what is on standard input has no place")
    settings = settings_of(arguments)
    began = time.perf_counter()
    every = _every_test(arguments.files, settings, world)
    wanted = arguments.wanted.casefold()
    chosen = [(file, name) for file, name in every if wanted in name.casefold()]
    skipped = len(every) - len(chosen)
    _require(chosen, skipped, arguments)
    outcomes: list[tuple[str, Outcome]] = []
    for file, name in chosen:
        outcome = run_test(file, name, settings, world.environ)
        outcomes.append((file, outcome))
        world.answer(f"{file}::{name} {'PASSED' if outcome.passed else 'FAILED'}")
        if not outcome.passed:
            world.answer(told(outcome, color=wants_color(world.stdout, world)))
    failed = [(file, outcome) for file, outcome in outcomes if not outcome.passed]
    counts = {"failed": len(failed), "passed": len(outcomes) - len(failed), "left out": skipped}
    words = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    world.answer(f"{words} in {time.perf_counter() - began:.2f} s")
    if arguments.update and failed:
        return _update(failed, settings, world)
    return Exit.FAILED if failed else Exit.DONE


def _create(arguments: argparse.Namespace, world: World) -> int:
    """Write a new test into the one file that is named."""
    from pipeflow.testing.creating import create_test

    if len(arguments.files) != 1 or arguments.files[0] in {_HERE, STDIN}:
        raise UsageError("--create needs the one file that the test is for")
    if arguments.update or arguments.wanted:
        raise UsageError("--create writes one new test; --update and -k are about those there are")
    (file,) = arguments.files
    text = _text_of(file)
    settings = settings_of(arguments)
    made = create_test(
        file, text, arguments.create, settings, world.environ, take=arguments.take or _FEW
    )
    _write(file, made.text)
    given = ", ".join(f"{plural(count, 'item')} of '{port}'" for port, count in made.given.items())
    what = plural(made.count, "item")
    world.say(
        f"wrote test '{made.name}' into {file}: given {given}, it expects {what} of "
        f"'{made.expected}'{_remark(made)}"
    )
    return Exit.DONE


def _remark(made: Created) -> str:
    if not made.count:
        return "; --take 20 may show some"
    return "" if made.exact else ", by their number"


def _text_of(file: str) -> str:
    try:
        with Path(file).open(encoding="utf-8", newline="") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"cannot read {file}: {reason}") from None


def _write(file: str, text: str) -> None:
    try:
        with Path(file).open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None


def _every_test(named: Sequence[str], settings: Settings, world: World) -> list[tuple[str, str]]:
    """File and name of each test.

    Raises:
        InvalidPipeline: There are mistakes in the files; it has those of all of them.
    """
    from pipeflow.testing.file_tests import tests_of

    found: list[tuple[str, str]] = []
    findings: list[Finding] = []
    sources: dict[str, str] = {}
    for file in pipeline_files(named):
        try:
            found += [(file, test.name) for test in tests_of(file, settings, world.environ)]
        except InvalidPipeline as invalid:
            findings += invalid.findings
            sources |= invalid.sources
    if findings:
        raise InvalidPipeline(tuple(findings), sources)
    return found


def _require(chosen: Sequence[object], skipped: int, arguments: argparse.Namespace) -> None:
    """Nothing tested is no success.

    Raises:
        UsageError: There is no test.
    """
    if chosen:
        return
    where = ", ".join(arguments.files)
    if skipped:
        none_of = "the one test" if skipped == 1 else f"none of the {skipped} tests"
        denied = "has no" if skipped == 1 else "has"
        raise UsageError(f"{none_of} in {where} {denied} '{arguments.wanted}' in its name")
    raise UsageError(f"no tests in {where}: write them under 'tests:', as docs/testing.md shows")


def _update(failed: Sequence[tuple[str, Outcome]], settings: Settings, world: World) -> int:
    """Write what came into the files, and run the tests again that were not as expected."""
    from pipeflow.testing.file_tests import run_test
    from pipeflow.testing.updating import updated

    for file in dict.fromkeys(file for file, _ in failed):
        seen = [pair for other, outcome in failed if other == file for pair in outcome.came]
        text = _text_of(file)
        new = updated(file, text, seen)
        if new != text:
            _write(file, new)
            world.say(f"wrote {file}")
    left = [
        f"{file}::{outcome.test.name}"
        for file, outcome in failed
        if not run_test(file, outcome.test.name, settings, world.environ).passed
    ]
    if left:
        world.say(
            f"{plural(len(left), 'test')} cannot be updated: {', '.join(left)}; "
            "runs that fail, 'contains', 'each' and what comes by a reference are yours to mend"
        )
    return Exit.FAILED if left else Exit.DONE


COMMAND: Final = Command(
    name="test",
    help="run the tests of a pipeline file",
    add=_add,
    execute=_execute,
)
