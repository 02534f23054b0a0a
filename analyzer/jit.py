"""One source, two ways to run it.

A function marked ``@kernel`` is plain Python over arrays and stays so. ``fastest(function)`` gives what a caller
should run: the function itself, or the same function compiled by Numba. Which one is a matter of how much there is
to do, because a compile costs seconds and importing the compiler costs more than a small capture takes:

- ``TCPFLOW_VIEW_JIT=always`` or ``never`` decides; so does Numba's own ``NUMBA_DISABLE_JIT=1``;
- otherwise compiled code is used as soon as ``expect(packets)`` was told of enough packets to pay for it: a few
  thousand when the compiled code is in the cache, more when it must be made first.

Rules for kernels (tests/test_layout.py and the interpreted test run keep them):

- A kernel calls other kernels by their imported name (``from analyzer.tcp.seq import seq_lt``), never through a module.
- Tables are arguments; a kernel reads no module-level array. Module-level ints and ``IntEnum`` members are constants.
- Every integer loaded from an array or a record goes through ``wide``: a Python int when interpreted, an int64 when
  compiled. NumPy's own scalars promote differently in the two.
- ``@kernel(inline=True)`` puts the kernel's code where it is called. A kernel that takes a batch's columns (a NamedTuple
  of arrays) needs it: passing them by value costs more than most kernels do. One that is called from many places, on
  integers and single arrays, is better left as a function: the compile stays short.
- A kernel allocates nothing: no new arrays, lists, strings. Division by zero is not caught.
- Bounds are checked before octets are read: a compiled kernel reads past the end of its array without a word.
- No exceptions, strings, dicts; what is malformed is a status code.

The cache folder is named by a hash of the package's sources, since Numba does not notice that a callee in another
file was edited.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")

# Packets from which compiled code wins: loading it from the cache costs about as much as interpreting the first
# number of packets, compiling it about as much as interpreting the second.
WARM_PACKETS = 3_000
COLD_PACKETS = 40_000

wide = int
"""Widen an integer on load: ``int`` when interpreted, ``numpy.int64`` when compiled."""

_inline: dict[types.FunctionType, bool] = {}
_compiled: dict[tuple[types.FunctionType, bool], Any] = {}
_expected_packets = 0


@overload
def kernel(function: Callable[P, R], *, inline: bool = False) -> Callable[P, R]: ...
@overload
def kernel(function: None = None, *, inline: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def kernel(
    function: Callable[P, R] | None = None, *, inline: bool = False
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as a kernel: compilable, and callable from other kernels."""
    if function is None:
        return lambda marked: kernel(marked, inline=inline)
    assert isinstance(function, types.FunctionType)
    _inline[function] = inline
    return function


def expect(packets: int) -> None:
    """Tell how many packets (an estimate) are about to be analysed, in addition to what was told before."""
    global _expected_packets
    _expected_packets += packets


def mode() -> str:
    """``always``, ``never`` or ``auto``."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return "never"
    return os.environ.get("TCPFLOW_VIEW_JIT", "auto")


def compiles() -> bool:
    """Whether ``fastest`` compiles now."""
    wanted = mode()
    if wanted == "auto":
        if _expected_packets < WARM_PACKETS:
            return False
        return _expected_packets >= COLD_PACKETS or is_warm()
    return wanted == "always"


def fastest(function: Callable[P, R]) -> Callable[P, R]:
    """The kernel itself, or its compiled form when that pays (see the module's text)."""
    assert isinstance(function, types.FunctionType)
    if not compiles():
        return function
    return _compile(function, entry=True)  # type: ignore[no-any-return]


def cache_folder() -> Path:
    """Where compiled kernels of exactly these sources are kept."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for source in sorted(package.rglob("*.py")):
        text = source.read_bytes()
        if b"@kernel" in text or source.parent == package:
            digest.update(source.relative_to(package).as_posix().encode() + b"\0" + text)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = Path(base) / "tcpflow-view" / f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"tcpflow-view-{user}" / folder.name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def is_warm() -> bool:
    """Whether compiled code of these sources is in the cache already."""
    return next(cache_folder().rglob("*.nbi"), None) is not None


def _compile(function: types.FunctionType, *, entry: bool) -> Any:
    """The Numba dispatcher of a kernel. An entry is cached on disk, with its callees' code inside."""
    if (function, entry) not in _compiled:
        _compiled[function, entry] = _dispatcher(function, entry=entry)
    return _compiled[function, entry]


def _dispatcher(function: types.FunctionType, *, entry: bool) -> Any:
    import numba
    import numpy

    if entry:
        numba.config.CACHE_DIR = str(cache_folder())
    names = dict(function.__globals__)
    for name in function.__code__.co_names:
        value = names.get(name)
        if name == "wide":
            names[name] = numpy.int64
        elif isinstance(value, types.FunctionType) and value in _inline:
            names[name] = _compile(value, entry=False)
    twin = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    twin.__module__, twin.__qualname__ = function.__module__, function.__qualname__
    inline = _inline[function] and not entry
    # Without reference counts (_nrt), which kernels have no use for, a loop over columns runs five times as fast.
    return numba.njit(cache=entry, nogil=True, error_model="numpy", forceinline=inline, _nrt=False)(twin)
