"""Addresses and ports of a transport header: ``a.1 > b.2: ``."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_ipv4, put_ipv6, put_port
from analyzer.render.tcpdump.page import IP, VERSION, Page, need, octet
from analyzer.render.tcpdump.text import put, put_character


@kernel
def put_source(page: Page) -> None:
    """Source address of the IP header."""
    ip = wide(page.state[IP])
    if wide(page.state[VERSION]) == 4:
        put_ipv4(page, ip + 12)
    else:
        put_ipv6(page, ip + 8)


@kernel
def put_destination(page: Page) -> None:
    """Destination address of the IP header."""
    ip = wide(page.state[IP])
    if wide(page.state[VERSION]) == 4:
        put_ipv4(page, ip + 16)
    else:
        put_ipv6(page, ip + 24)


@kernel
def put_addresses(page: Page) -> None:
    """Both addresses of the IP header."""
    need(page, wide(page.state[IP]), 20 if wide(page.state[VERSION]) == 4 else 40)
    put_source(page)
    put(page, b" > ")
    put_destination(page)


@kernel
def put_endpoints(page: Page, protocol: int, ports: int, source_port: int, destination_port: int) -> None:
    """Both endpoints; the ports alone where the IP header does not name the protocol itself."""
    ip = wide(page.state[IP])
    version = wide(page.state[VERSION])
    named = octet(page, ip + 9 if version == 4 else ip + 6) == protocol
    if named:
        put_source(page)
        put_character(page, 46)
    put_port(page, ports, source_port)
    put(page, b" > ")
    if named:
        put_destination(page)
        put_character(page, 46)
    put_port(page, ports, destination_port)
    put(page, b": ")
