"""The drawings of a connection: every packet is there, long ones are folded, and no payload is markup."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from analyzer.explain.calls import inferred
from analyzer.explain.why import Cause, cause_of, why
from analyzer.pipeline import lives, survey
from analyzer.render.ladder import Story
from analyzer.render.segment import segments
from analyzer.render.turns import turns
from analyzer.render.words import ENDINGS
from analyzer.report import diagram as diagrams
from analyzer.report import mermaid as mermaids
from analyzer.report.diagram import STYLE, WIDTH, diagram, embedded
from analyzer.report.languages import merged_markup
from analyzer.report.mermaid import mermaid
from analyzer.report.transactions import phases, transactions
from analyzer.tables import Phase, Side
from tests.report.saying import frames, write

MADE = Path(__file__).parents[2] / "captures" / "made"
SVG = "{http://www.w3.org/2000/svg}"


def story(path: Path | str, number: int = 1, most: int = 20_000) -> Story:
    run = survey(str(path))
    life = lives(str(path), "", [number], most_packets=most)[number]
    connection, endpoints = run.connections[number - 1], run.endpoints[number - 1]
    ending = ENDINGS[Cause(cause_of(connection, *endpoints))]
    calls = inferred(connection, endpoints, life)
    return Story(number, connection, endpoints, life, ending, why(connection, *endpoints), False, calls)


def texts(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("path", sorted(MADE.glob("*.pcap*")), ids=lambda path: path.stem)
def test_every_capture_can_be_drawn(path: Path) -> None:
    told = story(path)
    root = ElementTree.fromstring(merged_markup(lambda: diagram(told)))
    packets = [int(group.attrib["data-packet"]) for group in root.iter(f"{SVG}g") if "data-packet" in group.attrib]
    assert packets == told.life.number.tolist()
    assert all(group.find(f"{SVG}title") is not None for group in root.iter(f"{SVG}g"))
    ys = [float(text.attrib["y"]) for text in root.iter(f"{SVG}text")]
    assert 0 < min(ys) <= max(ys) < float(root.attrib["height"])


def test_the_article_s_connection() -> None:
    said = texts(diagram(story(MADE / "loopback-echo-1235.pcap")))
    assert {"handshake", "data", "teardown", '"clien"', '"hi"', "SYN-SENT", "TIME-WAIT"} <= set(said)
    assert [text for text in said if text.startswith("SYN mss")]
    assert [text for text in said if "request 1" in text]


def test_arrows_fall_by_the_time_on_the_way() -> None:
    """Of a round trip of 40 ms, the answer in the same millisecond does not see its packet arrive."""
    svg = diagram(story(MADE / "fast-retransmission.pcapng"))
    falls = [[float(y) for y in path.split("L")[1].split()[1:]] for path in svg.split('class="arrow')[1:]
             for path in [path.split(' d="')[1].split('"')[0]]]  # fmt: skip
    assert falls
    starts = [float(part.split(' d="M')[1].split("L")[0].split()[1]) for part in svg.split('class="arrow')[1:]]
    slopes = [end[0] - start for start, end in zip(starts, falls, strict=True)]
    assert min(slopes) >= 3
    assert max(slopes) == 15


def test_datagrams_have_no_states() -> None:
    svg = diagram(story(MADE / "echo-udp-23333.pcap"))
    assert "ESTABLISHED" not in svg
    assert any(text.startswith("UDP (") for text in texts(svg))


def test_a_long_connection_is_folded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "long.pcap", frames([(i % 2, b"x" * 20) for i in range(90)]))
    whole = diagram(story(path))
    assert whole.count("data-packet=") == 96
    monkeypatch.setattr(diagrams, "SHOWN_WHOLE", 40)
    svg = diagram(story(path))
    assert svg.count("data-packet=") < 30
    assert any(text.startswith("… ") and "packets" in text for text in texts(svg))


def test_packets_that_were_left_out_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "long.pcap", frames([(i % 2, b"x" * 20) for i in range(90)]))
    told = story(path, most=20)
    assert "… 76 packets" in texts(diagram(told))
    assert "    Note over C,S: … 76 packets" in list(mermaid(told))
    assert any(text.startswith("90 packets · ") and "→ 900 B · ← 900 B" in text for text in texts(diagram(told)))
    monkeypatch.setattr(diagrams, "SHOWN_WHOLE", 10)
    monkeypatch.setattr(mermaids, "SHOWN_WHOLE", 10)
    hidden = [text for text in texts(diagram(told)) if text.startswith("… ")]
    assert hidden == [text for text in hidden if text.startswith("… 80 packets · ")] != []
    assert "    Note over C,S: … 80 packets" in list(mermaid(told))


@pytest.mark.parametrize(
    "payload", [b"</text><script>alert(1)</script>", b"--> ;#end\nC->>S: x", b"\xe2\x80\xae<>&\"'"]
)
def test_payload_is_no_markup(payload: bytes, tmp_path: Path) -> None:
    told = story(write(tmp_path / "a.pcap", frames([(0, payload)])))
    usual = story(write(tmp_path / "b.pcap", frames([(0, b"hello")])))
    tags = [[one.tag for one in ElementTree.fromstring(diagram(each)).iter()] for each in (told, usual)]
    assert tags[0] == tags[1]
    assert len(list(mermaid(told))) == len(list(mermaid(usual)))
    assert not [line for line in mermaid(told) if "<" in line.replace("<br/>", "")]


def test_the_embedded_drawing_has_no_style_of_its_own() -> None:
    svg = diagram(story(MADE / "hi-1234.pcap"))
    assert svg.count(STYLE) == 1
    assert "<style>" not in embedded(svg)
    assert f'viewBox="0 0 {WIDTH} ' in embedded(svg)


def test_transactions() -> None:
    life = story(MADE / "loopback-echo-1235.pcap").life
    found, left_out = transactions(life, 10)
    assert left_out == 0
    assert [one.name for one in found] == ["handshake", "request 1", "response 1", "close"]
    assert [one.packets for one in found] == [3, 2, 1, 4]
    assert [one.side for one in found] == [-1, Side.CLIENT, Side.SERVER, -1]
    assert [one.client_bytes + one.server_bytes for one in found] == [0, 5, 2, 0]
    assert found[0].interval_ns == -1
    assert found[0].duration_ns == 43_000
    assert found[-1].phase == Phase.TEARDOWN
    assert sum(one.packets for one in found) == len(life.number)


def test_transactions_count_what_was_sent_again() -> None:
    found, _left_out = transactions(story(MADE / "fast-retransmission.pcapng").life, 10)
    assert sum(one.retransmissions for one in found) == 1


@pytest.mark.parametrize("path", sorted(MADE.glob("*.pcap*")), ids=lambda path: path.stem)
def test_transactions_are_the_turns(path: Path) -> None:
    told = story(path)
    known = turns(segments(told.life))
    found, _left_out = transactions(told.life, 1000)
    named = [one for one in found if one.side >= 0]
    assert [one.name for one in named] == [turn.name for turn in known]
    assert [one.side for one in named] == [turn.side for turn in known]
    assert sum(one.packets for one in found) == len(told.life.number)
    assert [one.first for one in found] == sorted({one.first for one in found})


def test_of_many_transactions_the_middle_is_left_out(tmp_path: Path) -> None:
    told = story(write(tmp_path / "long.pcap", frames([(i % 2, b"x" * 20) for i in range(90)])))
    found, left_out = transactions(told.life, 10)
    assert left_out == 92 - 10
    assert [one.name for one in found[:3]] == ["handshake", "request 1", "response 1"]
    assert [one.name for one in found[-3:]] == ["request 45", "response 45", "close"]


def test_phases_come_from_all_packets(tmp_path: Path) -> None:
    path = write(tmp_path / "long.pcap", frames([(i % 2, b"x" * 20) for i in range(90)]))
    told = story(path, most=20)
    found = phases(told.connection, told.endpoints, told.life)
    assert [(one["phase"], one["first"], one["packets"], one["bytes"]) for one in found] == [
        ("handshake", 1, 3, 0), ("data", 4, 90, 1800), ("teardown", 94, 3, 0),
    ]  # fmt: skip


def test_mermaid() -> None:
    lines = list(mermaid(story(MADE / "loopback-echo-1235.pcap")))
    assert lines[0] == "sequenceDiagram"
    assert "    participant C as client 127.0.0.1:48994" in lines
    assert "    C->>S: 1 SYN mss 65495 ws 7" in lines
    assert "    Note right of S: FIN-WAIT-1" in lines
    assert sum(line.startswith("    rect ") for line in lines) == sum(line == "    end" for line in lines) == 3
    assert any("S-xC" in line for line in mermaid(story(MADE / "refused.pcap")))
