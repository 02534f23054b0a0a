"""Names of addresses and ports: the machine's, or those of files."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from analyzer.errors import UsageError
from analyzer.language import _, reason

SERVICES = "/etc/services"

Lookup = Callable[[bytes], str | None]
"""Gives the name of an address of 4 or 16 octets, or None."""


class Names:
    """Where names come from.

    Attributes: ``host`` looks up an address; ``tcp`` and ``udp`` are names of ports by number.
    """

    def __init__(self, hosts: str | os.PathLike[str] | None = None, services: str | os.PathLike[str] | None = None):
        """The machine's names, or those of files like /etc/hosts and /etc/services. May raise UsageError."""
        self.host: Lookup = machine_host if hosts is None else hosts_of(hosts).get
        self.tcp, self.udp = services_of(SERVICES if services is None else services, must_exist=services is not None)


def machine_host(address: bytes) -> str | None:
    """What the machine's resolver calls an address."""
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    with contextlib.suppress(OSError, UnicodeError):
        return socket.gethostbyaddr(socket.inet_ntop(family, address))[0]
    return None


def interfaces() -> dict[int, str]:
    """Names of this machine's interfaces by their index."""
    with contextlib.suppress(OSError):
        return dict(socket.if_nameindex())
    return {}


def hosts_of(path: str | os.PathLike[str]) -> dict[bytes, str]:
    """The first name of every address in a file like /etc/hosts."""
    names: dict[bytes, str] = {}
    for fields in fields_of(path, must_exist=True):
        with contextlib.suppress(ValueError, IndexError):
            names.setdefault(ipaddress.ip_address(fields[0].partition("%")[0]).packed, fields[1])
    return names


def services_of(path: str | os.PathLike[str], *, must_exist: bool) -> tuple[dict[int, str], dict[int, str]]:
    """The first name of every TCP port and every UDP port in a file like /etc/services."""
    tcp: dict[int, str] = {}
    udp: dict[int, str] = {}
    for fields in fields_of(path, must_exist=must_exist):
        with contextlib.suppress(ValueError, IndexError):
            port, _slash, protocol = fields[1].partition("/")
            if protocol == "tcp":
                tcp.setdefault(int(port), fields[0])
            elif protocol == "udp":
                udp.setdefault(int(port), fields[0])
    return tcp, udp


def fields_of(path: str | os.PathLike[str], *, must_exist: bool) -> Iterator[list[str]]:
    """The words of every line, without comments."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        if must_exist:
            told = _("cannot read {path}: {reason}").format(path=os.fspath(path), reason=reason(error))
            raise UsageError(told) from error
        return
    for line in text.splitlines():
        fields = line.partition("#")[0].split()
        if fields:
            yield fields
