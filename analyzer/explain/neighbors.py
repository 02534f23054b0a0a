"""What other connections of a capture show about one that nothing answered."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from analyzer.tables import Protocol, Rows, Side


def answered_elsewhere(row: int, connections: Rows, endpoints: Rows) -> int:
    """The number of the latest of CONNECTION[n] before this row, else of the first after it, to the same server's end
    that a SYN-ACK of ENDPOINT[n, Side] answered; 0 where there is none."""
    one = connections[row]
    same = (connections["protocol"] == Protocol.TCP) & (endpoints["syns"][:, Side.SERVER] > 0)
    same &= (connections["server_port"] == one["server_port"]) & (connections["ip_version"] == one["ip_version"])
    same &= (connections["address"][:, 4:] == one["address"][4:]).all(axis=1)
    found = np.flatnonzero(same)
    if not len(found):
        return 0
    before = found[found < row]
    return int(connections["number"][before[-1] if len(before) else found[0]])


def ends_that_answered(connections: Rows, endpoints: Rows) -> npt.NDArray[np.bool_]:
    """For each of CONNECTION[n] with ENDPOINT[n, Side] whether a SYN-ACK came from its server's end, in any of them."""
    words = np.zeros((len(connections), 6), ">u4")
    words[:, :4] = connections["address"][:, 4:]
    words[:, 4], words[:, 5] = connections["server_port"], connections["ip_version"]
    has_answered = (connections["protocol"] == Protocol.TCP) & (endpoints["syns"][:, Side.SERVER] > 0)
    _, groups = np.unique(words.view("V24").reshape(-1), return_inverse=True)
    answered: npt.NDArray[np.bool_] = np.bincount(groups, weights=has_answered) > 0
    return answered[groups]
