"""Packets that scapy made or read, as a capture."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from analyzer.errors import UsageError
from analyzer.language import _


def capture_of(packets: Iterable[Any]) -> bytes:
    """A pcap capture of scapy's packets (a PacketList, a list, one packet), in their order and with their times.

    Every octet is copied, and scapy builds each packet anew: some thousand packets a second. Raises UsageError for
    what scapy did not make.
    """
    from scapy.utils import RawPcapWriter

    some = list(_each(packets))
    file = io.BytesIO()
    linktypes = {_linktype(packet) for packet in some}
    if len(linktypes) > 1:
        raise UsageError(_("scapy packets: they begin with different layers; give one kind at a time"))
    writer = RawPcapWriter(file, linktype=linktypes.pop() if linktypes else 1, nano=True)
    writer.write_header(None)
    for packet in some:
        octets = bytes(packet)
        seconds, nanoseconds = divmod(int(packet.time * 1_000_000_000), 1_000_000_000)
        writer.write_packet(octets, sec=seconds, usec=nanoseconds, wirelen=max(packet.wirelen or 0, len(octets)))
    return file.getvalue()


def _each(packets: Iterable[Any]) -> Iterator[Any]:
    base = getattr(sys.modules.get("scapy.packet"), "Packet", ())
    for packet in [packets] if isinstance(packets, base) else packets:
        if not isinstance(packet, base):
            told = _("this is no capture: {kind}")
            raise UsageError(told.format(kind=type(packet).__name__))
        yield packet


def _linktype(packet: Any) -> int:
    """LINKTYPE_ value of a packet's outermost layer."""
    from scapy.config import conf

    number = conf.l2types.layer2num.get(type(packet))
    if number is None:
        told = _("scapy packets: {layer} is no layer that a capture can begin with")
        raise UsageError(told.format(layer=type(packet).__name__))
    return int(number)
