"""The narrator: turns the events of a run into what people read while it goes on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from pipeflow.cli.displays import Display
from pipeflow.cli.wording import worker_name
from pipeflow.telemetry.events import Draining, Event, LogLine, Progress, RunFailed
from pipeflow.telemetry.masking import escape_controls
from pipeflow.telemetry.report import ErrorFacts

#: Colours and other looks of text, as terminals know them.
_LOOKS: Final = re.compile(r"\x1b\[[0-9;]*m")

#: Levels that are worth a word; what is printed or informs speaks for itself.
_LOUD: Final = frozenset({"warning", "error", "debug"})


class Narrator:
    """Listens to a run and tells it on a display.

    Attributes:
        failed: A failure was told.
    """

    def __init__(
        self,
        display: Display,
        *,
        replicas: Mapping[str, int],
        masked: Callable[[str], str],
        failure: Callable[[ErrorFacts], str],
        looks: bool,
    ) -> None:
        """Tell a run.

        Args:
            display: Where.
            replicas: Workers of each stage.
            masked: Takes secrets out of a text.
            failure: Words a failure, over several lines.
            looks: Whether colours in what stages print are kept.
        """
        self._display = display
        self._replicas = replicas
        self._masked = masked
        self._failure = failure
        self._looks = looks
        self.failed = False

    def __call__(self, event: Event) -> None:
        """Take an event."""
        match event:
            case Progress():
                self._display.show(event)
            case LogLine():
                self._display.say(self._log(event))
            case Draining(signal=name):
                asked = "^C" if name == "SIGINT" else name
                self._display.say(f"{asked}: draining; once more to stop at once")
            case RunFailed(error=error):
                self.fail(error)
            case _:
                # The rest is for the record, not for the eye.
                return

    def fail(self, error: ErrorFacts) -> None:
        """Tell a failure, if none was told."""
        if not self.failed:
            self.failed = True
            self._display.say(self._failure(error))

    def _log(self, event: LogLine) -> str:
        name = worker_name(event.stage, event.replica, self._replicas)
        level = f"{event.level}: " if event.level in _LOUD else ""
        text = self._clean(self._masked(event.text))
        lines = text.splitlines() or [""]
        return "\n".join(f"{name} | {level}{line}" for line in lines)

    def _clean(self, text: str) -> str:
        """Take out what a terminal would obey, but for looks where they are wanted."""
        if not self._looks:
            return escape_controls(_LOOKS.sub("", text))
        plain = _LOOKS.split(text)
        looks = [*_LOOKS.findall(text), ""]
        return "".join(
            escape_controls(part) + look for part, look in zip(plain, looks, strict=True)
        )
