"""Stretches: items in a row between two looks at their reader, with nothing but them.

They are written twice. ``interpreted.py`` says what they promise; ``_compiled.c`` does the same and
takes its place where a compiler was found when pipeflow was installed.
``tests/runtime/test_stretch.py`` holds both to the same sentences.
"""

from __future__ import annotations

try:
    from pipeflow.runtime.loops.stretch._compiled import (
        FORM_7,
        HOPS,
        OTHER,
        RAISED,
        UNSEEN,
        call,
        call_only,
        take,
    )
except ImportError:  # nothing was compiled, or it was from an older source
    from pipeflow.runtime.loops.stretch.interpreted import (
        HOPS,
        OTHER,
        RAISED,
        UNSEEN,
        call,
        call_only,
        take,
    )

    COMPILED = False
else:
    COMPILED = FORM_7 == 0

__all__ = ["COMPILED", "HOPS", "OTHER", "RAISED", "UNSEEN", "call", "call_only", "take"]
