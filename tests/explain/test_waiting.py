"""Who holds TIME-WAIT and CLOSE-WAIT, by the rows of connections, the owners that are known, and Linux's tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from analyzer.explain.processes import Socket, packed
from analyzer.explain.waiting import LINUX_TIME_WAIT_NS, Waiting, waiting
from analyzer.tables import CONNECTION, ENDPOINT, ClosedBy, Phase, Protocol, Rows, Side
from analyzer.tcp.states import State

S = 1_000_000_000
NOW = 1_000 * S
CLIENT, SERVER = Side.CLIENT, Side.SERVER


def rows(*states: tuple[State, State], since: int = 10, port: int = 80) -> tuple[Rows, Rows]:
    """Connections from 10.0.0.1 to 10.0.0.2, from other ports; the first one closed ``since`` s ago, others later."""
    connections, endpoints = np.zeros(len(states), CONNECTION), np.zeros((len(states), 2), ENDPOINT)
    connections["number"] = np.arange(len(states)) + 1
    connections["protocol"], connections["ip_version"], connections["server_port"] = Protocol.TCP, 4, port
    connections["address"][:, 3], connections["address"][:, 7] = 0x0A000001, 0x0A000002
    connections["client_port"] = 40_000 + np.arange(len(states))
    closed_ns = NOW - since * S + np.arange(len(states)) * S
    connections["phase_first_ns"][:, Phase.TEARDOWN] = closed_ns
    endpoints["closed_ns"] = closed_ns[:, None]
    endpoints["state"] = states
    endpoints["syns"] = 1
    return connections, endpoints


def found(*args: Any, **given: Any) -> list[tuple[State, Side, int, int]]:
    return [(one.state, one.side, one.total, (NOW - one.since_ns) // S) for one in waiting(*args, NOW, **given)]


def test_time_wait_until_its_end() -> None:
    for since, is_held in ((0, True), (59, True), (60, False), (61, False)):
        made = rows((State.CLOSED, State.TIME_WAIT), since=since)
        assert found(*made) == [(State.TIME_WAIT, SERVER, 1, since)] * is_held
    assert found(*rows((State.CLOSED, State.TIME_WAIT), since=61), time_wait_ns=4 * LINUX_TIME_WAIT_NS)


def test_close_wait_that_lasts() -> None:
    assert found(*rows((State.CLOSE_WAIT, State.FIN_WAIT_2), since=0)) == []
    connections, endpoints = rows((State.CLOSE_WAIT, State.FIN_WAIT_2))
    connections["phase_first_ns"] = 0
    assert found(connections, endpoints) == [], "nobody knows since when"
    assert found(*rows((State.CLOSE_WAIT, State.FIN_WAIT_2), since=1)) == [(State.CLOSE_WAIT, CLIENT, 1, 1)]


def test_who_still_sends_has_not_forgotten() -> None:
    connections, endpoints = rows((State.FIN_WAIT_2, State.CLOSE_WAIT))
    connections["late_data"] = 1 << SERVER
    endpoints["last_ns"][:, SERVER] = NOW - S // 2
    assert found(connections, endpoints) == []
    endpoints["last_ns"][:, SERVER] = NOW - 2 * S
    assert found(connections, endpoints) == [(State.CLOSE_WAIT, SERVER, 1, 10)]


def test_other_states_and_protocols_do_not_count() -> None:
    assert found(*rows((State.ESTABLISHED, State.ESTABLISHED), (State.LAST_ACK, State.FIN_WAIT_2))) == []
    connections, endpoints = rows((State.CLOSED, State.TIME_WAIT))
    connections["protocol"] = Protocol.UDP
    assert found(connections, endpoints) == []
    assert found(connections[:0], endpoints[:0]) == []


def test_a_new_incarnation_ends_time_wait() -> None:
    connections, endpoints = rows((State.CLOSED, State.TIME_WAIT), (State.ESTABLISHED, State.ESTABLISHED))
    connections["former"][1] = 1
    assert found(connections, endpoints) == []


def test_what_one_end_has_is_put_together_the_worst_first() -> None:
    waits = State.FIN_WAIT_2, State.CLOSE_WAIT
    made = rows((State.CLOSED, State.TIME_WAIT), waits, waits, waits)
    assert found(*made) == [(State.CLOSE_WAIT, SERVER, 3, 9), (State.TIME_WAIT, SERVER, 1, 10)]
    (first, _) = waiting(*made, NOW)
    assert first.latest_ns == NOW - 7 * S
    assert first.connection["number"] == 2
    assert first.ports == (80,)


def one(*states: tuple[State, State], **given: Any) -> Waiting:
    (alone,) = waiting(*rows(*states), NOW, **given)
    return alone


def test_who_never_closes_seems_to_forget() -> None:
    waits = State.FIN_WAIT_2, State.CLOSE_WAIT
    assert not one(waits, waits).seems_forgotten
    assert one(waits, waits, waits).seems_forgotten
    assert not one(*[(State.CLOSED, State.TIME_WAIT)] * 3).seems_forgotten


def test_who_closed_others_does_not() -> None:
    waits = State.FIN_WAIT_2, State.CLOSE_WAIT
    connections, endpoints = rows(waits, waits, waits, (State.CLOSED, State.CLOSED), (State.CLOSED, State.CLOSED))
    connections["closed_by"][3:] = ClosedBy.CLIENT, ClosedBy.SERVER
    endpoints["fin_packet"][3:] = 7
    (alone,) = waiting(connections, endpoints, NOW)
    assert (alone.total, alone.closed, alone.seems_forgotten) == (3, 1, False)


def test_programs_are_named_and_their_ports_put_together() -> None:
    waits = State.FIN_WAIT_2, State.CLOSE_WAIT
    connections, endpoints = rows(waits, waits, waits)
    connections["server_port"][1:] = 81, 82
    owners = {80: "a (1)", 81: "a (1)", 82: ""}
    some = waiting(connections, endpoints, NOW, owners=lambda row: ("", owners[int(row["server_port"])]))
    assert [(alone.programs, alone.ports, alone.total) for alone in some] == [(("a (1)",), (80, 81), 2), ((), (82,), 1)]
    workers = waiting(*rows(waits, waits), NOW, owners=lambda row: ("", f"worker ({row['client_port']})"))
    assert [alone.programs for alone in workers] == [("worker (40000)", "worker (40001)")]


def test_only_what_is_here() -> None:
    both = rows((State.TIME_WAIT, State.TIME_WAIT))
    assert len(found(*both)) == 2
    here = {packed("10.0.0.2")}
    assert found(*both, is_here=lambda address: address in here) == [(State.TIME_WAIT, SERVER, 1, 10)]


def test_what_linux_does_not_have_does_not_count() -> None:
    made = rows((State.CLOSED, State.TIME_WAIT), (State.CLOSED, State.TIME_WAIT))
    client, server = (packed("10.0.0.1"), 40_001), (packed("10.0.0.2"), 80)
    for state, expected in ((State.TIME_WAIT, [(State.TIME_WAIT, SERVER, 1, 9)]), (State.LAST_ACK, [])):
        assert found(*made, sockets=[Socket(server, client, state, 0)]) == expected


def test_without_a_syn_linux_has_to_say_so() -> None:
    """Its program may have closed before the capture began, as the state then is only assumed."""
    connections, endpoints = rows((State.CLOSE_WAIT, State.FIN_WAIT_2))
    endpoints["syns"] = 0
    assert found(connections, endpoints) == []
    client, server = (packed("10.0.0.1"), 40_000), (packed("10.0.0.2"), 80)
    for state, expected in ((State.CLOSE_WAIT, [(State.CLOSE_WAIT, CLIENT, 1, 10)]), (State.TIME_WAIT, [])):
        assert found(connections, endpoints, sockets=[Socket(client, server, state, 0)]) == expected


def test_many_are_worth_telling_however_short() -> None:
    waits = State.FIN_WAIT_2, State.CLOSE_WAIT
    for count, since, is_worth in ((2, 0, False), (3, 0, True), (1, 1, True)):
        (alone,) = waiting(*rows(*[waits] * count, since=since), NOW + count * S, lasting_ns=0)
        alone = alone._replace(since_ns=NOW - since * S)
        assert alone.is_worth_telling(NOW) == is_worth


def test_only_those_that_were_chosen() -> None:
    made = rows((State.CLOSED, State.TIME_WAIT), (State.CLOSED, State.TIME_WAIT))
    assert found(*made, among=np.array([False, True])) == [(State.TIME_WAIT, SERVER, 1, 9)]


def test_ipv6_and_many_ends() -> None:
    made = rows(*[(State.TIME_WAIT, State.CLOSED)] * 300)
    made[0]["ip_version"] = 6
    made[0]["address"][:, 3] = np.arange(300) // 2
    some = waiting(*made, NOW + 300 * S, time_wait_ns=2_000 * S)
    assert {alone.total for alone in some} == {2}
    assert len(some) == 150
