"""Network namespaces for the recorded programs, so that nothing else speaks on their interfaces. Needs root.

A Linux thread can have a network namespace of its own; its sockets stay there, and threads that it starts inherit it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000


def in_new_namespace(run: Callable[[], Result]) -> Result:
    """What ``run()`` returns, run by a thread in a fresh network namespace whose only interface, lo, is up."""

    def isolated() -> Result:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "a network namespace needs root")
        ip("link set lo up")
        return run()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(isolated).result()


def ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True)


def set_sysctl(name: str, value: int) -> None:
    """Set net.NAME of this thread's namespace; the name's parts are parted by slashes."""
    Path("/proc/sys/net", name).write_text(str(value))


def plug(address: str, peer: str, mtu: int) -> int:
    """Give this namespace the interface tun0 with an address; the file whose reads and writes are its packets."""
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN | IFF_NO_PI))
    ip(f"address add {address} peer {peer} dev tun0")
    set_sysctl("ipv6/conf/tun0/disable_ipv6", 1)
    ip(f"link set tun0 mtu {mtu} up")
    return tun


@contextlib.contextmanager
def wire(ends: tuple[int, int], delay: float, loses: Callable[[bytes], bool] = lambda packet: False) -> Iterator[None]:
    """Carry packets between two plugs, each after ``delay`` seconds, except those that ``loses(packet)`` claims."""
    cut = threading.Event()

    def carry() -> None:
        under_way: deque[tuple[float, int, bytes]] = deque()
        while not cut.is_set():
            wait = max(under_way[0][0] - time.monotonic(), 0) if under_way else 0.1
            for end in select.select(ends, [], [], wait)[0]:
                packet = os.read(end, 65535)
                if not loses(packet):
                    under_way.append((time.monotonic() + delay, ends[1 - ends.index(end)], packet))
            while under_way and under_way[0][0] <= time.monotonic():
                _, end, packet = under_way.popleft()
                os.write(end, packet)

    with ThreadPoolExecutor(1) as thread:
        carrying = thread.submit(carry)
        try:
            yield
        finally:
            cut.set()
            carrying.result()
            for end in ends:
                os.close(end)
