"""What is measured of an endpoint: round trips, silences, octets in flight, windows.

Sums are kept, from which a mean is a division; numbers of ENDPOINT that no sample has touched are 0.

Deviates: tcptrace measures the window of a SYN too, has no window of zero for the least, and counts an octet more in
flight, after pure ACKs too.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import ACK, KNOWS_SND, MOST_SQUARES, RST, SYN, Packets, Rows
from analyzer.tcp.seq import seq_diff

# Window scale of an endpoint that does not scale
NO_SCALE = 255
# A greater shift count is taken for this (RFC 7323 2.3)
MOST_SCALE = 14


@kernel(inline=True)
def note_round_trip(end: Rows, rtt_ns: int) -> None:
    """A segment of ``end`` was acknowledged after so long."""
    samples = wide(end["rtt_samples"])
    if samples == 0 or rtt_ns < wide(end["min_rtt_ns"]):
        end["min_rtt_ns"] = rtt_ns
    if rtt_ns > wide(end["max_rtt_ns"]):
        end["max_rtt_ns"] = rtt_ns
    end["rtt_samples"] = samples + 1
    end["rtt_sum_ns"] = wide(end["rtt_sum_ns"]) + rtt_ns
    # (2**10 a + b)**2 / 2**20, but for b**2, which is less than one
    a = min(rtt_ns >> 10, 0x7FFFFFFF)
    square = a * a + (2 * a * (rtt_ns & 0x3FF) >> 10)
    end["rtt_squares"] = min(wide(end["rtt_squares"]) + square, MOST_SQUARES)


@kernel(inline=True)
def note_silence(fwd: Rows, ts_ns: int) -> None:
    """``fwd`` sends a segment; its ``last_ns`` is still that of the one before."""
    if wide(fwd["packets"]) and ts_ns - wide(fwd["last_ns"]) > wide(fwd["max_idle_ns"]):
        fwd["max_idle_ns"] = ts_ns - wide(fwd["last_ns"])


@kernel(inline=True)
def note_in_flight(fwd: Rows) -> None:
    """``fwd`` sent a segment with payload: how much of what it sent is not acknowledged."""
    if not wide(fwd["known"]) & KNOWS_SND:
        return
    octets = max(0, seq_diff(wide(fwd["snd_nxt"]), wide(fwd["snd_una"])))
    if octets > wide(fwd["max_in_flight"]):
        fwd["max_in_flight"] = octets
    fwd["in_flight_sum"] = wide(fwd["in_flight_sum"]) + octets


@kernel(inline=True)
def note_window(fwd: Rows, rev: Rows, packets: Packets, i: int) -> None:
    """The window that ``fwd`` advertises in segment ``i``. A SYN's is not scaled, a RST's means nothing."""
    if wide(packets.flags[i]) & (ACK | SYN | RST) != ACK:
        return
    window = wide(packets.window[i])
    scale = wide(fwd["scale"])
    if 0 < scale < NO_SCALE and 0 < wide(rev["scale"]) < NO_SCALE:
        window <<= min(scale - 1, MOST_SCALE)
    windows = wide(fwd["windows"])
    if windows == 0 or window < wide(fwd["min_window"]):
        fwd["min_window"] = window
    if window > wide(fwd["max_window"]):
        fwd["max_window"] = window
    fwd["windows"] = windows + 1
    fwd["window_sum"] = wide(fwd["window_sum"]) + window
