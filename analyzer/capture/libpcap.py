"""The system's libpcap through ctypes: its filter compiler, for where cypcap has no wheel."""

from __future__ import annotations

import ctypes
import ctypes.util

from analyzer.errors import FilterError
from analyzer.language import _

_ERRBUF_LEN = 256


class _Instruction(ctypes.Structure):
    """``struct bpf_insn``."""

    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _Instructions(ctypes.Structure):
    """``struct bpf_program``."""

    _fields_ = (("length", ctypes.c_uint), ("first", ctypes.POINTER(_Instruction)))


def compile_by_system(
    expression: str, path: str, dlt: int, snaplen: int, netmask: int
) -> list[tuple[int, int, int, int]]:
    """Compile for the capture at ``path``, or, where it is empty, for live packets of a DLT_ value.

    Raises ``ValueError`` with libpcap's message, and ``FilterError`` where there is no libpcap.
    """
    libpcap = _load()
    message = ctypes.create_string_buffer(_ERRBUF_LEN)
    if path:
        handle = ctypes.c_void_p(libpcap.pcap_open_offline(path.encode(), message))
    else:
        handle = ctypes.c_void_p(libpcap.pcap_open_dead(dlt, snaplen))
    if not handle:
        raise ValueError(message.value.decode("utf-8", "replace"))
    compiled = _Instructions()
    try:
        if libpcap.pcap_compile(handle, ctypes.byref(compiled), expression.encode(), 1, netmask) != 0:
            raise ValueError(libpcap.pcap_geterr(handle).decode("utf-8", "replace"))
        rows = [compiled.first[i] for i in range(compiled.length)]
        instructions = [(row.code, row.jt, row.jf, row.k) for row in rows]
        libpcap.pcap_freecode(ctypes.byref(compiled))
        return instructions
    finally:
        libpcap.pcap_close(handle)


def _load() -> ctypes.CDLL:
    name = ctypes.util.find_library("pcap")
    try:
        libpcap = ctypes.CDLL(name) if name else None
    except OSError:
        libpcap = None
    if libpcap is None:
        raise FilterError(
            _(
                "filters need libpcap's compiler: pip install cypcap, or install the system's libpcap "
                "(apt install libpcap0.8, dnf install libpcap, brew install libpcap)"
            )
        )
    libpcap.pcap_open_dead.restype = libpcap.pcap_open_offline.restype = ctypes.c_void_p
    libpcap.pcap_geterr.restype = ctypes.c_char_p
    return libpcap
