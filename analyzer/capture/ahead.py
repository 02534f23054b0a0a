"""Compiled code for those who cannot wait for a compile: another process makes it while packets already come.

Compiling takes seconds, in which nobody would take packets out of the ring. So a process that captures compiles nothing
itself. What is on disk (native.py) is loaded before the first packet; where something is missing, kernels run
interpreted until a process of low priority has compiled them, each as soon as its code is there.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

from analyzer import jit

_REHEARSE = "import importlib, os, sys; os.nice(10); importlib.import_module(sys.argv[1]).rehearse()"

PATIENCE_S = 1.0
"""A capture that is over so soon, with few packets, has no use for compiled code."""


class CompiledAhead:
    """Sees to it that a long capture runs compiled kernels.

    ``module`` names a module with a function ``rehearse()``, which calls all kernels that will be needed, with
    arguments of the types that they will be given; those that matter most come first. None is for a process that does
    more than capture: nothing is changed in it, and kernels run as ``jit`` decides.

    Attributes: ``is_ready`` whether there is nothing (more) to wait for.
    """

    def __init__(self, module: str | None) -> None:
        self.is_ready = True
        self._process: subprocess.Popen[bytes] | None = None
        if module is None:
            return
        self._module = module
        self._packets = 0
        self._began = time.monotonic()
        jit.only_from_disk()
        if jit.mode() != "never":
            importlib.import_module(module).rehearse()
        self.is_ready = not jit.lacks_code()

    def tick(self, packets: int = 0) -> None:
        """Tell how time goes by, and that so many packets came."""
        if self.is_ready:
            return
        self._packets += packets
        if self._process is None:
            if self._packets >= jit.WARM_PACKETS or time.monotonic() - self._began >= PATIENCE_S:
                self._start()
        elif self._process.poll() is not None:
            self.is_ready = True  # or it failed, and would fail again

    def _start(self) -> None:
        nowhere = subprocess.DEVNULL
        environment = os.environ | {"TCPFLOW_VIEW_JIT": "always", "PYTHONPATH": os.pathsep.join(_path())}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _REHEARSE, self._module],
                env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True,
            )  # fmt: skip
        except OSError:  # such as when root was given up, and the user may not run this Python
            self.is_ready = True

    def close(self) -> None:
        """End the process, if it is still there."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def _path() -> list[str]:
    """Where the process finds this package, and what this process finds besides."""
    return [str(Path(__file__).parents[2]), *filter(None, sys.path)]
