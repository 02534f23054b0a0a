"""Who is said to be a server: the ends named by --server, and the ports that a filter asks for."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from analyzer.api.servers import servers_named
from analyzer.cli.export import command
from analyzer.errors import UsageError
from analyzer.tables import Evidence, Rows

ECHO = Path(__file__).parents[2] / "captures" / "made" / "loopback-echo-1235.pcap"


def told(row: Rows) -> tuple[str, int]:
    """Network and port."""
    words = [int.from_bytes(row[name].astype(">u4").tobytes()) for name in ("address", "mask")]
    version = int(row["ip_version"])
    address = ipaddress.IPv4Address(words[0]) if version == 4 else ipaddress.IPv6Address(words[0])
    return f"{address}/{words[1].bit_count()}" if version else "", int(row["port"])


@pytest.mark.parametrize(
    ("end", "known"),
    [
        ("1235", ("", 1235)),
        (":80", ("", 80)),
        ("10.0.0.1", ("10.0.0.1/32", 0)),
        ("10.9.8.7/8", ("10.0.0.0/8", 0)),
        ("10.0.0.1:80", ("10.0.0.1/32", 80)),
        ("2001:db8::1", ("2001:db8::1/128", 0)),
        ("[2001:db8::1]", ("2001:db8::1/128", 0)),
        ("[2001:db8::/32]:443", ("2001:db8::/32", 443)),
    ],
)
def test_an_end(end: str, known: tuple[str, int]) -> None:
    (row,) = servers_named((end,), "")
    assert told(row) == known
    assert row["evidence"] == Evidence.NAMED


@pytest.mark.parametrize("end", ["", "x", "10.0.0", "0", "65536", "10.0.0.1:0", "10.0.0.1/33", "1:2:3", "[::1", ":"])
def test_no_end(end: str) -> None:
    with pytest.raises(UsageError, match="” is no server: give an address, a port, or both: "):
        servers_named((end,), "")


@pytest.mark.parametrize(
    ("expression", "ports"),
    [
        ("", []),
        ("port 1235", [1235]),
        ("tcp port 1235 and host 10.0.0.1", [1235]),
        ("tcp and not port 22", []),
        ("!port 22 and (dst port 80 or tcp src port 443)", [80, 443]),
        ("port http", [80]),
        ("port nonsense", []),
        ("portrange 1-9", []),
    ],
)
def test_ports_of_a_filter(expression: str, ports: list[int]) -> None:
    rows = servers_named((), expression)
    assert rows["port"].tolist() == ports
    assert (rows["evidence"] == Evidence.FILTER).all()
    assert not rows.flags.writeable


@pytest.mark.parametrize(
    ("arguments", "port", "evidence"),
    [
        ([], 48994, "ephemeral_port"),
        (["--server", "48994"], 1235, "named"),
        (["port", "48994"], 1235, "filter"),
        (["--server", "127.0.0.1:1235", "port", "48994"], 48994, "named"),
    ],
)
def test_an_export_without_the_handshake(arguments: list[str], port: int, evidence: str, tmp_path: Path) -> None:
    octets = ECHO.read_bytes()
    at = 24
    for _ in range(3):
        at += 16 + int.from_bytes(octets[at + 8 : at + 12], "little")
    capture = tmp_path / "middle.pcap"
    capture.write_bytes(octets[:24] + octets[at:])
    done = CliRunner().invoke(command, [str(capture), *arguments])
    record = json.loads(done.stdout)
    assert (record["client"]["port"], record["client_evidence"]) == (port, evidence)
    sent = {"client_sent": 5, "server_sent": 2} if port == 48994 else {"client_sent": 2, "server_sent": 5}
    assert {name: record[name]["payload_bytes"] for name in sent} == sent
