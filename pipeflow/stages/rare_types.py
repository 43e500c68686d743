"""Types whose modules load a lot, told without loading these: who has one has loaded it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from decimal import Decimal
    from uuid import UUID


def is_uuid(value: object) -> TypeGuard[UUID]:
    """Whether a value is a ``uuid.UUID``."""
    module = sys.modules.get("uuid")
    return module is not None and isinstance(value, module.UUID)


def is_uuid_type(kind: object) -> bool:
    """Whether a class is ``uuid.UUID`` itself."""
    module = sys.modules.get("uuid")
    return module is not None and kind is module.UUID


def is_decimal_type(kind: object) -> TypeGuard[type[Decimal]]:
    """Whether a class is ``decimal.Decimal`` itself."""
    module = sys.modules.get("decimal")
    return module is not None and kind is module.Decimal
