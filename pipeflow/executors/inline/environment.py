"""The variables and the folder of each replica while it has its turn: all share one process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, MutableMapping

from pipeflow.executors.inline.turns import Turn
from pipeflow.runtime.launch.environment import own_variables

#: Of some variables the values; ``None``: not set.
_Values = Mapping[str, str | None]


class Environment:
    """Sets what the file says in ``env``, and takes it back when another has its turn.

    What a replica's code makes of its variables it finds again at its next turn, and the folder
    that it has gone to. Variables that bound the threads of libraries are left out: these read them
    once, for all that share the process.

    Args:
        environ: The process's variables.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._environ = environ
        self._whose: Turn | None = None
        self._own: dict[int, _Values] = {}
        self._outside: _Values = {}
        self._start = _folder()
        self._folders: dict[int, str] = {}

    def turn_to(self, turn: Turn | None) -> Turn | None:
        """Whose code runs from now on; returns whose did before, to be put back."""
        before = self._whose
        if before is turn:
            return before
        if before is not None and self._outside:
            self._own[before.index] = self._values(self._outside)
            self._set(self._outside)
        self._change_folder(before, turn)
        self._whose, self._outside = turn, {}
        if turn is not None and (turn.stage.env or turn.stage.gpus):
            own = self._own.get(turn.index)
            if own is None:
                own = own_variables(turn.stage, turn.context.replica)
            self._outside = self._values(own)
            self._set(own)
        return before

    def _change_folder(self, before: Turn | None, turn: Turn | None) -> None:
        """Go to where who comes next has left off, if either has gone anywhere."""
        folder = _folder()
        if before is not None and (folder != self._start or before.index in self._folders):
            self._folders[before.index] = folder
        wanted = self._start if turn is None else self._folders.get(turn.index, self._start)
        if wanted in {"", folder}:
            return
        try:
            os.chdir(wanted)
        except OSError:  # it was removed meanwhile: who needs it would meet that anywhere
            os.chdir(self._start)

    def _values(self, names: Iterable[str]) -> _Values:
        return {name: self._environ.get(name) for name in names}

    def _set(self, values: _Values) -> None:
        for name, value in values.items():
            if value is None:
                self._environ.pop(name, None)
            else:
                self._environ[name] = value


def _folder() -> str:
    """The folder of this process; empty: it was removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - at every turn: a path would cost more than the look
    except FileNotFoundError:
        return ""
