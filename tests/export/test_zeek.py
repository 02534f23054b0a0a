"""Zeek's conn.log, read back by a strict reader of the format's documentation and by parsezeeklogs."""

from __future__ import annotations

import io
import ipaddress
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from analyzer.cli.export import command
from analyzer.export.text_writer import text_writer
from analyzer.export.zeek import FIELDS, uids
from analyzer.tables import CONNECTION, ENDPOINT, KNOWS_SND, SENT_FIN, Protocol
from tests.export.rows import connection_rows

MADE = sorted((Path(__file__).parents[2] / "captures" / "made").glob("*.pcap*"))
EACH = pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)

READ_AS = {
    "time": lambda text: float(re.fullmatch(r"\d+\.\d{6}", text)[0]),
    "interval": lambda text: float(re.fullmatch(r"\d+\.\d{6}", text)[0]),
    "string": str,
    "enum": lambda text: re.fullmatch(r"tcp|udp", text)[0],
    "addr": lambda text: str(ipaddress.ip_address(text)),
    "port": lambda text: range(65536)[int(text)],
    "count": lambda text: int(re.fullmatch(r"\d+", text)[0]),
    "bool": {"T": True, "F": False}.__getitem__,
    "set[string]": lambda text: [] if text == "(empty)" else text.split(","),
}
"""The types of Zeek's documentation (Log Formats and Inspection)."""


def read_log(text: str) -> list[dict[str, Any]]:
    """The lines of a log as Zeek's JSON has them; fails for what is not the format."""
    lines = text.split("\n")
    assert lines.pop() == ""
    assert lines[:5] == [
        "#separator \\x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        "#unset_field\t-",
        "#path\tconn",
    ]
    assert re.fullmatch(r"#open\t\d{4}(-\d\d){5}", lines[5])
    assert re.fullmatch(r"#close\t\d{4}(-\d\d){5}", lines.pop())
    names, types = (line.split("\t") for line in lines[6:8])
    assert (names.pop(0), types.pop(0)) == ("#fields", "#types")
    records = []
    for line in lines[8:]:
        assert not line.startswith("#")
        columns = zip(names, types, line.split("\t"), strict=True)
        records.append({name: READ_AS[kind](text) for name, kind, text in columns if text != "-"})
    return records


def exported(path: Path, *arguments: str) -> str:
    result = CliRunner().invoke(command, [str(path), *arguments])
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


@EACH
def test_both_forms_say_the_same(path: Path) -> None:
    assert read_log(exported(path, "--format", "zeek")) == [
        json.loads(line) for line in exported(path, "--format", "zeek-json").splitlines()
    ]


@EACH
def test_as_parsezeeklogs_reads_it(path: Path, tmp_path: Path) -> None:
    parser = pytest.importorskip("parsezeeklogs", reason="needs parsezeeklogs")
    exported(path, "-o", str(tmp_path / "conn.log"))
    with parser.ParseZeekLogs(str(tmp_path / "conn.log"), output_format="json") as log:
        read = [json.loads(line) for line in log if line]
    assert read == [json.loads(line) for line in exported(path, "--format", "zeek-json").splitlines()]


@EACH
def test_what_the_records_say(path: Path) -> None:
    """The log has the records' connections, in their order, and says of them what they say."""
    records = [json.loads(line) for line in exported(path).splitlines()]
    log = read_log(exported(path, "--format", "zeek"))
    for record, line in zip(records, log, strict=True):
        assert (line["proto"], line["ip_proto"]) == (record["protocol"], {"tcp": 6, "udp": 17}[record["protocol"]])
        assert (line["id.orig_h"], line["id.orig_p"]) == tuple(record["client"].values())
        assert (line["id.resp_h"], line["id.resp_p"]) == tuple(record["server"].values())
        assert (line["orig_pkts"], line["resp_pkts"]) == (
            record["client_sent"]["packets"], record["server_sent"]["packets"],
        )  # fmt: skip
        assert line["ts"] == record["first_ns"] // 1000 / 1e6
        assert ("duration" in line) == ("orig_bytes" in line) == ("resp_bytes" in line)
        assert line.get("duration", 0) <= (record["last_ns"] // 1000 - record["first_ns"] // 1000) / 1e6
        if record["protocol"] == "tcp":
            assert (line["conn_state"], line["history"]) == (record["verdict"], record["history"])
        if "orig_bytes" in line and not record["client_sent"]["resets"] and not line["missed_bytes"]:
            assert line["orig_bytes"] == record["client_sent"]["unique_bytes"]
            assert line["resp_bytes"] == record["server_sent"]["unique_bytes"]
    assert len({line["uid"] for line in log}) == len(log)


def line_of(path: str, *arguments: str) -> dict[str, Any]:
    [line] = read_log(exported(Path(__file__).parents[2] / "captures" / "made" / path, "--format", "zeek", *arguments))
    return line


def test_the_last_ack_is_not_in_the_duration() -> None:
    """What was between the SYN and the second FIN (packet 9 of 10): Zeek says 0.006734 too."""
    assert line_of("loopback-echo-1235.pcap")["duration"] == 0.006734


def test_udp() -> None:
    line = line_of("echo-udp-23333.pcap")
    assert (line["conn_state"], line["history"], line["orig_bytes"], line["resp_bytes"]) == ("SF", "Dd", 13, 64)
    unanswered = line_of("echo-udp-23333.pcap", "src", "host", "192.168.1.73")
    assert (unanswered["conn_state"], unanswered["history"], unanswered["resp_pkts"]) == ("S0", "D", 0)
    assert "duration" not in unanswered
    answer = line_of("echo-udp-23333.pcap", "src", "host", "192.168.1.10")
    assert (answer["conn_state"], answer["history"], answer["orig_pkts"]) == ("SHR", "^d", 0)
    turned = line_of("echo-udp-23333.pcap", "port", "48994")
    assert (turned["conn_state"], turned["history"], turned["id.resp_p"]) == ("SF", "^dD", 48994)


def test_uids_stay_the_same() -> None:
    """Whatever else is in the capture, and whatever the filter: they go by the connection alone."""
    connections, _ = connection_rows(11, 200)
    octets = uids(connections).octets.tobytes().decode()
    names = [octets[k : k + 18] for k in range(0, len(octets), 18)]
    assert all(re.fullmatch(r"C[0-9A-Za-z]{17}", name) for name in names)
    assert len(set(names)) == 200
    assert uids(connections[7:9]).octets.tobytes().decode() == "".join(names[7:9])
    connections["number"] += 5
    connections["last_ns"] += 1
    assert uids(connections).octets.tobytes().decode() == octets
    assert line_of("loopback-echo-1235.pcap")["uid"] == "CWdtdfUuxP6FREpYiM"


@pytest.mark.parametrize(
    ("iss", "snd_nxt", "snd_una", "captured", "sent_fin", "expected"),
    [
        (100, 106, 106, 5, False, 5),
        (100, 107, 107, 5, True, 5),
        (100, 101, 501, 0, False, 400),  # the peer acknowledged what was not captured
        (2**32 - 3, 7, 7, 9, False, 9),
        (100, 106, 106, 2**32 + 5, False, 2**32 + 5),
        (100, 106, 106, 2**33 + 5, False, 2**33 + 5),
        (100, 106, 106, 2, False, 5),
        (100, 100, 100, 0, False, 0),
    ],
)
def test_sizes_go_by_sequence_numbers(
    iss: int, snd_nxt: int, snd_una: int, captured: int, sent_fin: bool, expected: int
) -> None:
    connections, endpoints = np.zeros(1, CONNECTION), np.zeros((1, 2), ENDPOINT)
    connections["protocol"], connections["ip_version"], connections["last_ns"] = Protocol.TCP, 4, 5000
    end = endpoints[0, 0]
    end["packets"], end["known"] = 3, KNOWS_SND | (SENT_FIN if sent_fin else 0)
    end["iss"], end["snd_nxt"], end["snd_una"], end["unique_bytes"] = iss, snd_nxt, snd_una, captured
    out = io.BytesIO()
    text_writer("zeek-json", "connections", out).connections(connections, endpoints, 1)
    line = json.loads(out.getvalue())
    assert (line["orig_bytes"], line["resp_bytes"]) == (expected, 0)


def test_no_connections() -> None:
    text = exported(MADE[0], "--format", "zeek", "port", "9")
    assert read_log(text) == []
    assert text.count("\n") == 9
    assert exported(MADE[0], "--format", "zeek-json", "port", "9") == ""


def test_the_fields() -> None:
    """In the order of Zeek's documentation (base/protocols/conn, Conn::Info)."""
    assert " ".join(field.name for field in FIELDS) == (
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes conn_state "
        "local_orig local_resp missed_bytes history orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes tunnel_parents "
        "ip_proto"
    )
