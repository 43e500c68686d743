"""Where sinks write: a file (see ``files``), or the command's standard output.

Every write is one or several whole lines, in one call to the system: there is no buffer of ours, so
nothing is left behind when the items pause, and a killed worker leaves no half line.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TextIO

from pipeflow.spec.options import Option, OptionType
from pipeflow.stages.context import current
from pipeflow.stages.rendering import utf8
from pipeflow.stages.sinks.files import FileOutput
from pipeflow.stages.work import OutputClosed
from pipeflow.telemetry.masking import escape_but_looks

STDOUT: Final = "-"

PATH: Final = Option(
    name="path",
    types=(OptionType.PATH,),
    description=(
        'The file to write; `"-"` is standard output. Folders are made. It is written as '
        "`NAME.partial` and gets its name when all items are in it."
    ),
    examples=("out/result.jsonl",),
)
#: Of formats that cannot be written to a stream.
FILE: Final = Option(
    name="path",
    types=(OptionType.PATH,),
    description=(
        "The file to write. Folders are made. It is written as `NAME.partial` and gets its name "
        "when all items are in it."
    ),
    pattern=r"(?!-$)[\s\S]+",
    form="the path of a file, which standard output is not",
)
LIVE: Final = Option(
    name="live",
    types=(OptionType.BOOLEAN,),
    default=False,
    description=(
        "Write to the file itself from the first item on: it can be followed while the run goes "
        "on, and stays when the run fails."
    ),
)
COMPRESSION: Final = Option(
    name="compression",
    types=(OptionType.STRING,),
    default="auto",
    description="How to compress the file.",
    choices=("auto", "gzip", "none"),
    choice_docs=("gzip if the name ends in `.gz`", "gzip, whatever its name", "plain"),
)


class Output(Protocol):
    """Takes whole lines."""

    def write(self, text: str, *, records: int = 1) -> None:
        """Write text that ends a line; ``records`` says how many records it is.

        Raises:
            OutputClosed: Nobody reads standard output any more.
            OSError: The disk is full, and the like.
        """
        ...

    def commit(self) -> None:
        """All records are written: the file gets its name, and the report their number."""
        ...

    def close(self) -> None:
        """Give up what is open; what was not committed stays ``NAME.partial``."""
        ...


def open_output(path: Path, *, live: bool = False, compression: str = "auto") -> Output:
    """The output that a ``path`` option means.

    Raises:
        OSError: The file or its folder cannot be made, or another process is writing it.
    """
    if str(path) == STDOUT:
        return StandardOutput()
    zipped = compression == "gzip" or (compression == "auto" and path.suffix == ".gz")
    return FileOutput(path, live=live, zipped=zipped)


class StandardOutput:
    """The command's standard output; outside a run, this process's. Closes nothing.

    On a terminal it shows what a terminal would obey, but for colours.
    """

    def __init__(self) -> None:
        context = current()
        stream = sys.stdout if context is None else context.stdout
        self._terminal = stream is not None and stream.isatty()

    def write(self, text: str, *, records: int = 1) -> None:
        del records  # they are seen
        context = current()
        stream = context.stdout if context is not None else None
        if self._terminal:
            text = escape_but_looks(text.replace("\r\n", "\n"))
        try:
            if stream is None:
                _write_here(text)
            else:
                _write_whole(stream, utf8(text))
                stream.flush()
        except BrokenPipeError:
            raise OutputClosed("nobody reads standard output any more") from None
        except OSError as error:
            if _hung_up(error, sys.stdout if stream is None else stream):
                raise OutputClosed("the terminal was closed") from None
            raise

    def commit(self) -> None:
        """Nothing to do: what is written is out."""

    def close(self) -> None:
        """Nothing to do: it is not ours."""


def _hung_up(error: OSError, stream: BinaryIO | TextIO) -> bool:
    """Whether a write failed because its terminal is gone."""
    return error.errno == errno.EIO and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)


def _write_whole(stream: BinaryIO, data: bytes) -> None:
    """Write all bytes; a stream without a buffer may take fewer at a time."""
    view = memoryview(data)
    while view:
        written: int | None = stream.write(view)
        if written is None:  # another process made our terminal or pipe non-blocking
            select.select([], [stream], [])
        else:
            view = view[written:]


def _write_here(text: str) -> None:
    """Outside a run ``sys.stdout`` may be anything that takes text, a test's capture too."""
    sys.stdout.write(text)
    sys.stdout.flush()
