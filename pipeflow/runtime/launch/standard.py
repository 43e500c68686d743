"""The three standard descriptors, which a program may be started without."""

from __future__ import annotations

import os


def open_standard_descriptors() -> None:
    """See that descriptors 0 to 2 are open: else a pipe of ours would get such a number."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return
