"""The figures of RFC 9293 that show conversations, read from the RFC's own lines.

The left and the right word of a line are the states of A and B after it. ``...`` stands for a segment that is still on
its way, or that arrives after a time: each figure is played as it is captured at A, and as it is captured at B, and the
states of that end must be the figure's, line by line.

The other end's are the observer's: a segment counts as received when it is seen, so that a line can be early. What it
says of the far end instead of the figure's word stands in the test, under the number of the line, with its reason.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from analyzer.tcp.states import State
from tests.script import Segment, columns, parse, play

STATES = {state.name.replace("_", "-") for state in State}

LINE = re.compile(
    r"(?P<number>\d+\.)?\s*(?P<a>[^-.<]*?(?:-[^-<][^-.<]*?)*)\s*"
    r"(?P<at_a>-->|<--|\.\.\.)\s+(?P<segment><SEQ=\S+)\s+(?P<at_b>-->|<--|\.\.\.)\s*(?P<b>.*)"
)


class Line(NamedTuple):
    """A segment in a figure."""

    number: str
    a: str
    """State of A, or what stands in its place."""
    b: str
    segment: Segment
    seen_at: str
    """``AB``, or the one end that it leaves or reaches."""


def figure(text: str, **values: int) -> list[Line]:
    """The segments of a figure. The sender is told by the arrows; letters in place of numbers are given as values."""
    lines: list[Line] = []
    number = ""
    for raw in text.splitlines():
        if found := re.match(r"\s*(\d+)\.", raw):
            number = found[1]
        if "<SEQ=" not in raw:
            continue
        found = LINE.search(raw.strip())
        assert found, raw
        fields = dict(re.findall(r"(SEQ|ACK|CTL|DATA)=([^>]+)", found["segment"]))
        arrows = {found["at_a"], found["at_b"]} - {"..."}
        assert len(arrows) == 1, raw
        source = "A" if arrows == {"-->"} else "B"
        flags = "".join(name[0] for name in fields["CTL"].split(","))
        payload_len = int(fields.get("DATA", 1 if "<DATA>" in found["segment"] else 0))
        seq = _number(fields["SEQ"], values)
        spoken = f"{source} > {'AB'.replace(source, '')} {flags} {seq}:{seq + payload_len}"
        if "ACK" in fields:
            spoken += f" ack {_number(fields['ACK'], values)}"
        seen_at = "".join(end for end, arrow in (("A", found["at_a"]), ("B", found["at_b"])) if arrow != "...")
        lines.append(Line(number, found["a"].strip(), found["b"].strip(), parse(spoken)[0], seen_at))
    return lines


def _number(text: str, values: dict[str, int]) -> int:
    name, _, more = text.partition("+")
    return values.get(name, 0) + int(more or 0) if name in values else int(text)


def states_at(end: str, lines: list[Line], before: str = "") -> list[tuple[str, str, str]]:
    """(number, A's state, B's state) after each line of a figure that is captured at one end."""
    captured = [line for line in lines if end in line.seen_at]
    prelude = parse(before)
    conversation = prelude + [line.segment for line in captured]
    conversation = [segment._replace(ts_ns=i * 1_000_000) for i, segment in enumerate(conversation)]
    said = columns(play(conversation).labels, events=False)[len(prelude) :]
    states = [words.split()[-2:] for words in said]
    return [(line.number, a, b) for line, (a, b) in zip(captured, states, strict=True)]


def hold(lines: list[Line], before: str = "", *, far: dict[str, dict[str, str]] | None = None) -> None:
    """Each end's states are the figure's where it is captured; the far end's too, but for those that ``far`` names.

    ``far["A"]["3"]`` is what a capture at A says of B after line 3. A is the client in every figure here.
    """
    for end in "AB":
        expected = []
        for line in lines:
            if end in line.seen_at:
                a, b = line.a, line.b
                other = (far or {}).get(end, {}).get(line.number)
                if other is not None:
                    a, b = (a, other) if end == "A" else (other, b)
                assert {a, b} <= STATES, f"line {line.number} of the figure has no state for both: {a!r}, {b!r}"
                expected.append((line.number, a, b))
        assert states_at(end, lines, before) == expected, f"captured at {end}"


ESTABLISHED_BEFORE = """
    A > B  S 99
    B > A  SA 299 ack 100
    A > B  A 100 ack 300
"""
"""How A and B came to (send 100, receive 300) and (send 300, receive 100)."""


def test_figure_6_basic_three_way_handshake() -> None:
    hold(figure("""
    2.  SYN-SENT    --> <SEQ=100><CTL=SYN>               --> SYN-RECEIVED
    3.  ESTABLISHED <-- <SEQ=300><ACK=101><CTL=SYN,ACK>  <-- SYN-RECEIVED
    4.  ESTABLISHED --> <SEQ=101><ACK=301><CTL=ACK>       --> ESTABLISHED
    5.  ESTABLISHED --> <SEQ=101><ACK=301><CTL=ACK><DATA> --> ESTABLISHED
    """))  # fmt: skip


FIGURE_7 = """
    2.  SYN-SENT     --> <SEQ=100><CTL=SYN>              ...
    3.  SYN-RECEIVED <-- <SEQ=300><CTL=SYN>              <-- SYN-SENT
    4.               ... <SEQ=100><CTL=SYN>              --> SYN-RECEIVED
    5.  SYN-RECEIVED --> <SEQ=100><ACK=301><CTL=SYN,ACK> ...
    6.  ESTABLISHED  <-- <SEQ=300><ACK=101><CTL=SYN,ACK> <-- SYN-RECEIVED
    7.               ... <SEQ=100><ACK=301><CTL=SYN,ACK> --> ESTABLISHED
    """


def test_figure_7_simultaneous_open_at_a() -> None:
    lines = figure(FIGURE_7)
    # B has the SYN of line 2 as soon as it is seen, so that B's own SYN finds it in SYN-RECEIVED; and the SYN,ACK of
    # line 5, which ends the handshake for B before its own SYN,ACK is seen.
    assert states_at("A", lines) == [
        ("2", "SYN-SENT", "SYN-RECEIVED"),
        ("3", "SYN-RECEIVED", "SYN-RECEIVED"),
        ("5", "SYN-RECEIVED", "ESTABLISHED"),
        ("6", "ESTABLISHED", "ESTABLISHED"),
    ]


def test_figure_7_simultaneous_open_at_b() -> None:
    # Captured at B, B's SYN comes first: B is taken for the client. The first column is the client's.
    assert states_at("B", figure(FIGURE_7)) == [
        ("3", "SYN-SENT", "SYN-RECEIVED"),  # A has B's SYN as soon as it is seen
        ("4", "SYN-RECEIVED", "SYN-RECEIVED"),
        ("6", "SYN-RECEIVED", "ESTABLISHED"),
        ("7", "ESTABLISHED", "ESTABLISHED"),
    ]


def test_figure_8_recovery_from_old_duplicate_syn() -> None:
    hold(
        figure("""
    2.  SYN-SENT    --> <SEQ=100><CTL=SYN>               ...
    3.  (duplicate) ... <SEQ=90><CTL=SYN>               --> SYN-RECEIVED
    4.  SYN-SENT    <-- <SEQ=300><ACK=91><CTL=SYN,ACK>  <-- SYN-RECEIVED
    5.  SYN-SENT    --> <SEQ=91><CTL=RST>               --> LISTEN
    6.              ... <SEQ=100><CTL=SYN>               --> SYN-RECEIVED
    7.  ESTABLISHED <-- <SEQ=400><ACK=101><CTL=SYN,ACK>  <-- SYN-RECEIVED
    8.  ESTABLISHED --> <SEQ=101><ACK=401><CTL=ACK>      --> ESTABLISHED
    """),
        far={
            "A": {"2": "SYN-RECEIVED"},  # the SYN counts as received when seen
            "B": {
                # The duplicate is A's only SYN that is captured here: the observer takes it for A's own, and B's
                # answer for an acceptable one. The RST that answers it ends that incarnation for A.
                "3": "SYN-SENT",
                "4": "ESTABLISHED",
                "5": "CLOSED",
                "6": "SYN-SENT",
            },
        },
    )


FIGURE_9 = """
      3.  SYN-SENT --> <SEQ=400><CTL=SYN>              --> (??)
      4.  (!!)     <-- <SEQ=300><ACK=100><CTL=ACK>     <-- ESTABLISHED
      5.  SYN-SENT --> <SEQ=100><CTL=RST>              --> (Abort!!)
      7.  SYN-SENT --> <SEQ=400><CTL=SYN>              -->
      """


def test_figure_9_half_open_connection_discovery() -> None:
    # The SYN starts another connection. What B says of the one that A forgot, and A's answer to it, belong to that one:
    # it is ESTABLISHED at B, and aborted.
    assert states_at("A", figure(FIGURE_9), ESTABLISHED_BEFORE) == [
        ("3", "SYN-SENT", "SYN-RECEIVED"),
        ("4", "ESTABLISHED", "ESTABLISHED"),
        ("5", "CLOSED", "CLOSED"),
        ("7", "SYN-SENT", "SYN-RECEIVED"),
    ]


def test_figure_10_active_side_causes_half_open_connection_discovery() -> None:
    lines = figure("""
      2.  (??)    <-- <SEQ=300><ACK=100><DATA=10><CTL=ACK> <-- ESTABLISHED
      3.          --> <SEQ=100><CTL=RST>                   --> (ABORT!!)
    """)
    # A's reboot puts nothing on the wire: it is ESTABLISHED until its RST says that it is not. B aborts: CLOSED.
    assert states_at("B", lines, ESTABLISHED_BEFORE) == [("2", "ESTABLISHED", "ESTABLISHED"), ("3", "CLOSED", "CLOSED")]


def test_figure_11_old_duplicate_syn_and_two_passive_sockets() -> None:
    lines = figure(
        """
      2.       ... <SEQ=Z><CTL=SYN>                    -->  SYN-RECEIVED
      3.  (??) <-- <SEQ=X><ACK=Z+1><CTL=SYN,ACK>       <--  SYN-RECEIVED
      4.       --> <SEQ=Z+1><CTL=RST>                  -->  (return to LISTEN!)
    """,
        X=700,
        Z=200,
    )
    # That the SYN is an old one cannot be seen: for the observer A sent it, and has the answer it asked for.
    assert states_at("B", lines) == [
        ("2", "SYN-SENT", "SYN-RECEIVED"),
        ("3", "ESTABLISHED", "SYN-RECEIVED"),
        ("4", "CLOSED", "LISTEN"),
    ]


def test_figure_12_normal_close() -> None:
    hold(
        figure("""
      2.  (Close)
          FIN-WAIT-1  --> <SEQ=100><ACK=300><CTL=FIN,ACK>  --> CLOSE-WAIT
      3.  FIN-WAIT-2  <-- <SEQ=300><ACK=101><CTL=ACK>      <-- CLOSE-WAIT
      4.                                                       (Close)
          TIME-WAIT   <-- <SEQ=300><ACK=101><CTL=FIN,ACK>  <-- LAST-ACK
      5.  TIME-WAIT   --> <SEQ=101><ACK=301><CTL=ACK>      --> CLOSED
      """),
        ESTABLISHED_BEFORE,
    )


FIGURE_13 = """
      2.  (Close)                                              (Close)
          FIN-WAIT-1  --> <SEQ=100><ACK=300><CTL=FIN,ACK>  ... FIN-WAIT-1
                      <-- <SEQ=300><ACK=100><CTL=FIN,ACK>  <--
                      ... <SEQ=100><ACK=300><CTL=FIN,ACK>  -->
      3.  CLOSING     --> <SEQ=101><ACK=301><CTL=ACK>      ... CLOSING
                      <-- <SEQ=301><ACK=101><CTL=ACK>      <--
                      ... <SEQ=101><ACK=301><CTL=ACK>      -->
      """


def test_figure_13_simultaneous_close_at_a() -> None:
    # B has A's FIN as soon as it is seen. B's own FIN, which does not acknowledge A's, shows that the two crossed:
    # then both are CLOSING, as on line 3, and TIME-WAIT, as on line 4, once each FIN is acknowledged.
    assert states_at("A", figure(FIGURE_13), ESTABLISHED_BEFORE) == [
        ("2", "FIN-WAIT-1", "CLOSE-WAIT"),
        ("2", "CLOSING", "CLOSING"),
        ("3", "CLOSING", "TIME-WAIT"),
        ("3", "TIME-WAIT", "TIME-WAIT"),
    ]


def test_figure_13_simultaneous_close_at_b() -> None:
    assert states_at("B", figure(FIGURE_13), ESTABLISHED_BEFORE) == [
        ("2", "CLOSE-WAIT", "FIN-WAIT-1"),
        ("2", "CLOSING", "CLOSING"),
        ("3", "TIME-WAIT", "CLOSING"),
        ("3", "TIME-WAIT", "TIME-WAIT"),
    ]


def test_two_msl_end_time_wait_by_the_clock_of_the_capture() -> None:
    """Figures 12 and 13, their last line, which is no segment: it is seen at the next one."""
    closing = (
        ESTABLISHED_BEFORE
        + """
    A > B  FA 100 ack 300
    B > A  FA 300 ack 101
    A > B  A 101 ack 301
    """
    )
    for pause, state in (("239.9", "TIME-WAIT"), ("240", "CLOSED")):
        late = closing + f"+{pause} A > B  A 101 ack 301"
        assert columns(play(late).labels)[-1].split()[1] == state


@pytest.mark.parametrize("text", ["1. SYN-SENT <SEQ=100><CTL=SYN> --> CLOSED", "1. X --> <SEQ=1><CTL=SYN> <-- Y"])
def test_the_parser_refuses_what_is_no_line_of_a_figure(text: str) -> None:
    with pytest.raises(AssertionError):
        figure(text)
