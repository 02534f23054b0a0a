"""One source, two ways to run it.

A function marked ``@kernel`` is plain Python over arrays and stays so. ``fastest(function)`` gives what a caller
should run: the function itself, or the same function compiled by Numba. Which one is a matter of how much there is
to do, because a compile costs seconds and importing the compiler costs more than a small capture takes:

- ``TCPFLOW_VIEW_JIT=always`` or ``never`` decides; so does Numba's own ``NUMBA_DISABLE_JIT=1``;
- otherwise compiled code is used as soon as ``expect(packets)`` was told of enough packets to pay for it: a few
  thousand when the kernel's code is on disk, more when it must be made first;
- a process that must not stop for a compile says ``only_from_disk()``: compiled code is used as soon as it is there.

Rules for kernels (tests/test_layout.py and the interpreted test run keep them):

- A kernel calls other kernels by their imported name (``from analyzer.tcp.seq import seq_diff``), not through a module.
- Tables are arguments; a kernel reads no module-level array. Module-level ints and ``IntEnum`` members are constants.
- Every integer loaded from an array or a record goes through ``wide``: a Python int when interpreted, an int64 when
  compiled. NumPy's own scalars promote differently in the two.
- ``@kernel(inline=True)`` puts the kernel's code where it is called. A kernel that takes a batch's columns (a
  NamedTuple of arrays) needs it: passing them by value costs more than most kernels do. One that is called from many
  places, on integers and single arrays, is better left as a function: the compile stays short.
- A kernel allocates nothing: no new arrays, lists, strings. Division by zero is not caught.
- Bounds are checked before octets are read: a compiled kernel reads past the end of its array without a word.
- No exceptions, strings, dicts; what is malformed is a status code.

How it is compiled stands in whole_program.py, how compiled code is kept and called in native.py.
"""

from __future__ import annotations

import gc
import os
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, ParamSpec, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")

# Packets from which compiled code wins: loading it from the cache costs about as much as interpreting the first
# number of packets, compiling it about as much as interpreting the second.
WARM_PACKETS = 1_500
COLD_PACKETS = 40_000

wide = int
"""Widen an integer on load: ``int`` when interpreted, ``numpy.int64`` when compiled."""

_inline: dict[types.FunctionType, bool] = {}
_expected_packets = 0
_expected_now = 0
_only_from_disk = False
_lacking: set[types.FunctionType] = set()


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
    global _expected_packets, _expected_now
    _expected_packets += packets
    _expected_now += packets


def expect_anew() -> None:
    """What is analysed from here on must pay for a compile by itself: a caller of many small ones never waits for it.

    What is on disk is used as before, when all that was told pays for loading it.
    """
    global _expected_now
    _expected_now = 0


def only_from_disk() -> None:
    """Compile nothing in this process: run what is compiled already, also for few packets, and interpret the rest."""
    global _only_from_disk
    _only_from_disk = mode() == "auto"
    _lacking.clear()


def lacks_code() -> bool:
    """Whether a kernel had to be interpreted since ``only_from_disk``, for want of compiled code."""
    return bool(_lacking)


def mode() -> str:
    """``always``, ``never`` or ``auto``."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return "never"
    return os.environ.get("TCPFLOW_VIEW_JIT", "auto")


def compiles(function: Callable[..., Any], cold_packets: int = COLD_PACKETS) -> bool:
    """Whether ``fastest`` gives the compiled form of a kernel now."""
    assert isinstance(function, types.FunctionType)
    wanted = mode()
    if wanted != "auto":
        return wanted == "always"
    if not _only_from_disk:
        if _expected_packets < WARM_PACKETS:
            return False
        if _expected_now >= cold_packets:
            return True
    from analyzer.native import is_on_disk

    found = is_on_disk(function)
    if not found and _only_from_disk:
        _lacking.add(function)
    return found


def fastest(function: Callable[P, R], cold_packets: int = COLD_PACKETS) -> Callable[P, R]:
    """The kernel itself, or its compiled form when that pays (see the module's text).

    ``cold_packets``: from so many packets on it pays to compile it, not just to load it.
    """
    assert isinstance(function, types.FunctionType)
    return _native(function) if compiles(function, cold_packets) else function


@cache
def _native(function: types.FunctionType) -> Any:
    from analyzer.native import NativeKernel

    return NativeKernel(function, _object_code)


def _object_code(function: types.FunctionType, arguments: tuple[Any, ...]) -> Any:
    if _only_from_disk and mode() == "auto":
        _lacking.add(function)
        return None
    import numba
    from numba.core.compiler_lock import global_compiler_lock

    from analyzer.native import ObjectCode
    from analyzer.whole_program import whole_program_target

    typeof: Any = numba.typeof
    integer: Any = numba.types.Integer
    signature = tuple(typeof(argument) for argument in arguments)
    lock: Any = global_compiler_lock
    with lock, _garbage_kept():
        try:
            made = _compiled(function, signature, whole_program_target())
            octets = made.library.object_code(made.fndesc.llvm_func_name)
        except Exception:
            # It relies on more of Numba's inside than another version may have. An error of the kernel comes again.
            made = _compiled(function, signature, "cpu")
            octets = made.library._codegen._tm.emit_object(made.library._final_module)
    returned: Any = made.signature.return_type
    is_tuple = isinstance(returned, numba.types.BaseTuple)
    parts = list(returned) if is_tuple else [] if returned == numba.types.none else [returned]
    if not all(isinstance(part, integer) and part.bitwidth == 64 for part in parts):
        raise TypeError(f"kernel {function.__qualname__} returns {returned}, not 64-bit integers")
    return ObjectCode(octets, made.fndesc.llvm_func_name, len(parts), is_tuple)


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """The garbage collector would look again and again at all that Numba made, for a fifth of the compile's time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _compiled(function: types.FunctionType, signature: tuple[Any, ...], target: str) -> Any:
    dispatcher = _dispatcher(function, target)
    dispatcher.compile(signature)
    return dispatcher.overloads[signature]


@cache
def _dispatcher(function: types.FunctionType, target: str) -> Any:
    """The Numba dispatcher of a kernel: of a twin of it that sees other kernels' dispatchers and the wide ``wide``."""
    import numba
    import numpy

    names = dict(function.__globals__)
    for name in function.__code__.co_names:
        value = names.get(name)
        if name == "wide":
            names[name] = numpy.int64
        elif isinstance(value, types.FunctionType) and value in _inline:
            names[name] = _dispatcher(value, target)
    twin = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    njit: Any = numba.njit
    twin.__module__, twin.__qualname__ = function.__module__, function.__qualname__
    # Without reference counts (_nrt), which kernels have no use for, a loop over columns runs five times as fast.
    return njit(
        nogil=True, error_model="numpy", forceinline=_inline[function], no_cpython_wrapper=True,
        no_cfunc_wrapper=True, _nrt=False, _target=target,
    )(twin)  # fmt: skip
