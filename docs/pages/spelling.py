"""How codes are spelled in pages."""

from __future__ import annotations

from enum import IntEnum


def spelled(code: IntEnum) -> str:
    """``FIN_WAIT_1`` as the RFC spells it."""
    return code.name.replace("_", "-")
