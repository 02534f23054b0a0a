"""Compiled kernels: made by Numba once, kept on disk as object code, run without Numba from then on.

Importing Numba and waking its cache costs half a second, more than most captures take. So a kernel's object code is
kept as LLVM made it, and a later run needs llvmlite alone to load it and ctypes to call it: some 40 ms.

The folder is named by a hash of the package's sources and of what the code depends on besides: the processor, the
versions of Python, NumPy and Numba. A file in it is one kernel for one signature: a line of JSON, then the object.

A kernel is called as Numba's own compiled code would call it: ``int32 kernel(returned*, exception**, argument…)``,
every array given as (meminfo, parent, items, item size, data, shape…, strides…), tuples as their fields one after the
other. Arguments are arrays, ``NamedTuple``s of them, and integers; what is returned is nothing, an integer, or a tuple
of integers.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
import types
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class ObjectCode(NamedTuple):
    """A kernel, compiled for one signature."""

    octets: bytes
    symbol: str
    returns: int
    """Integers that it returns."""
    is_tuple: bool
    """Whether it returns them as a tuple."""


Compile = Callable[[types.FunctionType, tuple[Any, ...]], ObjectCode | None]
"""Compiles a kernel for the types of these arguments; None when it shall be interpreted."""

STALE_DAYS = 30
"""Code of sources that have not been run for so long is removed."""

RETURNED, RETURNED_NONE = 0, -2
"""Status of Numba's calling convention when no exception was raised."""


class NativeKernel:
    """A kernel that compiles itself for the arguments it is given, or finds that done before."""

    def __init__(self, function: types.FunctionType, compile_: Compile) -> None:
        self._function = function
        self._compile = compile_
        self._entries: dict[str, _Entry] = {}

    def __call__(self, *arguments: Any) -> Any:
        signature: list[str] = []
        words: list[int] = []
        for argument in arguments:
            _flatten(argument, signature, words)
        key = ",".join(signature)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._load(key, arguments, len(words))
            if entry is None:
                return self._function(*arguments)
            self._entries[key] = entry
        returned = (ctypes.c_int64 * max(1, entry.returns))()
        exception = ctypes.c_void_p()
        status = entry.call(ctypes.addressof(returned), ctypes.addressof(exception), *words)
        if status not in (RETURNED, RETURNED_NONE):
            raise RuntimeError(f"kernel {self._function.__qualname__} failed with status {status}")
        if entry.returns == 0:
            return None
        return returned[0] if not entry.is_tuple else tuple(returned)

    def _load(self, key: str, arguments: tuple[Any, ...], words: int) -> _Entry | None:
        file = cache_folder() / f"{_name(self._function)}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.kernel"
        made = _read(file)
        if made is None:
            made = self._compile(self._function, arguments)
            if made is None:
                return None
            _write(file, made)
        return _Entry(_link(made.symbol, made.octets, words), made.returns, made.is_tuple)


class _Entry(NamedTuple):
    """A kernel in memory."""

    call: Callable[..., int]
    returns: int
    is_tuple: bool


def _flatten(argument: Any, signature: list[str], words: list[int]) -> None:
    """Append an argument's type to ``signature`` and its words to ``words``."""
    if isinstance(argument, np.ndarray):
        layout = "C" if argument.flags.c_contiguous else "A"
        access = "w" if argument.flags.writeable else "r"
        signature.append(f"{_dtype_name(argument.dtype)}{argument.ndim}{layout}{access}")
        words += (0, 0, argument.size, argument.itemsize, argument.ctypes.data, *argument.shape, *argument.strides)
    elif isinstance(argument, tuple):
        signature.append(type(argument).__name__ + "(")
        for field in argument:
            _flatten(field, signature, words)
        signature.append(")")
    else:
        signature.append("i")
        words.append(int(argument))


@cache
def _dtype_name(dtype: np.dtype[Any]) -> str:
    return dtype.str if dtype.fields is None else hashlib.sha256(repr(dtype).encode()).hexdigest()


_engines: list[Any] = []
"""Engines own the code that they loaded."""


def _link(symbol: str, octets: bytes, words: int) -> Callable[..., int]:
    """Load object code and give its function, which takes so many words after two addresses. Calls release the GIL."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(octets))
    engine.finalize_object()
    _engines.append(engine)
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * (2 + words))
    return prototype(engine.get_function_address(symbol))


@cache
def cache_folder() -> Path:
    """Where the compiled kernels of exactly these sources are kept; it exists and can be written to."""
    name = f"kernels-{_fingerprint()}"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = Path(base) / "tcpflow-view" / name
    try:
        if folder.is_absolute():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.utime(folder)
            _remove_stale(folder.parent)
            if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
                return folder
    except OSError:
        pass
    # For this process alone: a folder that others might have made first is no place for code.
    folder = Path(tempfile.mkdtemp(prefix="tcpflow-view-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def is_on_disk(function: types.FunctionType) -> bool:
    """Whether a kernel's compiled code is on disk already, for some signature."""
    if function in _found:
        return True
    if next(cache_folder().glob(f"{_name(function)}-*.kernel"), None) is None:
        return False
    _found.add(function)
    return True


_found: set[types.FunctionType] = set()
"""Kernels that were found on disk."""


def _name(function: types.FunctionType) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _fingerprint() -> str:
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for source in sorted(package.rglob("*.py")):
        text = source.read_bytes()
        if b"@kernel" in text or source.parent == package:
            digest.update(source.relative_to(package).as_posix().encode() + b"\0" + text)
    depends_on = [platform.machine(), platform.python_version(), _processor(), os.environ.get("NUMBA_BOUNDSCHECK", "")]
    depends_on += [version(package) for package in ("numba", "numpy", "llvmlite")]
    digest.update("\0".join(depends_on).encode())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """The processor's features: code made for one that has more would not run here."""
    import llvmlite.binding as llvm

    return f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"


def _read(file: Path) -> ObjectCode | None:
    """A kernel from its file; None when there is none or it was damaged, for damaged code must not run."""
    try:
        head, _, octets = file.read_bytes().partition(b"\n")
        about = json.loads(head)
        if about["sha256"] != hashlib.sha256(octets).hexdigest():
            return None
        return ObjectCode(octets, about["symbol"], about["returns"], about["is_tuple"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(file: Path, made: ObjectCode) -> None:
    """Write a whole file or none, whoever else does the same."""
    about = {"symbol": made.symbol, "returns": made.returns, "is_tuple": made.is_tuple}
    about["sha256"] = hashlib.sha256(made.octets).hexdigest()
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as out:
            try:
                out.write(json.dumps(about).encode() + b"\n" + made.octets)
                out.flush()
                os.replace(out.name, file)
            except OSError:
                os.unlink(out.name)
    except OSError:
        pass  # the code is in memory; it will be compiled again next time


def _remove_stale(parent: Path) -> None:
    for folder in parent.glob("kernels-*"):
        if time.time() - folder.stat().st_mtime > STALE_DAYS * 86_400:
            shutil.rmtree(folder, ignore_errors=True)
