"""Whole-process benchmarks against the tools that do the same job: ratios measured in one run, medians of several.

    python benchmarks/run.py [--runs 5] [--quick] [--folder DIR]

Captures are generated into DIR (about 1.2 GB; with --quick a tenth of it). The two programs of a comparison are run in
turn, A B A B …, after one run of each that does not count. A tool that is not installed is left out, and said so.
Wall time, and peak resident memory as the operating system accounts for it. All write to /dev/null or, where it says
so, to a file in DIR.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

OURS = [sys.executable, "-m", "analyzer"]
GENERATE = [sys.executable, str(Path(__file__).with_name("generate.py"))]


class Cost(NamedTuple):
    """What a process took."""

    wall_s: float
    peak_mb: float


def cost_of(command: list[str], output: Path | None = None) -> Cost:
    """Run a command to its end."""
    with open(output or os.devnull, "wb") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)} failed with status {process.returncode}")
    return Cost(wall_s, usage.ru_maxrss / 1024)


def compare(title: str, ours: list[str], peer: list[str], runs: int, output: Path | None = None) -> None:
    """Run both in turn and print medians and their ratios."""
    if not shutil.which(peer[0]):
        print(f"{title}: {peer[0]} is not installed")
        return
    costs: list[tuple[Cost, Cost]] = []
    for k in range(runs + 1):
        pair = cost_of(ours, output), cost_of(peer, output)
        if k:
            costs.append(pair)
    ours_s, peer_s = (statistics.median(pair[k].wall_s for pair in costs) for k in (0, 1))
    ours_mb, peer_mb = (statistics.median(pair[k].peak_mb for pair in costs) for k in (0, 1))
    wall = statistics.median(a.wall_s / b.wall_s for a, b in costs)
    print(f"{title}")
    print(f"  ours {ours_s:6.2f} s {ours_mb:6.0f} MB   {peer[0]} {peer_s:6.2f} s {peer_mb:6.0f} MB   "
          f"ratio: time {wall:.2f}, memory {ours_mb / peer_mb:.2f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="captures of a tenth of the size")
    parser.add_argument("--folder", type=Path, help="keep the captures here")
    wanted = parser.parse_args()
    scale = 10 if wanted.quick else 1
    with tempfile.TemporaryDirectory(prefix="tcpflow-view-benchmarks-") as temporary:
        folder = wanted.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)

        def capture(packets: int, each: int = 30, at_a_time: int = 1000) -> str:
            file = folder / f"{packets}-{each}-{at_a_time}.pcap"
            if not file.exists():  # by another process: a child is booked with the peak of the one that starts it
                shape = "--packets", str(packets), "--packets-per-connection", str(each), "--open", str(at_a_time)
                subprocess.run([*GENERATE, str(file), *shape], check=True, stdout=subprocess.DEVNULL)
            return str(file)

        export = [*OURS, "export", "--records", "connections"]
        for packets in 10_000_000 // scale, 1_200_000 // scale:
            file = capture(packets)
            title = f"connections of {packets:,} packets, 30 each, against tcptrace -n"
            compare(title, [*export, file], ["tcptrace", "-n", file], wanted.runs)
        million = capture(1_000_000 // scale)
        text = [*OURS, "timeline", "--tcpdump", "-n", million]
        title = f"tcpdump's text of {1_000_000 // scale:,} packets into a file"
        compare(title, text, ["tcpdump", "-n", "-r", million], wanted.runs, folder / "text")
        filtered = ["timeline", "--tcpdump", "-n", million, "host", "10.0.0.1", "and", "port", "10007"]
        peer = ["tcpdump", "-n", "-r", million, "host 10.0.0.1 and port 10007"]
        compare(f"a filter over {1_000_000 // scale:,} packets", [*OURS, *filtered], peer, wanted.runs)

        print("cost per packet, the cost of starting and of loading compiled code taken off (a record's cost is in it)")
        os.environ["TCPFLOW_VIEW_JIT"] = "always"
        cost_of([*export, capture(7, 7, 1)])
        base = statistics.median(cost_of([*export, capture(7, 7, 1)]).wall_s for _ in range(wanted.runs))
        shapes = [(100_000, 30, 1000), (1_000_000, 30, 1000), (10_000_000, 30, 1000),
                  (1_000_000, 1_000_000, 1), (1_000_000, 10, 1000), (3_000_000, 10, 300_000)]  # fmt: skip
        for packets, each, at_a_time in shapes:
            packets, each = packets // scale, min(each, packets // scale)
            file = capture(packets, each, at_a_time)
            cost = statistics.median(cost_of([*export, file]).wall_s for _ in range(wanted.runs))
            print(f"  {packets:>10,} packets in {max(1, packets // each):>7,} connections: "
                  f"{(cost - base) / packets * 1e9:4.0f} ns")  # fmt: skip


if __name__ == "__main__":
    main()
