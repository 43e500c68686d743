"""``UUID`` without loading its module, which loads a lot: who has one has loaded it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from uuid import UUID


def is_uuid(value: object) -> TypeGuard[UUID]:
    """Whether a value is a ``uuid.UUID``."""
    module = sys.modules.get("uuid")
    return module is not None and isinstance(value, module.UUID)


def is_uuid_type(kind: object) -> bool:
    """Whether a class is ``uuid.UUID`` itself."""
    module = sys.modules.get("uuid")
    return module is not None and kind is module.UUID
