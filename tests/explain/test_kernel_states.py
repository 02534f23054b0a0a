"""States inferred from packets beside those that Linux's own sockets are said to have."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.explain import kernel_states
from analyzer.explain.kernel_states import KernelStates
from analyzer.explain.processes import End, Socket, ends_of, packed
from analyzer.tables import CONNECTION, ENDPOINT, Protocol, Rows, Side
from analyzer.tcp.states import State

FAR: End = (packed("198.51.100.7"), 40_000)
HERE: End = (packed("192.0.2.1"), 80)
INSTANT = 1_000_000_000
LATER = 2 * INSTANT


def rows(client: State, server: State, *, last_ns: int = 0, count: int = 1) -> tuple[Rows, Rows]:
    """Connections from FAR to 192.0.2.1:80."""
    connections, endpoints = np.zeros(count, CONNECTION), np.zeros((count, 2), ENDPOINT)
    connections["number"] = np.arange(1, count + 1)
    connections["protocol"], connections["ip_version"] = Protocol.TCP, 4
    connections["address"][:, 3], connections["address"][:, 7] = 0xC6336407, 0xC0000201
    connections["client_port"], connections["server_port"] = 40_000, 80
    connections["last_ns"], connections["last_packet"] = last_ns, 9
    endpoints["state"] = client, server
    return connections, endpoints


def compared(connections: Rows, endpoints: Rows, *sockets: Socket) -> KernelStates:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_states, "tcp_sockets", lambda: list(sockets))
        states = KernelStates(lambda address: address == HERE[0])
        states.tick(connections, endpoints, INSTANT, INSTANT)
        assert states.states == 0
        states.tick(connections, endpoints, LATER, INSTANT)
        assert states.instants == 0, "packets from before the instant may still be waiting"
        states.tick(connections, endpoints, LATER, LATER)
    return states


def test_ends_of_a_row() -> None:
    connections, _ = rows(State.CLOSED, State.CLOSED)
    assert ends_of(connections[0]) == (FAR, HERE)


def test_states_that_agree() -> None:
    states = compared(*rows(State.CLOSE_WAIT, State.FIN_WAIT_2), Socket(HERE, FAR, State.FIN_WAIT_2, 1))
    assert (states.instants, states.states, states.agreed, states.differences) == (1, 1, 1, {})


@pytest.mark.parametrize("state", [State.CLOSED, State.LISTEN])
def test_no_socket_is_closed(state: State) -> None:
    assert compared(*rows(State.CLOSED, state)).agreed == 1


def test_states_that_differ() -> None:
    states = compared(*rows(State.CLOSED, State.TIME_WAIT))
    assert states.agreed == 0
    assert list(states.differences.values()) == [(1, Side.SERVER, State.TIME_WAIT, State.CLOSED, 9)]


def test_who_had_a_packet_just_now_is_not_compared() -> None:
    assert compared(*rows(State.CLOSED, State.CLOSED, last_ns=INSTANT - 1_000_000)).states == 0
    assert compared(*rows(State.CLOSED, State.CLOSED, last_ns=INSTANT - 3_000_000)).states == 1


def test_only_the_latest_incarnation_is_compared() -> None:
    connections, endpoints = rows(State.ESTABLISHED, State.ESTABLISHED, count=2)
    endpoints["state"][0] = State.SYN_SENT
    states = compared(connections, endpoints, Socket(HERE, FAR, State.ESTABLISHED, 1))
    assert (states.states, states.agreed) == (1, 1)


def test_ends_that_connected_again_after_the_instant_are_left_out() -> None:
    """The socket that Linux showed may be the later one's."""
    connections, endpoints = rows(State.CLOSED, State.CLOSED, count=2)
    connections["first_ns"][1] = connections["last_ns"][1] = INSTANT + 1
    endpoints["state"][1] = State.ESTABLISHED
    assert compared(connections, endpoints, Socket(HERE, FAR, State.ESTABLISHED, 1)).states == 0
