"""Filters that Linux runs before a packet is copied: which compiled filter it can run rightly, and attaching it.

What a packet socket's filter sees is not always the frame that the capture has:

- a VLAN tag was taken off already;
- on a cooked socket the frame begins with the network layer, and what the header of LINKTYPE_LINUX_SLL2 will say is
  asked for by ancillary loads (linux/filter.h, ``SKF_AD_…``).

A filter is rewritten for that, or, where it cannot be, is left to our own machine (bpf.py) over the finished frames.

A packet on a loopback interface comes to a socket twice, as it leaves and as it arrives: ``ONCE``, put before a filter,
keeps the copy that leaves out.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence

from analyzer.capture.filter import Instruction, Program
from analyzer.capture.ring import COOKED, SLL2_HEADER_LEN, VLAN_OFF

SO_ATTACH_FILTER = 26

_LD, _LDX, _JMP, _RET = 0, 1, 5, 6
_CLASS, _SIZE, _MODE, _OPERATION = 0x07, 0x18, 0xE0, 0xF0
_WORD, _HALF, _BYTE = 0x00, 0x08, 0x10
_ABS, _IND, _LEN, _MSH = 0x20, 0x40, 0x80, 0xA0
_JEQ = 0x10
_A = 0x10

_ANCILLARY = 0xFFFF_F000
_PROTOCOL, _PACKET_TYPE, _IFINDEX, _HARDWARE_TYPE = (_ANCILLARY + offset for offset in (0, 4, 8, 28))
_SLL2 = {(_HALF, 0): _PROTOCOL, (_WORD, 4): _IFINDEX, (_HALF, 8): _HARDWARE_TYPE, (_BYTE, 10): _PACKET_TYPE}
"""Fields of the SLL2 header, by size and offset, as ancillary loads."""

_OUTGOING, _LOOPBACK = 4, 772
"""PACKET_OUTGOING, ARPHRD_LOOPBACK."""

_TAGS = {0x8100, 0x88A8, 0x9100}
"""EtherTypes of VLAN tags."""

NOTHING: tuple[Instruction, ...] = ((_RET, 0, 0, 0),)
"""Lets no packet in."""

ONCE: tuple[Instruction, ...] = (
    (_LD | _WORD | _ABS, 0, 0, _PACKET_TYPE),
    (_JMP | _JEQ, 0, 3, _OUTGOING),
    (_LD | _WORD | _ABS, 0, 0, _HARDWARE_TYPE),
    (_JMP | _JEQ, 0, 1, _LOOPBACK),
    (_RET, 0, 0, 0),
)
"""Lets the leaving copy on loopback not in, and goes on to what stands behind it."""


def everything(octets: int) -> tuple[Instruction, ...]:
    """Lets every packet in, the first ``octets`` of it."""
    return ((_RET, 0, 0, octets),)


def socket_program(program: Program, taken_off: int, octets: int) -> tuple[Instruction, ...] | None:
    """The program as Linux can run it, keeping ``octets`` of what the socket sees of a packet.

    ``taken_off`` is as in ``ring.Ring``. None where only the finished frame can be asked.
    """
    rewritten = []
    for instruction in program.instructions:
        code, jt, jf, k = instruction
        kind = code & _CLASS
        if kind == _RET:
            if code & _SIZE == _A:
                return None
            k = octets if k else 0
        elif kind == _JMP and code & _OPERATION == _JEQ and k in _TAGS and taken_off == VLAN_OFF:
            return None
        elif kind in (_LD, _LDX) and taken_off == COOKED:
            moved = _cooked(code, k)
            if moved is None:
                return None
            k = moved
        rewritten.append((code, jt, jf, k))
    return tuple(rewritten)


def _cooked(code: int, k: int) -> int | None:
    """Where a load from an SLL2 frame finds the same on a cooked socket; None where nowhere."""
    mode = code & _MODE
    if mode == _LEN:
        return None
    if mode not in (_ABS, _IND, _MSH):
        return k
    if SLL2_HEADER_LEN <= k < _ANCILLARY:
        return k - SLL2_HEADER_LEN
    return _SLL2.get((code & _SIZE, k)) if mode == _ABS else None


def asks_linux(program: Program) -> bool:
    """Whether the program asks what only Linux knows of a packet, such as its direction."""
    return any(
        code & _CLASS == _LD and code & _MODE == _ABS and k >= _ANCILLARY for code, _, _, k in program.instructions
    )


def attach(sock: socket.socket, instructions: Sequence[Instruction]) -> bool:
    """Attach a program to a socket, in place of the one before; False where Linux refuses it.

    Linux refuses jumps back, as ``ip6 protochain`` has them, and programs longer than it has room for.
    """
    octets = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    room = ctypes.create_string_buffer(octets)
    try:
        sock.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(instructions), ctypes.addressof(room))
        )
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOMEM):
            return False
        raise
    return True
