"""Sentences about a bind() that failed with EADDRINUSE."""

from __future__ import annotations

from analyzer.explain.binding import FailedBind, Held
from analyzer.language import _, counted
from analyzer.render.quantities import count
from analyzer.render.untrusted import visible
from analyzer.render.words import STATES
from analyzer.tables import Protocol


def not_bound(failed: FailedBind, held: Held, process: str, times: int = 1) -> str:
    """What was wrong, as far as it is known, and what helps. It failed so many ``times``."""
    told = counted(
        "{process} could not bind() {protocol} port {port}: EADDRINUSE.",
        "{process} could not bind() {protocol} port {port}, {n} times: EADDRINUSE.", times,
    ).format(process=process, protocol=failed.protocol.name, port=failed.local[1], n=count(times))  # fmt: skip
    return f"{told} {_why(failed, held)}"


def _why(failed: FailedBind, held: Held) -> str:
    if failed.protocol == Protocol.UDP:
        if held.program:
            return _("{program} has it.").format(program=visible(held.program))
        return _("Another socket has it (ss -lunp shows whose).")
    if held.listens:
        if held.program:
            told = _("{program} listens there: end it, or take another port.").format(program=visible(held.program))
        else:
            told = _("Another program listens there (ss -ltnp shows which): end it, or take another port.")
        return f"{told} " + _("SO_REUSEADDR does not help then.")
    if held.states:
        states = _(", ").join(f"{count(number)} × {STATES[state].text}" for state, number in held.states)
        told = _("Earlier connections of that port still have it: {states}.").format(states=states)
        if failed.reuses:
            return f"{told} " + _(
                "This socket had SO_REUSEADDR, which helps only where they had it too: set it in every server, and "
                "wait this time (TIME-WAIT lasts 60 s)."
            )
        return f"{told} " + _("strace saw no SO_REUSEADDR on this socket: set it before bind(), in every server.")
    told = _(
        "Another socket has the port (ss -tanp shows which): a program that listens there, or an earlier server's "
        "connections in TIME-WAIT or FIN-WAIT-2."
    )
    if failed.reuses:
        return f"{told} " + _("This socket had SO_REUSEADDR; it helps only where the earlier one had it too.")
    return f"{told} " + _(
        "strace saw no SO_REUSEADDR on this socket: against the latter, set it before bind(), in every server."
    )
