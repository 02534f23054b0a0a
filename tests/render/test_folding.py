"""Which packets of a long connection are shown."""

from __future__ import annotations

from analyzer.render.folding import FIRST, LAST, folded, phase_runs
from analyzer.tables import Event, Phase
from analyzer.tcp.states import State
from tests.render.made import segment


def test_runs_of_phases() -> None:
    phases = [Phase.HANDSHAKE] * 3 + [Phase.DATA] * 2 + [Phase.TEARDOWN] + [Phase.DATA] + [Phase.TEARDOWN]
    assert [*phase_runs([segment(phase=phase) for phase in phases])] == [
        range(3), range(3, 5), range(5, 6), range(6, 7), range(7, 8),
    ]  # fmt: skip


def test_the_middle_is_folded() -> None:
    life = [segment() for _ in range(100)]
    assert [*folded(life, range(100))] == [*range(FIRST), range(FIRST, 100 - LAST), *range(100 - LAST, 100)]


def test_few_packets_are_not_folded() -> None:
    life = [segment() for _ in range(FIRST + LAST + 3)]
    assert [*folded(life, range(len(life)))] == [*range(len(life))]
    life.append(segment())
    assert range(FIRST, FIRST + 4) in [*folded(life, range(len(life)))]


def test_a_changed_state_is_shown() -> None:
    life = [segment() for _ in range(50)] + [segment(client_state=State.CLOSE_WAIT) for _ in range(50)]
    assert [*folded(life, range(100))] == [
        *range(FIRST), range(FIRST, 50), 50, range(51, 100 - LAST), *range(100 - LAST, 100),
    ]  # fmt: skip


def test_the_first_packets_in_trouble_are_shown() -> None:
    life = [segment(events=1 << Event.RETRANSMISSION if index % 10 == 0 else 0) for index in range(100)]
    shown = [index for index in folded(life, range(100)) if isinstance(index, int)]
    assert shown == [*range(FIRST), 10, 20, 30, *range(100 - LAST, 100)]


def test_nothing_is_lost() -> None:
    life = [segment(events=1 << Event.ZERO_WINDOW if index % 7 == 0 else 0) for index in range(200)]
    run = range(20, 190)
    seen = [index for item in folded(life, run) for index in ([item] if isinstance(item, int) else item)]
    assert seen == [*run]


def test_a_marked_packet_is_shown() -> None:
    life = [segment(number=index + 1) for index in range(100)]
    assert [index for index in folded(life, range(100), {51}) if isinstance(index, int)] == [
        *range(FIRST), 50, *range(100 - LAST, 100),
    ]  # fmt: skip
