"""See the life of every TCP connection in a capture, from Python.

    from analyzer import analyze

    for connection in analyze("capture.pcap", "port 1235").connections:
        print(connection, connection.why)

Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analyzer.api.analysis import Analysis, Connections, analyze
    from analyzer.api.connection import (
        Connection,
        Endpoint,
        Packet,
        PacketEvent,
        Phases,
        PhaseSpan,
        Sent,
        States,
        Visit,
        Visits,
    )
    from analyzer.api.live import Recording, live
    from analyzer.api.packet_columns import PacketColumns
    from analyzer.errors import (
        AnalyzerError,
        CaptureFormatError,
        CaptureOpenError,
        FilterError,
        MissingOctetsError,
        UsageError,
    )

__all__ = [
    "Analysis",
    "AnalyzerError",
    "CaptureFormatError",
    "CaptureOpenError",
    "Connection",
    "Connections",
    "Endpoint",
    "FilterError",
    "MissingOctetsError",
    "Packet",
    "PacketColumns",
    "PacketEvent",
    "PhaseSpan",
    "Phases",
    "Recording",
    "Sent",
    "States",
    "UsageError",
    "Visit",
    "Visits",
    "analyze",
    "live",
]

_HOMES = {
    "analysis": ("Analysis", "Connections", "analyze"),
    "connection": (
        "Connection", "Endpoint", "Packet", "PacketEvent", "PhaseSpan", "Phases", "Sent", "States", "Visit", "Visits",
    ),
    "live": ("Recording", "live"),
    "packet_columns": ("PacketColumns",),
}  # fmt: skip
_MODULES = {name: f"analyzer.api.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "analyzer.errors")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
