"""Which states are assumed: of sides that were not heard, or that may have closed before the capture."""

from __future__ import annotations

import pytest

from analyzer.explain.known_states import Heard, Known, assumed_sides, states_of
from analyzer.pipeline import Life, Lives
from analyzer.tables import Batch, batch_at
from analyzer.tcp.states import State
from tests.script import Story, play

S = State

HANDSHAKE = "C > S S 100\nS > C SA 300 ack 101\nC > S A 101 ack 301\n"
NOBODY, CLIENT, SERVER, BOTH = 0, 1, 2, 3

CONVERSATIONS = {
    "an ordinary one": (HANDSHAKE, [SERVER, NOBODY, NOBODY]),
    "nothing answers": ("C > S S 100\n+1 C > S S 100", [SERVER, SERVER]),
    "a RST is no answer, but shows CLOSED": ("C > S S 100\nS > C RA 0 ack 101 win 0", [SERVER, NOBODY]),
    "one direction only": ("S > C SA 300 ack 101\nS > C PA 301:311 ack 101", [CLIENT, CLIENT]),
    "an ACK alone": ("S > C A 300 ack 101", [BOTH]),
    "a FIN, of a peer that may have sent its own before": (
        "S > C A 300 ack 101\nS > C FA 300 ack 101\nC > S A 101 ack 301", [BOTH, BOTH, BOTH],
    ),
    "both speak": ("C > S PA 101:111 ack 300\nS > C PA 300:310 ack 111\nC > S A 111 ack 310", [BOTH, NOBODY, NOBODY]),
    "a keep-alive says nothing": (
        "C > S A 101 ack 300\nS > C PA 300:310 ack 101\n+60 C > S A 100:101 ack 310", [BOTH, BOTH, BOTH],
    ),
}  # fmt: skip


def batch_of(story: Story) -> Batch:
    return Batch(story.frames, story.packets, story.labels)


def life_of(text: str) -> Life:
    lives = Lives([1], 100)
    lives.add(batch_of(play(text)))
    return lives.found()[1]


def bits(states: tuple[list[Known], list[Known]], k: int) -> int:
    return states[0][k].is_assumed | states[1][k].is_assumed << 1


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_packet_by_packet(name: str) -> None:
    text, expected = CONVERSATIONS[name]
    batch = batch_of(play(text))
    assert Heard().assumed(batch).tolist() == expected
    heard = Heard()
    one_by_one = [heard.assumed(batch_at(batch, slice(k, k + 1))).tolist()[0] for k in range(len(expected))]
    assert one_by_one == expected


@pytest.mark.parametrize("name", [name for name in CONVERSATIONS if "keep-alive" not in name])
def test_rows_say_the_same(name: str) -> None:
    text, expected = CONVERSATIONS[name]
    client, server = assumed_sides(play(text).reconstruction.endpoints[0])
    assert client | server << 1 == expected[-1]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_whole_life_knows_more(name: str) -> None:
    """What a side shows once was so from the start; at its end a life knows what came so far, and no more."""
    text, expected = CONVERSATIONS[name]
    states = states_of(life_of(text))
    assert bits(states, -1) == expected[-1]
    if "RST" not in name:
        assert {bits(states, k) for k in range(len(expected) + 1)} == {expected[-1]}


def test_who_refuses_was_closed() -> None:
    client, server = states_of(life_of("C > S S 100\nS > C RA 0 ack 101\n+1 C > S S 100\nS > C RA 0 ack 101"))
    assert [known.state for known in client] == [S.CLOSED, S.SYN_SENT, S.CLOSED, S.SYN_SENT, S.CLOSED]
    assert {known.state for known in server} == {S.CLOSED}
    assert server[0] == Known(S.CLOSED, True)


def test_who_answers_and_then_resets_was_not() -> None:
    _, server = states_of(life_of(HANDSHAKE + "S > C RA 301 ack 101"))
    assert [known.state for known in server] == [S.LISTEN, S.SYN_RECEIVED, S.SYN_RECEIVED, S.ESTABLISHED, S.CLOSED]
    assert not any(known.is_assumed for known in server)


def test_who_answers_no_more_may_not_know() -> None:
    unanswered = "+1 C > S A 100 ack 301\n+1 C > S A 100 ack 301\n+1 C > S RA 101 ack 301"
    client, server = states_of(life_of(HANDSHAKE + "S > C A 301 ack 101\n" + unanswered))
    assert server[4] == Known(S.ESTABLISHED, False)
    assert server[-1] == Known(S.CLOSED, True)
    assert client[-1] == Known(S.CLOSED, False)
    _, server = states_of(life_of(HANDSHAKE + "+1 C > S A 100 ack 301\nS > C A 301 ack 101\nC > S RA 101 ack 301"))
    assert server[-1] == Known(S.CLOSED, False)


def test_udp_has_no_states() -> None:
    assert Heard().assumed(batch_of(play("C > S UDP 3\nS > C UDP 4"))).tolist() == [0, 0]


def test_others_count_as_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.explain.known_states.MOST_OPEN", 1)
    text = "C > S S 100\nA > S S 100\n+1 C > S S 100\n+1 A > S S 100"
    assert Heard().assumed(batch_of(play(text))).tolist() == [SERVER, SERVER, NOBODY, SERVER]
