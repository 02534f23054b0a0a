"""What the plots of a connection are drawn from: columns as JSON, bounded.

``page/plots*.js`` draws them. Times are nanoseconds since the first packet, and exact. A column is one of

- ``{"constant": 5}``: the same for every packet,
- ``{"type": "u2", "data": BASE64}``: little-endian numbers; ``f8`` is IEEE 754, exact up to 2**53,
- ``{"type": "u2", "from": 5, "data": BASE64}``: each is to be added to the one before, the first to 5.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from analyzer.render.words import EVENTS
from analyzer.report.course import NONE, Course, course_of, is_scaled
from analyzer.report.languages import told
from analyzer.report.thinning import kept, remarkable
from analyzer.tables import I64, Event, Life, Protocol, Rows, Side

MOST_POINTS = 20_000
"""Packets of a connection that a page has in its plots: about 55 octets each."""

_KINDS = ("u1", "i1", "u2", "i2", "u4", "i4")


def plot_data(life: Life, connection: Rows, endpoints: Rows, most: int = MOST_POINTS) -> dict[str, Any]:
    """All that the plots of one connection show, of at most ``most`` packets, to be written as JSON.

    ``life`` should be whole; what was left out of it is told. ``connection`` and ``endpoints`` are its rows.
    """
    course = course_of(life, endpoints)
    rows = kept(course, most)
    order = np.argsort(course.time_ns[rows], kind="stable")
    columns = {name: values[rows][order] for name, values in course._asdict().items() if name not in ("end", "sack")}
    columns |= {name: values[order] for name, values in _stood_for(course, rows).items()}
    sack = course.sack[rows][order].reshape(-1, 2)
    blocks = np.flatnonzero(sack[:, 0] != NONE)
    marked = remarkable(course)
    return {
        "protocol": Protocol(int(connection["protocol"])).name.lower(),
        "first_ns": str(int(life.ts_ns[0])),  # as a string: JSON's numbers are not exact so far up
        "packets": len(life.number),
        "drawn": len(rows),
        "remarkable": int(marked.sum()),
        "remarkable_drawn": int(marked[rows].sum()),
        "left_out": life.omitted,
        "scaled": is_scaled(endpoints),
        "sides": [_measures(endpoints[side]) for side in Side],
        "events": _event_words(course),
        "columns": {name: column(values) for name, values in columns.items()},
        "sack": {
            "packet": column(blocks // 4),  # four blocks a packet
            "left": column(sack[blocks, 0]),
            "right": column(sack[blocks, 1]),
        },
    }


def column(values: np.typing.NDArray[Any]) -> dict[str, Any]:
    """A column of integers in the shortest of its forms."""
    values = values.astype(np.int64)
    if len(values) and (values == values[0]).all():
        return {"constant": int(values[0])}
    form: dict[str, Any] = {"type": _kind(values)}
    if len(values):
        steps = np.diff(values, prepend=values[0])
        if np.dtype(_kind(steps)).itemsize < np.dtype(form["type"]).itemsize:
            form, values = {"type": _kind(steps), "from": int(values[0])}, steps
    return form | {"data": base64.b64encode(values.astype("<" + form["type"]).tobytes()).decode()}


def _kind(values: I64) -> str:
    """The narrowest type that holds all of them."""
    if not len(values):
        return "u1"
    least, most = int(values.min()), int(values.max())
    fits = (kind for kind in _KINDS if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max)
    return next(fits, "f8")


def _stood_for(course: Course, rows: I64) -> dict[str, I64]:
    """For each row that is kept the packets and the octets of its side since the one before of that side, itself
    included."""
    packets, octets = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    is_copy = course.events >> np.uint32(Event.CAPTURE_DUPLICATE) & 1 == 1
    for side in Side:
        mine = course.side == side
        here = mine[rows]
        packets[here] = np.diff(np.cumsum(mine)[rows[here]], prepend=0)
        octets[here] = np.diff(np.cumsum(np.where(mine & ~is_copy, course.payload_len, 0))[rows[here]], prepend=0)
    return {"packets": packets, "octets": octets}


def _event_words(course: Course) -> Any:
    """The words of the events that there are, by their bits' numbers, in every language."""
    bits = int(np.bitwise_or.reduce(course.events))
    return told(lambda: {str(int(event)): EVENTS[event].text for event in Event if bits >> event & 1})


_MEASURES = (
    "packets", "payload_bytes", "retransmitted_packets", "retransmitted_bytes", "out_of_order_packets",
    "duplicate_acks", "zero_windows", "rtt_samples", "min_rtt_ns", "max_rtt_ns", "max_in_flight", "windows",
    "min_window", "max_window", "max_idle_ns",
)  # fmt: skip


def _measures(endpoint: Rows) -> dict[str, int]:
    """What the summary says of one side."""
    measures = {name: int(endpoint[name]) for name in _MEASURES}
    return measures | {"mean_rtt_ns": int(endpoint["rtt_sum_ns"]) // max(1, measures["rtt_samples"])}
