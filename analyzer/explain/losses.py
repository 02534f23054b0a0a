"""What to think of findings when the capture lost packets, or its filter left some out: which of them may only be
missing here."""

from __future__ import annotations

from analyzer.explain.causes import Cause, actor_of, cause_of
from analyzer.explain.circumstances import Remark, remarks_on
from analyzer.language import _, counted
from analyzer.tables import Event, Rows, Side

DOUBTFUL_EVENTS = 1 << Event.LOST_SEGMENT | 1 << Event.ACK_LOST_SEGMENT
"""Events that say that a segment was not captured: a loss on the way and one by the capture look the same."""

_CAUSES = (
    Cause.UNANSWERED, Cause.SYN_ACK_UNANSWERED, Cause.HALF_CLOSED, Cause.OPEN, Cause.ABORTED_BY_CLIENT,
    Cause.ABORTED_BY_SERVER, Cause.HALF_OPEN, Cause.KEEP_ALIVE_TIMEOUT, Cause.RETRANSMISSION_TIMEOUT, Cause.IDLE_RESET,
    Cause.CLIENT_VANISHED, Cause.SERVER_VANISHED, Cause.LIKELY_ACCEPT_QUEUE_FULL,
)  # fmt: skip
_REMARKS = (
    Remark.LAST_ACK, Remark.NO_FIN_BEFORE_RST, Remark.FIN_UNACKNOWLEDGED, Remark.START_UNSEEN, Remark.ONE_SIDED,
)  # fmt: skip
"""They speak of a packet that was not seen."""


def doubt(connection: Rows, endpoints: Rows, lost: int, *, filter_cuts: bool = False) -> str:
    """A sentence where what is told of a connection may come from the ``lost`` packets, or from a filter that may take
    some packets of a connection and leave others; else empty."""
    cause = Cause(cause_of(connection, *endpoints))
    if not (lost or filter_cuts) or cause == Cause.NONE:
        return ""
    actor = Side(actor_of(cause, connection, *endpoints))
    remarks = remarks_on(cause, actor, connection, *endpoints)
    has_gaps = bool(endpoints["history_gaps"].any())
    if cause not in _CAUSES and not has_gaps and not any(remarks >> remark & 1 for remark in _REMARKS):
        return ""
    if not lost:
        return _("What seems to be missing here may have been left out by the filter.")
    text = counted(
        "The capture lost a packet: what seems to be missing here may be among them.",
        "The capture lost {n} packets: what seems to be missing here may be among them.",
        lost,
    )
    return text.format(n=f"{lost:,}")
