"""What connect() says when an ICMP error tells that the SYN was not delivered, as Linux has it."""

from __future__ import annotations

from analyzer.tables import Rows, Side
from analyzer.traces import QUOTES_UDP, UNREACHABLE_REASON, Unreachable, packet_at

_ERRNO = {
    Unreachable.NET: "ENETUNREACH", Unreachable.HOST: "EHOSTUNREACH", Unreachable.PROTOCOL: "ENOPROTOOPT",
    Unreachable.PORT: "ECONNREFUSED", Unreachable.PROHIBITED: "EHOSTUNREACH", Unreachable.HOPS: "EHOSTUNREACH",
}  # fmt: skip
"""Of ICMP's reasons; codes of OTHER have several."""

_ERRNO_6 = _ERRNO | {Unreachable.PROHIBITED: "EACCES"}


def connect_error(connection: Rows) -> tuple[int, str] | None:
    """The packet of the ICMP error that quotes the client's SYN, and the errno that it gives connect().

    None where there is none, or where its reason leaves a choice. A socket of Linux takes it at once, whether RFC 1122
    4.2.3.9 calls the error hard or soft (RFC 5461); one that keeps to the RFC goes on after a soft one, and gives
    the same errno in the end.
    """
    unreachable = int(connection["unreachable"])
    if not unreachable or unreachable & QUOTES_UDP or connection["unreachable_side"] != Side.CLIENT:
        return None
    errno = (_ERRNO_6 if connection["ip_version"] == 6 else _ERRNO).get(Unreachable(unreachable & UNREACHABLE_REASON))
    return (packet_at(connection, int(connection["unreachable_packet"])), errno) if errno else None
