"""Run a conformance harness and fail below the floors.

python tests/conformance_floors.py PATH/TO/run.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

FLOORS = {
    "tcpdump": 99.8, "wireshark": 99.0, "rfc-states": 99.0, "zeek": 99.0, "tcptrace": 98.0, "arkime": 99.0,
    "robust": 100.0,
}  # fmt: skip
"""Least percentage of the harness's headline for each kind."""

BESIDES = {
    "wireshark": {"connections with equal completeness": 99.5, "connections with the same packets": 99.5},
    "zeek": {"histories": 97.0},
}
"""Least percentage of other tallies."""


def main() -> None:
    harness = sys.argv[1]
    missed = []
    for kind, floor in FLOORS.items():
        with tempfile.TemporaryDirectory() as folder:
            figures = Path(folder) / "figures.json"
            subprocess.run([sys.executable, harness, "--kind", kind, "--json", str(figures)], check=True)
            result = json.loads(figures.read_text())[kind]
        if result["crashes"] or result["timeouts"]:
            missed.append(f"{kind}: {result['crashes']} crashes, {result['timeouts']} timeouts")
        for tally, least in {result["headline"]: floor, **BESIDES.get(kind, {})}.items():
            agreed, compared = result["tallies"][tally]
            if not compared or 100 * agreed < least * compared:
                missed.append(f"{kind}: {tally}: {agreed} of {compared}, floor {least} %")
    if missed:
        sys.exit("below the floor: " + "; ".join(missed))


if __name__ == "__main__":
    main()
