"""The narrator: turns the events of a run into what people read while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from pipeflow.cli.displays import Display
from pipeflow.cli.wording import in_one_line, worker_name
from pipeflow.telemetry.events import (
    Draining,
    Event,
    ItemFailed,
    LogLine,
    Progress,
    RunFailed,
)
from pipeflow.telemetry.masking import escape_but_looks, without_looks
from pipeflow.telemetry.report import ErrorFacts

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
        skipping: Collection[str],
        masked: Callable[[str], str],
        failure: Callable[[ErrorFacts], str],
        looks: bool,
    ) -> None:
        """Tell a run.

        Args:
            display: Where.
            replicas: Workers of each stage.
            skipping: Stages that skip items that fail.
            masked: Takes secrets out of a text.
            failure: Words a failure, over several lines.
            looks: Whether colours in what stages print are kept.
        """
        self._display = display
        self._replicas = replicas
        self._untold = set(skipping)
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
            case ItemFailed(stage=stage) if stage in self._untold:
                self._untold.remove(stage)
                self._display.say(self._skipped(event))
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

    def _skipped(self, first: ItemFailed) -> str:
        """Why the first item was skipped: it may be why all of them are."""
        name = worker_name(first.stage, first.replica, self._replicas)
        why = in_one_line(self._masked(f"{first.type}: {first.message}"))
        return f"{name} | warning: skipped item {first.item}: {why} (--events FILE tells of each)"

    def _log(self, event: LogLine) -> str:
        name = worker_name(event.stage, event.replica, self._replicas)
        level = f"{event.level}: " if event.level in _LOUD else ""
        masked = self._masked(event.text)
        text = escape_but_looks(masked) if self._looks else without_looks(masked)
        lines = text.splitlines() or [""]
        return "\n".join(f"{name} | {level}{line}" for line in lines)
