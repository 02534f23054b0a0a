"""What can go wrong, for the caller.

    AnalyzerError
    ├── CaptureOpenError      the input cannot be opened: no such file, no permission
    ├── CaptureFormatError    the bytes are not a capture, or stop being one at some offset
    ├── FilterError           libpcap refuses the filter expression, or there is no compiler for it
    ├── MissingOctetsError    what a side said is not all in the capture
    ├── TsharkError           tshark is there, and fails
    └── UsageError            the request makes no sense: an unknown connection number, an unreadable hosts file

Packets never raise: whatever bytes they carry, they have a row with a status.
"""

from __future__ import annotations

from analyzer.language import _


class AnalyzerError(Exception):
    """Base of every error that the analyzer raises on purpose; its text is one line for the user."""


class CaptureOpenError(AnalyzerError):
    """The input cannot be opened; the text says why and what to do."""


class CaptureFormatError(AnalyzerError):
    """The input is not a capture, or is damaged.

    Attributes: ``path`` as the user gave it, ``offset`` of the first octet that could not be used (in the
    uncompressed capture), ``expected`` in words.
    """

    def __init__(self, path: str, offset: int, expected: str) -> None:
        text = _("{path}: {damage} (at byte {offset})")
        super().__init__(text.format(path=path, damage=expected, offset=f"{offset:,}"))
        self.path = path
        self.offset = offset
        self.expected = expected


class FilterError(AnalyzerError):
    """A filter expression that libpcap refuses (the text is libpcap's), or no libpcap to ask."""


class MissingOctetsError(AnalyzerError):
    """Octets that a side sent are not in the capture: packets were not captured, or cut."""


class TsharkError(AnalyzerError):
    """tshark crashed, stopped, or gave what cannot be read; what does not need it goes on."""


class UsageError(AnalyzerError):
    """A request that cannot be met as it was put."""
