"""How to run, as far as it concerns the supervisor; and how long things may take, in seconds."""

from __future__ import annotations

from typing import Final

from pipeflow.values import dataclass

#: For a worker to be ready before a word is said.
SLOW_START_S: Final = 10.0
#: For a worker to write down where it is.
STACK_S: Final = 0.25
#: For a worker to end after it was asked to (SIGTERM), before it is killed.
TERM_S: Final = 0.5
#: For the readers of a failed stage's dead letters to see these to their end.
LETTERS_S: Final = 10.0
#: To find out what the victims are victims of.
VICTIMS_S: Final = 1.0
#: For a process to be gone after its worker has finished: threads, atexit.
LINGER_S: Final = 5.0
#: For one call when nobody needs its result any more (design 3.9).
CUT_S: Final = 1.0
#: For a source to end after the drain has interrupted it.
OVERSTAY_S: Final = 2.0
#: Between two looks at the board.
LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How to run.

    Attributes:
        run_id: Name of the run.
        seed: Of ``pipeflow.rng``.
        grace_s: Seconds for a source in a blocking call to end when the run is drained; and for
            which nothing may move then.
        start_s: Seconds in which a worker must be ready; 0: any number.
        still_s: Seconds for which nothing may move before that is told; 0: any number.
        log_level: Least level of log lines.
        progress_s: Seconds between two ``Progress`` events; 0: none.
    """

    run_id: str
    seed: int = 0
    grace_s: float = 30.0
    start_s: float = 300.0
    still_s: float = 60.0
    log_level: str = "info"
    progress_s: float = 0.25
