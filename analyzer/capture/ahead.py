"""Compiled code for a live capture, made by another process while packets already come.

Compiling takes seconds, in which nobody would take packets out of the ring. So the kernels run interpreted until a
process of low priority has compiled them and left them in the cache (native.py), from where they are loaded at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from analyzer import jit

_REHEARSE = "import importlib, os, sys; os.nice(10); importlib.import_module(sys.argv[1]).rehearse()"


class CompiledAhead:
    """Sees to it that a long capture runs compiled kernels.

    ``module`` names a module with a function ``rehearse()``, which calls all kernels that will be needed, with
    arguments of the types that they will be given.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._packets = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = jit.mode() != "auto"

    def came(self, packets: int) -> None:
        """Tell that so many packets came. Interpreted kernels are fast enough for the first ones."""
        if self._ready:
            jit.expect(packets)
            return
        self._packets += packets
        if self._process is None:
            if self._packets >= jit.WARM_PACKETS:
                self._process = _start(self._module)
        elif self._process.poll() == 0:
            self._ready = True
            jit.expect(self._packets)

    def close(self) -> None:
        """End the process, if it is still there."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def _start(module: str) -> subprocess.Popen[bytes]:
    nowhere = subprocess.DEVNULL
    environment = os.environ | {"TCPFLOW_VIEW_JIT": "always", "PYTHONPATH": os.pathsep.join(_path())}
    return subprocess.Popen(
        [sys.executable, "-c", _REHEARSE, module],
        env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True,
    )  # fmt: skip


def _path() -> list[str]:
    """Where the process finds this package, and what this process finds besides."""
    return [str(Path(__file__).parents[2]), *filter(None, sys.path)]
