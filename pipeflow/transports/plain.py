"""Plain items as bytes: by ``marshal``, which takes half of what ``pickle`` does.

Plain is what is made of numbers, texts, bytes and ``None``, and of dicts, lists and tuples of such,
all of these very types: to load it runs no code of the user's. Both ends belong to one run, so to
one Python, and ``marshal`` need not be read by another.
"""

from __future__ import annotations

import marshal
import pickle
import sys
from typing import Any, Final

from pipeflow.transports.building import PROTOCOL

#: What a pickle begins with.
PICKLED: Final = 0x80
#: What a list by ``marshal`` begins with, or one that others have too.
MARSHALLED: Final = frozenset({ord("["), ord("[") | 0x80})
#: From 3.13 on ``marshal`` makes every text immortal that it reads and that was interned, as it
#: thinks of code. What is compiled takes that from them (``frames.h``); here a pickle does.
_FORGETS: Final = sys.version_info < (3, 13)


def dump_plain(payloads: list[Any]) -> bytes:
    """A list of plain items as bytes."""
    if _FORGETS:
        try:
            return marshal.dumps(payloads)
        except ValueError:
            pass  # something is longer than its format can say: 2 GiB
    return pickle.dumps(payloads, PROTOCOL)


def load_plain(data: bytes | memoryview) -> list[Any]:
    """The items again, however they were made bytes; what runs no code of the user's."""
    payloads: list[Any] = pickle.loads(data) if data[0] == PICKLED else marshal.loads(data)  # noqa: S302 - of this run
    return payloads
