"""What a connection comes to: Zeek's conn_state and history, Wireshark's completeness, who closed, what was counted."""

from __future__ import annotations

import pytest

from analyzer.tables import ClosedBy, Rows
from analyzer.tcp.history import is_power_of_ten
from analyzer.tcp.summary import Verdict, verdict
from tests.script import play

SYN = "C > S S 100\n"
SYN_ACK = "S > C SA 300 ack 101\n"
ACK = "C > S A 101 ack 301\n"
OPEN = SYN + SYN_ACK + ACK
REFUSED = SYN + "S > C RA 0 ack 101\n"
REQUEST = "C > S PA 101:106 ack 301\n"
CLIENT_FIN, SERVER_FIN = "C > S FA 101 ack 301\n", "S > C FA 301 ack 102\n"
CLIENT_RST, SERVER_RST = "C > S R 101\n", "S > C RA 301 ack 101\n"


def rows(text: str) -> tuple[Rows, Rows, Rows]:
    """The first connection of a conversation, its client, its server."""
    made = play(text).reconstruction
    return made.connections[0], made.endpoints[0, 0], made.endpoints[0, 1]


def history(text: str) -> str:
    connection, _, _ = rows(text)
    return str(connection["history"].tobytes()[: int(connection["history_len"])].decode())


VERDICTS = {
    "S0": SYN,
    "S1": OPEN + REQUEST,
    "SF": OPEN + CLIENT_FIN + SERVER_FIN,
    "REJ": REFUSED,
    "S2": OPEN + CLIENT_FIN,
    "S3": OPEN + "S > C FA 301 ack 101",
    "RSTO": OPEN + CLIENT_RST,
    "RSTR": OPEN + SERVER_RST,
    "RSTOS0": SYN + "C > S R 101",
    "RSTRH": SYN_ACK + "S > C R 301",
    "SH": SYN + "C > S F 101",
    "SHR": SYN_ACK + "S > C F 301",
    "OTH": "C > S PA 101:106 ack 301\nS > C A 301 ack 106",
}


def test_every_verdict_has_its_conversation() -> None:
    assert set(VERDICTS) == {one.name for one in Verdict}


@pytest.mark.parametrize(("name", "text"), VERDICTS.items(), ids=VERDICTS)
def test_verdict(name: str, text: str) -> None:
    assert Verdict(verdict(*rows(text))).name == name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("REJ", SYN + "C > S R 101\nS > C RA 0 ack 101", id="both reset, no data"),
        pytest.param("RSTO", OPEN + REQUEST + CLIENT_RST, id="with data"),
        pytest.param("SF", OPEN + CLIENT_FIN + SERVER_FIN + "C > S R 102", id="a RST after both FINs"),
        pytest.param("SF", OPEN + CLIENT_FIN + "C > S R 102\n" + SERVER_FIN, id="FIN, RST, then the other's FIN"),
        pytest.param("RSTR", OPEN + CLIENT_FIN + "S > C R 301", id="a FIN answered by a RST"),
        pytest.param("SF", SYN_ACK + ACK + CLIENT_FIN + SERVER_FIN, id="the SYN was not captured"),
        pytest.param("S1", SYN + "S > C A 300 ack 101\n" + SYN_ACK + ACK, id="an ACK before the SYN,ACK"),
        pytest.param("OTH", SYN_ACK, id="SYN,ACK alone"),
        pytest.param("OTH", SYN + "S > C PA 300:305 ack 101", id="payload instead of a SYN,ACK"),
        pytest.param("S0", "C > S A 101 ack 301\nC > S S 100\n", id="a SYN after an ACK"),
    ],
)
def test_verdicts_of_what_goes_astray(name: str, text: str) -> None:
    assert Verdict(verdict(*rows(text))).name == name


@pytest.mark.parametrize(
    ("letters", "text"),
    [
        ("ShADadFf", OPEN + REQUEST + "S > C A 301 ack 106\nS > C PA 301:303 ack 106\nC > S FA 106 ack 303\n"
                     "S > C FA 303 ack 107\nC > S A 107 ack 304"),
        ("Sr", VERDICTS["REJ"]),
        ("S", SYN + SYN + SYN),
        ("^hA", SYN_ACK + ACK),
        ("^hA", SYN_ACK + SYN_ACK + ACK + ACK),
        ("^d", "S > C PA 301:306 ack 101"),
        ("D", REQUEST),
        ("ShARR", OPEN + "C > S R 101\nC > S R 105"),
        ("ShAR", OPEN + "C > S R 101\nC > S R 101"),
        ("ShAFF", OPEN + CLIENT_FIN + CLIENT_FIN + "C > S FA 105 ack 301"),
        ("ShAI", OPEN + "C > S FR 101\nC > S FR 105"),
        ("ShAq", OPEN + "S > C SF 900\nS > C SR 901"),
        ("ShADT", OPEN + REQUEST + REQUEST),
        ("ShADTT", OPEN + REQUEST * 11),
        ("ShADd", OPEN + REQUEST + "S > C PA 301:306 ack 106"),
        ("ShAWW", OPEN + "C > S A 101 ack 301 win 0\n" * 10),
        ("ShAawr", OPEN + "S > C A 301 ack 101 win 0\n" * 9 + "S > C R 301 win 0"),
        ("ShAaG", OPEN + "S > C A 301 ack 150"),
        ("ShAaGDd", OPEN + "S > C A 301 ack 150\nC > S PA 150:160 ack 301\nS > C PA 301:302 ack 160"),
        ("ShAaG", OPEN + "S > C A 301 ack 150\nS > C A 301 ack 160\nS > C A 301 ack 170"),
        ("ShADaG", OPEN + "C > S A 111:116 ack 301\nC > S A 121:126 ack 301\nS > C A 301 ack 126"),
        ("ShAa", OPEN + "S > C A 301 ack 5000000"),
        ("ShAFa", OPEN + CLIENT_FIN + "S > C A 301 ack 102\nS > C A 301 ack 109"),
        ("ShADTa", OPEN + "C > S PA 106:111 ack 301\nC > S PA 101:106 ack 301\nS > C A 301 ack 111"),
    ],
)  # fmt: skip
def test_history(letters: str, text: str) -> None:
    assert "".join(letter for letter in history(text)) == letters


def test_two_gaps_that_were_filled_are_no_gap() -> None:
    """Nothing is missing from these captures: some segments came late."""
    for order in (101, 121, 141, 111, 131), (101, 121, 161, 141, 111, 131, 151):
        text = OPEN + "".join(f"C > S PA {at}:{at + 10} ack 301\n" for at in order)
        assert "G" not in history(text + f"S > C A 301 ack {max(order) + 10}")


def test_history_has_an_end() -> None:
    text = OPEN + "".join(f"C > S R {1000 + k}\n" for k in range(60))
    assert history(text) == "ShA" + 29 * "R"


def test_powers_of_ten() -> None:
    assert [n for n in range(1, 2000) if is_power_of_ten(n)] == [1, 10, 100, 1000]


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (1, SYN),
        (0, SYN_ACK),
        (0, SYN_ACK + SYN),
        (4, SYN_ACK + ACK),
        (2, ACK + SYN_ACK),
        (7, OPEN),
        (37, VERDICTS["REJ"]),
        (15, OPEN + REQUEST),
        (31, OPEN + REQUEST + "C > S FA 106 ack 301\nS > C FA 301 ack 107"),
        (47, OPEN + REQUEST + "S > C RA 301 ack 106"),
        (63, OPEN + REQUEST + "C > S FA 106 ack 301\nS > C RA 301 ack 107"),
        (0, REQUEST),
        (8, REQUEST + "C > S PA 106:108 ack 301"),
        (0, REQUEST + "C > S - 106:108"),
        (0, CLIENT_FIN),
        (0, ACK + "C > S F 101"),
        (20, ACK + CLIENT_FIN),
        (0, "C > S R 101"),
        (32, ACK + "C > S R 101:106"),
        (36, ACK + SERVER_RST),
        (9, "C > S S 100:105"),
        (1, SYN + "C > S S 100:105"),
        (37, REFUSED + REFUSED),
        (39, REFUSED + OPEN),
        (36, "C > S A 101 ack 301 id 7\n" * 2 + "S > C R 301"),
        (8, "C > S PA 101:106 ack 301 id 7\n" * 2),
        (3, SYN + "S > C SA 300 ack 101 id 7\n" * 2),
    ],
)
def test_completeness(bits: int, text: str) -> None:
    assert rows(text)[0]["completeness"] == bits


@pytest.mark.parametrize(
    ("text", "name", "letters", "packets"),
    [
        (REFUSED, "REJ", "Sr", (1, 0, 2)),
        (REFUSED + REFUSED, "REJ", "Sr", (3, 0, 4)),
        (REFUSED + SYN, "S0", "Sr", (3, 0, 0)),
        (REFUSED + OPEN + REQUEST, "S1", "SrhAD", (3, 0, 0)),
        (REFUSED + OPEN + CLIENT_RST, "RSTO", "SrhAR", (3, 6, 0)),
        (SYN + "S > C A 900 ack 800\nC > S R 800\n" + OPEN, "S1", "SaRhA", (4, 0, 0)),
    ],
)
def test_the_latest_attempt_counts(text: str, name: str, letters: str, packets: tuple[int, int, int]) -> None:
    """After a refusal: verdict, history, and the packets with the client's SYN, its RST, the server's RST."""
    connection, client, server = rows(text)
    assert (Verdict(verdict(connection, client, server)).name, history(text)) == (name, letters)
    assert (int(client["syn_packet"]), int(client["rst_packet"]), int(server["rst_packet"])) == packets


@pytest.mark.parametrize(
    ("who", "text"),
    [
        (ClosedBy.NOBODY, OPEN + CLIENT_RST),
        (ClosedBy.CLIENT, OPEN + CLIENT_FIN),
        (ClosedBy.CLIENT, OPEN + CLIENT_FIN + SERVER_FIN),
        (ClosedBy.SERVER, OPEN + "S > C FA 301 ack 101\nC > S FA 101 ack 302"),
        (ClosedBy.BOTH, OPEN + "S > C FA 301 ack 101\nC > S FA 101 ack 301"),
        (ClosedBy.BOTH, OPEN + "C > S FA 101 ack 301\nS > C FPA 301:305 ack 101"),
        (ClosedBy.CLIENT, OPEN + CLIENT_FIN + CLIENT_FIN + SERVER_FIN),
        (ClosedBy.SERVER, OPEN + "S > C FA 301 ack 101\nC > S A 101 ack 302\nC > S FA 101 ack 301"),
        (ClosedBy.CLIENT, OPEN + "C > S FA 101 ack 301\nS > C F 301 ack 101"),  # without ACK the field says nothing
    ],
)
def test_closed_by(who: ClosedBy, text: str) -> None:
    assert ClosedBy(int(rows(text)[0]["closed_by"])) == who


def test_counters() -> None:
    _, client, server = rows(
        SYN + SYN + SYN_ACK + ACK
        + "C > S PA 101:111 ack 301\nC > S PA 101:111 ack 301\nC > S PA 106:121 ack 301\n"
        + "S > C A 301 ack 121 win 0\nS > C A 301 ack 121 sack 130:140\nS > C FA 301 ack 121\nC > S RA 121 ack 301"
    )  # fmt: skip
    told = {name: int(client[name]) for name in (
        "packets", "syns", "fins", "resets", "pure_acks", "data_packets", "payload_bytes", "unique_bytes",
        "retransmitted_packets", "retransmitted_bytes", "zero_windows", "sacks",
    )}  # fmt: skip
    assert told == {
        "packets": 7, "syns": 2, "fins": 0, "resets": 1, "pure_acks": 1, "data_packets": 3, "payload_bytes": 35,
        "unique_bytes": 20, "retransmitted_packets": 3, "retransmitted_bytes": 16, "zero_windows": 0, "sacks": 0,
    }  # fmt: skip
    assert [int(server[name]) for name in ("packets", "pure_acks", "zero_windows")] == [4, 2, 1]
    assert [int(server[name]) for name in ("fins", "sacks", "syns")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("retransmitted", "octets", "out_of_order", "text"),
    [
        pytest.param(2, 2, 0, SYN + SYN + SYN, id="SYN"),
        pytest.param(1, 1, 0, OPEN + CLIENT_FIN + CLIENT_FIN, id="FIN"),
        pytest.param(1, 6, 0, OPEN + "C > S FPA 101:106 ack 301\n" * 2, id="payload and FIN"),
        pytest.param(1, 5, 0, OPEN + REQUEST + "C > S FPA 101:106 ack 301\n", id="payload, and a FIN that is new"),
        pytest.param(1, 5, 0, OPEN + REQUEST + "C > S PA 101:111 ack 301\n", id="in part"),
        pytest.param(0, 0, 1, OPEN + "C > S PA 106:111 ack 301\n" + REQUEST, id="late"),
        pytest.param(0, 0, 1, OPEN + "C > S PA 106:111 ack 301\n+9 " + REQUEST, id="very late"),
        pytest.param(1, 5, 1, OPEN + "C > S PA 106:111 ack 301\n" + REQUEST + REQUEST, id="late and again"),
        pytest.param(1, 5, 0, OPEN + "C > S PA 106:111 ack 301\nC > S PA 101:111 ack 301\n", id="late with what came"),
        pytest.param(0, 0, 0, OPEN + REQUEST + "S > C A 301 ack 106\nC > S A 105:106 ack 301\n", id="keep-alive"),
        pytest.param(0, 0, 0, OPEN + "S > C A 301 ack 101 win 0\n" + "C > S A 101:102 ack 301\n" * 2, id="probes"),
    ],
)
def test_sent_again_or_late(retransmitted: int, octets: int, out_of_order: int, text: str) -> None:
    _, client, _ = rows(text)
    told = [int(client[name]) for name in ("retransmitted_packets", "retransmitted_bytes", "out_of_order_packets")]
    assert told == [retransmitted, octets, out_of_order]


def test_what_is_counted_by_events() -> None:
    """The third repetition of an ACK, packets that the capture has twice, octets of each phase."""
    _, client, server = rows(
        OPEN + "C > S PA 111:121 ack 301\n" + "S > C A 301 ack 101\n" * 5 + "C > S FPA 121:124 ack 301\n"
    )
    assert [int(server[name]) for name in ("duplicate_acks", "triple_duplicate_acks")] == [5, 1]
    assert [int(client[name]) for name in ("unique_bytes", "aside_bytes")] == [13, 3]
