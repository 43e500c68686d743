"""The parser of the command line: argparse, with errors of ours and the options commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NoReturn

from pipeflow.api import Settings
from pipeflow.cli.later import refuse_option
from pipeflow.cli.world import World
from pipeflow.errors import UsageError
from pipeflow.values import dataclass

LOG_LEVELS: Final = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command.

    Attributes:
        name: As people type it.
        help: One line.
        add: Declares its arguments.
        execute: Does it; returns the exit code.
    """

    name: str
    help: str
    add: Callable[[argparse.ArgumentParser], None]
    execute: Callable[[argparse.Namespace, World], int]


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of ending the process, and knows what was meant."""

    def __init__(self, **settings: Any) -> None:
        # With each option argparse makes a formatter, to see whether one could be made, and each
        # asks how wide the terminal is, by way of a module that loads all compressions.
        super().__init__(**settings, formatter_class=_of_no_terminal)

    def format_help(self) -> str:
        self.formatter_class = argparse.HelpFormatter
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see '{self.prog} --help'")


def _of_no_terminal(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, width=80)


class _Later(argparse.Action):
    """An option that is refused until it comes."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        del parser, namespace, values
        raise refuse_option(option_string or self.option_strings[0])


def make_parser(command: Command) -> Parser:
    """Make the parser of one command."""
    parser = Parser(prog=f"pipeflow {command.name}", description=command.help, allow_abbrev=False)
    command.add(parser)
    add_log_level(parser)
    return parser


def parse(command: Command, arguments: Sequence[str]) -> argparse.Namespace:
    """Understand what follows a command's name.

    Raises:
        UsageError: It cannot be understood.
        SystemExit: Help was asked for and given.
    """
    parser = make_parser(command)
    namespace, unknown = parser.parse_known_args(list(arguments))
    if unknown:
        raise UsageError(_unknown(unknown[0], parser))
    return namespace


def add_file(parser: argparse.ArgumentParser) -> None:
    """Declare FILE."""
    parser.add_argument(
        "file", metavar="FILE", type=file_name, help="the pipeline file; - is standard input"
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare what is laid over a file."""
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a value for one of the file's params; may be repeated",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="change one value: stages.shrink.replicas=4; may be repeated",
    )
    parser.add_argument(
        "-f",
        "--overlay",
        action="append",
        default=[],
        metavar="OVERLAY",
        help="a file that is laid over FILE; may be repeated",
    )


def add_fuse(parser: argparse.ArgumentParser) -> None:
    """Declare that processes may be shared."""
    parser.add_argument(
        "--fuse",
        action="store_true",
        help="run neighbouring one-to-one stages in one process",
    )


def add_log_level(parser: argparse.ArgumentParser) -> None:
    """Declare how much is told."""
    parser.add_argument(
        "--log-level",
        choices=LOG_LEVELS,
        default="info",
        help="least level of log lines that are shown (info)",
    )


def add_later(parser: argparse.ArgumentParser, option: str) -> None:
    """Declare an option that is refused, so that its value does not confuse the rest."""
    parser.add_argument(option, action=_Later, nargs="?", help=argparse.SUPPRESS)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """What ``--param``, ``--set`` and ``-f`` say.

    Raises:
        UsageError: One of them has no ``=``, or no name before it.
    """
    params: dict[str, str] = {}
    for text in arguments.param:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--param {text}: expected NAME=VALUE")
        params[name.strip()] = value
    for text in arguments.set:
        path, equals, _ = text.partition("=")
        if not equals or not path.strip():
            raise UsageError(f"--set {text}: expected PATH=VALUE, like stages.shrink.replicas=4")
    return Settings(params=params, sets=arguments.set, overlays=arguments.overlay)


def duration(text: str) -> float:
    """Seconds in ``30s``; for argparse.

    Raises:
        ArgumentTypeError: It is no duration.
    """
    from pipeflow.config.problem import Problem
    from pipeflow.config.units import duration as read_duration

    seconds = read_duration(text)
    if isinstance(seconds, Problem):
        raise argparse.ArgumentTypeError(f"{seconds.problem}: write {seconds.hint}")
    return seconds


def file_name(text: str) -> str:
    """A name that is not empty; for argparse. An empty one would mean this folder."""
    if not text:
        raise argparse.ArgumentTypeError("the name of the file is empty")
    return text


def whole_number(least: int) -> Callable[[str], int]:
    """A reader of whole numbers from ``least`` on; for argparse."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {least} on")
        return int(text)

    return read


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or nothing."""
    from pipeflow.suggest import did_you_mean

    meant = did_you_mean(word, known)
    return f"; did you mean '{meant}'?" if meant else ""


def _unknown(argument: str, parser: Parser) -> str:
    if not argument.startswith("-"):
        return f"unexpected argument '{argument}'; see '{parser.prog} --help'"
    name = argument.partition("=")[0]
    known = [
        option
        for action in parser._actions  # noqa: SLF001 - argparse has no public list of its options
        for option in action.option_strings
        if option.startswith("--")
    ]
    meant = suggestion(name, known)
    return f"unknown option '{name}'" + (meant or f"; see '{parser.prog} --help'")
