"""Packets as they arrive, from an interface or from all of them (Linux): scapy's sockets, with a ring put on them.

An interface with Ethernet frames, loopback among them, or with bare IP packets is listened to through scapy's
``L2ListenSocket``; it is bound to no protocol at first, so that no packet comes before ring and filter are in place.
``any``, and interfaces of other kinds, take a cooked socket, which scapy has none of: see ring.py.
"""

from __future__ import annotations

import ctypes
import logging
import math
import os
import platform
import select
import shlex
import shutil
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from analyzer.capture import ring
from analyzer.capture.ahead import CompiledAhead
from analyzer.capture.filter import Filter, Program, compile_filter
from analyzer.capture.interface import MAXIMUM_SNAPLEN, Interface
from analyzer.capture.ring import COOKED, NOTHING_OFF, RETIRE_MS, SLL2_HEADER_LEN, SOL_PACKET, VLAN_OFF, Ring, open_ring
from analyzer.capture.saving import CaptureWriter
from analyzer.capture.socket_filter import NOTHING, ONCE, asks_linux, attach, everything, socket_program
from analyzer.errors import CaptureFormatError, CaptureOpenError, FilterError
from analyzer.language import _, reason
from analyzer.tables import Frames

ANY = "any"
"""The name that stands for all interfaces together."""

_ETHERNET, _RAW, _LINUX_SLL2 = 1, 101, 276
_LINKTYPES = {1: _ETHERNET, 772: _ETHERNET, 519: _RAW, 0xFFFE: _RAW}
"""LINKTYPE_ value by ARPHRD_ value; all others are listened to cooked."""
_TAKEN_OFF = {_ETHERNET: VLAN_OFF, _RAW: NOTHING_OFF, _LINUX_SLL2: COOKED}

_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8
_ETH_P_ALL = 3
_PACKET_STATISTICS, _PACKET_IGNORE_OUTGOING, _SO_TIMESTAMPNS = 6, 23, 35

_BATCH_PACKETS = 16_384
_INTERPRETED_BATCH_PACKETS = 256
"""Fewer, for they take longer: whoever looks on wants to see something."""

_ASIDE_BYTES = 512 << 20
"""Most memory for packets that wait for compiled code beside the ring."""

_USUAL_BUFFER, _MEMORY_SHARE = 256 << 20, 16
"""Room for packets that wait: so many octets, or this part of the machine's memory."""

_DRAIN_S = 1.0
"""Longest wait for packets that Linux counted and has not handed over when a capture ends."""


class LinkInterface(NamedTuple):
    """An interface of this machine, or ``any``."""

    name: str
    addresses: tuple[str, ...]
    is_up: bool
    is_loopback: bool
    linktype: int
    """LINKTYPE_ value that a capture on it has."""
    may_listen: bool
    """Whether this process may capture, and the interface is up."""


class LiveCapture:
    """An interface being listened to, with the attributes of ``source.Capture`` and those of a live one.

    Attributes: ``path`` the interface's name; ``packets`` given out so far, ``taken`` those and what Linux
    could not filter; ``received`` packets that passed Linux's
    filter and ``dropped`` those of them that found no room in the ring, by Linux's count; ``ended`` why the interface
    ended the capture, empty while it goes on and after ``stop``; ``hears_loopback`` whether it has loopback's packets.

    ``buffer_bytes`` is the room for packets that wait; 0 chooses what loses none of a burst of 200 MB, and less where
    memory is short. ``rehearsal`` names the module whose ``rehearse()`` calls all kernels that the packets will go
    through (ahead.py); None where capturing is not all that this process does.

    Raises ``CaptureOpenError`` with what to do, and ``FilterError``.
    """

    format = "live"
    compression = ""
    size = None
    position = 0

    def __init__(
        self,
        interface: str,
        filter_expression: str = "",
        *,
        snaplen: int = MAXIMUM_SNAPLEN,
        buffer_bytes: int = 0,
        rehearsal: str | None = __name__,
    ) -> None:
        self.path = interface
        self.packets = 0
        self.taken = 0
        self.received = 0
        self.dropped = 0
        self._counting = threading.Lock()
        self.damage: CaptureFormatError | None = None
        self.ended = ""
        self._snaplen = min(max(snaplen, 1), MAXIMUM_SNAPLEN)
        found = _find(interface)
        self.linktype = found.linktype
        self.hears_loopback = found.is_loopback or found.name == ANY
        self.interfaces = [Interface(self.linktype, self._snaplen, interface, "", True)]
        expression = filter_expression.strip()
        self._socket, self._scapy = _open(found, expression)
        try:
            self._ahead = CompiledAhead(rehearsal)
            self._ring = self._listen(found, buffer_bytes)
            self._filter = self._attach(expression)
            _let_in(self._socket, interface)
        except OSError as error:
            self._close_socket()
            raise _refused(interface, error) from None
        except BaseException:
            self._close_socket()
            raise
        self._stopping = self._over = False
        self._drained_by = math.inf
        self._waking, self._waked = socket.socketpair()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._poll.register(self._waked, select.POLLIN)

    def _listen(self, found: LinkInterface, buffer_bytes: int) -> Ring:
        if found.is_loopback:
            with suppress(OSError):  # Linux before 4.20 does not know it
                self._socket.setsockopt(SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        return open_ring(self._socket, buffer_bytes or _usual_buffer(), self._snaplen, _TAKEN_OFF[self.linktype])

    def _attach(self, expression: str) -> Filter:
        """Have Linux filter; gives what is left to be done here."""
        taken_off = _TAKEN_OFF[self.linktype]
        octets = max(1, self._snaplen - (SLL2_HEADER_LEN if taken_off == COOKED else 0))
        program = compile_filter(expression, self.linktype) if expression else Program(everything(1))
        wanted = socket_program(program, taken_off, octets)
        if wanted and attach(self._socket, ONCE + wanted):
            return Filter("", [], "")
        if asks_linux(program):
            why = _(
                "the direction and the index of the interface cannot be asked for together with what else is in it "
                "(VLAN tags, or headers followed in a loop)"
            )
            raise FilterError(_("filter “{filter}”: {reason}").format(filter=expression, reason=why))
        attach(self._socket, ONCE + everything(MAXIMUM_SNAPLEN))
        return Filter(expression, [self.linktype], "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Listen no longer. Packets that were not taken are lost."""
        if self._socket.fileno() < 0:
            return
        self._stopping = self._over = True
        self._count()
        self._ahead.close()
        self._close_socket()
        self._waking.close()
        self._waked.close()
        del self._ring  # its memory is given back as soon as nobody holds frames

    def _close_socket(self) -> None:
        with suppress(OSError):
            attach(self._socket, NOTHING)  # the ring lives on while somebody holds frames
        if self._scapy is not None:
            self._scapy.close()
        self._socket.close()

    def stop(self) -> None:
        """End the capture: what was captured up to now is still given out. From any thread, or a signal handler."""
        self._stopping = True
        with suppress(OSError):
            self._waking.send(b"\0", socket.MSG_DONTWAIT)

    def __iter__(self) -> Iterator[Frames]:
        while not self._over:
            frames = self.poll(1.0)
            if frames is not None:
                yield frames

    def poll(self, timeout_s: float) -> Frames | None:
        """The packets that are there, waiting at most so long for the first of them; None when none came.

        They are valid until the next call. After ``stop``, None says that there are no more.
        """
        deadline = time.monotonic() + timeout_s
        while not self._over:
            frames = self._take()
            if frames is not None and len(frames.number):
                return frames
            remaining = deadline - time.monotonic()
            if self._stopping or self.ended:
                self._over = frames is None and self._is_drained()
                remaining = RETIRE_MS / 1000
            if remaining <= 0:
                break
            if frames is None and not self._over:
                self._wait(remaining)
        return None

    def _take(self) -> Frames | None:
        """Packets that pass the filter, perhaps none of those that were there; None when none were there."""
        self._ring.release()
        most = _BATCH_PACKETS if self._ahead.is_ready else _INTERPRETED_BATCH_PACKETS
        if not self._ahead.is_ready:
            self._ring.set_aside(_ASIDE_BYTES)
        frames = self._ring.take(most, self.linktype)
        self._count()
        self._ahead.tick(len(frames.number) if frames is not None else 0)
        if frames is None:
            return None
        if len(frames.number):
            frames = self._filter.apply(frames)
        count = len(frames.number)
        np.minimum(frames.caplen, self._snaplen, out=frames.caplen)
        numbered = frames._replace(number=np.arange(self.packets + 1, self.packets + count + 1))
        self.packets += count
        self.taken = self._ring.taken
        return numbered

    def _wait(self, timeout_s: float) -> None:
        """Wait for a block of packets, for ``stop``, or for the interface to vanish."""
        for descriptor, events in self._poll.poll(math.ceil(timeout_s * 1000)):
            if descriptor == self._waked.fileno():
                self._poll.unregister(self._waked)
            elif events & select.POLLERR:
                self.ended = self._reason(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _reason(self, number: int) -> str:
        if self.path not in {name for _index, name in socket.if_nameindex()}:
            return _("the interface is gone")
        return _("the interface went down") if number == 100 else _(os.strerror(number))

    def _is_drained(self) -> bool:
        """Whether Linux lets nothing more in, and handed over all that it counted."""
        if self._drained_by == math.inf:
            attach(self._socket, NOTHING)
            self._drained_by = time.monotonic() + _DRAIN_S
        self._count()
        return self._ring.taken >= self.received - self.dropped or time.monotonic() > self._drained_by

    def to_be_taken(self) -> int:
        """What ``taken`` will be when all is taken that Linux captured before this was called. From any thread."""
        self._count()
        return self.received - self.dropped

    def _count(self) -> None:
        """Add what Linux counted since it was asked before."""
        with self._counting:
            packets, drops, _freezes = struct.unpack("3I", self._socket.getsockopt(SOL_PACKET, _PACKET_STATISTICS, 12))
            self.received += packets
            self.dropped += drops


def interfaces() -> list[LinkInterface]:
    """Where packets can be captured: ``any`` and this machine's interfaces. Raises ``CaptureOpenError`` off Linux."""
    allowed = is_allowed()
    found = [LinkInterface(ANY, (), True, False, _LINUX_SLL2, allowed)]
    for one in _scapy_interfaces():
        flags = int(one.flags)
        addresses = tuple(str(address) for version in (4, 6) for address in one.ips.get(version, ()))
        is_up, is_loopback = bool(flags & _IFF_UP), bool(flags & _IFF_LOOPBACK)
        linktype = _LINKTYPES.get(int(one.type), _LINUX_SLL2)
        found.append(LinkInterface(str(one.name), addresses, is_up, is_loopback, linktype, allowed and is_up))
    return found


def lacking(interface: str = "IFACE", filter_expression: str = "") -> str:
    """What this process lacks to capture, and what to do; empty when it lacks nothing."""
    return "" if is_allowed() else _advice(interface, filter_expression)


def is_allowed() -> bool:
    """Whether this process may capture. Raises ``CaptureOpenError`` off Linux."""
    _check_platform()
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except PermissionError:
        return False
    return True


def allowing() -> str:
    """The command that lets this Python capture, whoever runs it."""
    return f"sudo setcap cap_net_raw,cap_net_admin=eip {shlex.quote(os.path.realpath(sys.executable))}"


def rehearse() -> Frames:
    """Call every kernel of a live capture and of saving one, as ``ahead`` wants it; gives a frame for other kernels."""
    frames = ring.rehearse()
    CaptureWriter(os.devnull, _ETHERNET).write(frames)
    Filter("tcp", [int(frames.linktype[0])], "").apply(frames)
    return frames


def _check_platform() -> None:
    if platform.system() != "Linux":
        told = _("live capture needs Linux; here let tcpdump capture: {command}")
        raise CaptureOpenError(told.format(command=_through_tcpdump("IFACE", "")))


def _advice(interface: str, filter_expression: str) -> str:
    program = shutil.which(sys.argv[0]) if os.path.basename(sys.argv[0]) == "tcpflow-view" else None
    command = [os.path.abspath(program)] if program else [sys.executable, "-m", "analyzer"]
    again = shlex.join([*command, "live", "-i", interface, *filter_expression.split()])
    return _(
        "no permission to capture. Run it as root: {again} — or allow this Python to capture, once and for all: "
        "{allowing} — or let tcpdump capture: {piped}"
    ).format(again=f"sudo {again}", allowing=allowing(), piped=_through_tcpdump(interface, filter_expression))


def _through_tcpdump(interface: str, filter_expression: str) -> str:
    words = shlex.join(["tcpdump", "-U", "-w", "-", "-i", interface, *filter_expression.split()])
    return f"sudo {words} | tcpflow-view read -"


def _find(name: str) -> LinkInterface:
    known = interfaces()
    for one in known:
        if one.name == name:
            if not one.is_up:
                told = _("{name}: the interface is down; {command}")
                raise CaptureOpenError(told.format(name=name, command=f"sudo ip link set {shlex.quote(name)} up"))
            return one
    told = _("{name}: no such interface; there are {interfaces}")
    raise CaptureOpenError(told.format(name=name, interfaces=", ".join(one.name for one in known)))


def _open(interface: LinkInterface, expression: str) -> tuple[socket.socket, Any]:
    """A packet socket that lets nothing in yet, and scapy's socket that it belongs to, if any."""
    try:
        if interface.linktype == _LINUX_SLL2:
            cooked = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            cooked.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            return cooked, None
        _quieten_scapy()
        from scapy.arch.linux import L2ListenSocket

        scapy: Any = L2ListenSocket(iface=interface.name, type=0, promisc=not interface.is_loopback)
        return scapy.ins, scapy
    except PermissionError:
        raise CaptureOpenError(f"{interface.name}: {_advice(interface.name, expression)}") from None
    except OSError as error:
        raise _refused(interface.name, error) from None


def _refused(name: str, error: OSError) -> CaptureOpenError:
    return CaptureOpenError(_("{name}: cannot be listened to: {reason}").format(name=name, reason=reason(error)))


def _usual_buffer() -> int:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(_USUAL_BUFFER, memory // _MEMORY_SHARE)


def _let_in(sock: socket.socket, interface: str) -> None:
    """Bind a packet socket to an interface and to every protocol."""
    if interface != ANY:
        sock.bind((interface, _ETH_P_ALL))
        return
    address = struct.pack("HHi12x", socket.AF_PACKET, socket.htons(_ETH_P_ALL), 0)  # index 0, which has no name
    if ctypes.CDLL(None, use_errno=True).bind(sock.fileno(), address, len(address)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _scapy_interfaces() -> list[Any]:
    """scapy's list of interfaces, as they are now."""
    _quieten_scapy()
    import scapy.arch.linux  # registers what knows the interfaces
    from scapy.config import conf

    assert scapy.arch.linux
    conf.ifaces.reload()
    return sorted(conf.ifaces.values(), key=lambda one: int(one.index))


def _quieten_scapy() -> None:
    """scapy's warnings, about routes and link types that it cannot guess, say nothing to the user."""
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
