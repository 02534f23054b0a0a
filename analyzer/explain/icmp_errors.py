"""What an ICMP error that quotes a packet says, in words."""

from __future__ import annotations

from analyzer.language import _, text
from analyzer.traces import UNREACHABLE_REASON, IcmpError, Unreachable

_REASONS = {
    Unreachable.NET: text("network unreachable"), Unreachable.HOST: text("host unreachable"),
    Unreachable.PROTOCOL: text("protocol unreachable"), Unreachable.PORT: text("port unreachable"),
    Unreachable.PROHIBITED: text("administratively prohibited"), Unreachable.HOPS: text("time to live ran out"),
    Unreachable.OTHER: text("not delivered"),
}  # fmt: skip


def reason_of_error(error: IcmpError) -> str:
    """Why it was not delivered."""
    return _(_REASONS[Unreachable(error.unreachable & UNREACHABLE_REASON)])
