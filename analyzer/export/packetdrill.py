"""A connection as a script for packetdrill, from the view of one side: its calls, and the packets that it gets and
sends. Reference: the language as packetdrill's parser takes it (https://github.com/google/packetdrill).

    +0.000025 > S. 0:0(0) ack 1 <mss 65495,sackOK,TS val 1 ecr 1,nop,wscale 7>
    +0 accept(3, ..., ...) = 4

``<`` is what packetdrill sends to the socket, with its window; ``>`` what it expects of the kernel. There windows are
left out, as in packetdrill's own tests: they depend on how much memory a socket has. Windows of zero stand there: they
are what a program that does not read shows (pacing.py). Calls are the inferred ones.
Numbers are relative to each side's initial sequence number; times are those between the packets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analyzer.errors import UsageError
from analyzer.explain.calls import Call, Kind
from analyzer.export.pacing import is_shut, paced
from analyzer.export.segments import Segment
from analyzer.language import _
from analyzer.tables import ACK, SYN, Side

_FLAGS = ((0x02, "S"), (0x01, "F"), (0x04, "R"), (0x08, "P"), (0x20, "U"), (0x40, "E"), (0x80, "W"), (0x10, "."))
"""Control bits and packetdrill's letters, in the order of tcpdump."""

_MOST_PAYLOAD = 0xFFFF

_SOCKET = "socket(..., SOCK_STREAM, IPPROTO_TCP) = 3"
_LISTENING = (
    "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0", "bind(3, ..., ...) = 0", "listen(3, 5) = 0",
)  # fmt: skip
_BEFORE_CONNECT = ("fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)", "fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0")
_IN_PROGRESS = "-1 EINPROGRESS (Operation now in progress)"


def script(some: Sequence[Segment], calls: Sequence[Call], side: Side, ip_version: int) -> Iterator[str]:
    """The lines of the script. Raises UsageError where the connection has no form in this language."""
    _check(some)
    yield f"// From a capture, as the {side.name.lower()} saw it. Socket calls are inferred from the packets."
    if ip_version == 6:
        yield "--ip_version=ipv6"
    yield ""
    own, buffer = paced(some, calls, side)
    program = _Program(buffer)
    has_begun = [False, False]
    last_ns, time = some[0].ts_ns, "0"
    for segment in some:
        if segment is not some[0]:
            time = _time(max(segment.ts_ns - last_ns, 0))
        last_ns = max(segment.ts_ns, last_ns)
        has_begun[segment.side] |= segment.flags & SYN > 0
        if not has_begun[segment.side]:  # its number belongs to no connection (RFC 9293 3.5.2)
            segment = segment._replace(seq=0)
        near = [call for call in own if call.packet == segment.number]
        events = [line for call in near if not call.follows for line in program.lines(call)]
        events.append(_packet(segment, side))
        events += [line for call in near if call.follows for line in program.lines(call)]
        for line in events:
            yield f"{time} {line}"
            time = "+0"


def _check(some: Sequence[Segment]) -> None:
    if not some or not some[0].flags & SYN or some[0].flags & ACK:
        raise UsageError(_("its first SYN was not captured, and packetdrill knows no other beginning"))
    for segment in some:
        if segment.payload_len > _MOST_PAYLOAD:
            text = _("packet {number} has {n} bytes of payload; packetdrill takes at most {most}")
            n, most = f"{segment.payload_len:,}", f"{_MOST_PAYLOAD:,}"
            raise UsageError(text.format(number=segment.number, n=n, most=most))


def _time(ns: int) -> str:
    """Seconds after the event before; packetdrill's clock has microseconds."""
    text = f"{ns // 1000 / 1e6:.6f}".rstrip("0").rstrip(".")
    return f"+{text}"


def _packet(segment: Segment, side: Side) -> str:
    is_sent = segment.side == side
    flags = "".join(letter for bit, letter in _FLAGS if segment.flags & bit) or "-"
    words = [">" if is_sent else "<", flags]
    words.append(f"{segment.seq}:{segment.seq + segment.payload_len}({segment.payload_len})")
    if segment.flags & ACK:
        words.append(f"ack {segment.ack}")
    if not is_sent or is_shut(segment):
        words.append(f"win {segment.window}")
    if segment.options is None:
        words += ["<...>"] if is_sent else ["// options that have no form here are left out"]
    elif segment.options:
        words.append(f"<{segment.options}>")
    return " ".join(words)


class _Program:
    """What the side's program does, in packetdrill's words. ``buffer``: octets of its receive buffer; 0 as it is."""

    def __init__(self, buffer: int) -> None:
        self._buffer = (f"setsockopt(3, SOL_SOCKET, SO_RCVBUF, [{buffer}], 4) = 0",) if buffer else ()
        self._fd = 3
        self._is_open = True

    def lines(self, call: Call) -> Sequence[str]:
        """The events of an inferred call."""
        fd = self._fd
        if not self._is_open:
            return ()
        match call.kind:
            case Kind.LISTEN:
                return _SOCKET, *self._buffer, *_LISTENING
            case Kind.CONNECT:
                return _SOCKET, *self._buffer, *_BEFORE_CONNECT, f"connect(3, ..., ...) = {_IN_PROGRESS}"
            case Kind.FAST_OPEN:
                return _SOCKET, f"sendto(3, ..., {call.octets}, MSG_FASTOPEN, ..., ...) = {call.octets}"
            case Kind.CONNECTED:
                return "getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0", "fcntl(3, F_SETFL, O_RDWR) = 0"
            case Kind.REFUSED:
                return ("getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0",)
            case Kind.ACCEPT:
                self._fd = 4
                return ("accept(3, ..., ...) = 4",)
            case Kind.WRITE:
                return (f"write({fd}, ..., {call.octets}) = {call.octets}",)
            case Kind.READ:
                return (f"read({fd}, ..., {call.octets}) = {call.octets}",)
            case Kind.END_OF_FILE:
                return (f"read({fd}, ..., 1) = 0",)
            case Kind.SHUTDOWN:
                return (f"shutdown({fd}, SHUT_WR) = 0",)
            case Kind.CLOSE:
                self._is_open = False
                return (f"close({fd}) = 0",)
            case Kind.ABORT:
                self._is_open = False
                linger = f"setsockopt({fd}, SOL_SOCKET, SO_LINGER, {{onoff=1, linger=0}}, 8) = 0"
                return f"{linger} // a guess: RST came", f"close({fd}) = 0"
            case Kind.RESET:
                return (f"read({fd}, ..., 1) = -1 ECONNRESET (Connection reset by peer)",)
            case Kind.PIPE:
                return (f"write({fd}, ..., 1) = -1 EPIPE (Broken pipe)",)
        return ()
