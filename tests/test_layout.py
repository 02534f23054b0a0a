"""The rules of the house: who imports whom, third parties' doors, names, lengths, what a kernel may do."""

from __future__ import annotations

import ast
import dis
import importlib
import re
import types
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from pathlib import Path

import pytest

from analyzer import jit

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "analyzer"
SOURCES = sorted(PACKAGE.rglob("*.py"))
BESIDES = [path for room in ("tests", "captures", "benchmarks") for path in sorted((ROOT / room).rglob("*.py"))]

LEAVES = {"tables", "traces", "flaws", "streams", "jit", "native", "errors"}

MAY_IMPORT = {
    "tables": set(),
    "streams": {"tables"},
    "traces": {"tables", "jit"},
    "flaws": set(),
    "errors": {"language"},
    "language": set(),
    "mixing": set(),
    "native": set(),
    "jit": {"native", "whole_program"},
    "whole_program": set(),
    "capture": LEAVES | {"language"},
    "decode": LEAVES,
    "tcp": LEAVES,
    "strace": set(),
    "dissect": {"language", "capture.saving", "tables", "errors"},
    "pipeline": {"language", "capture", "decode", "tcp", "tables", "traces", "streams", "errors"},
    "explain": {"language", "strace", "tcp.seq", "tcp.states", "tcp.summary", "tables", "traces", "flaws", "jit"},
    "compare": {"language", "mixing", "explain", "tcp.states", "tcp.summary", "tables"},
    "render": {
        "language",
        "compare",
        "explain",
        "dissect",
        "tcp.states",
        "tcp.summary",
        "tables",
        "flaws",
        "streams",
        "errors",
    },
    "report": {
        "language",
        "render",
        "explain",
        "export",
        "dissect.told",
        "tcp.states",
        "tcp.summary",
        "tables",
        "flaws",
        "streams",
        "errors",
        "jit",
    },
    "export": {"language", "mixing", "compare", "explain", "tcp.states", "tcp.summary", "tables", "errors", "jit"},
    "tui": {"language", "render", "explain", "tcp.states", "tcp.summary", "tables", "errors"},
    "api": {
        "language",
        "render",
        "export",
        "pipeline",
        "explain",
        "capture",
        "tcp.states",
        "tables",
        "streams",
        "errors",
        "jit",
    },
    "expect": {"language", "render", "export", "tcp.states", "errors"},
    "cli": {
        "language",
        "api",
        "expect",
        "tui",
        "report",
        "render",
        "export",
        "pipeline",
        "compare",
        "explain",
        "strace",
        "dissect",
        "capture",
        "tables",
        "streams",
        "errors",
        "jit",
    },
    "testing": {"expect", "language"},
    "pytest_plugin": {"language", "render", "api", "capture", "errors"},
    "__main__": {"cli"},
    "__init__": {"api", "errors", "tables"},
}
"""What a room may import besides itself; ``render/tcpdump`` may import ``jit`` too, for it is compiled text.

Before ``explain``, only texts of errors are in a ``language``.
"""

DOORS = {
    "numba": {"jit.py", "whole_program.py"},
    "llvmlite": {"native.py", "whole_program.py"},
    "scapy": {"capture/live.py", "capture/scapy_packets.py"},
    "cypcap": {"capture/filter.py"},
    "pyshark": {"dissect/sharks.py"},
    "jinja2": {"report/page.py"},
    "pandas": {"api/data_frames.py"},
    "polars": {"api/data_frames.py"},
    "pyarrow": {"export/arrow.py"},
    "markupsafe": {"report/page.py"},
    "click": {"cli/"},
    "rich": {"cli/", "render/"},
    "pytest": {"pytest_plugin.py"},
}
"""Third parties, and the files or folders of the package that import them."""

HEAVY = {"numba", "llvmlite", "scapy", "cypcap", "pyshark", "pyarrow"}
"""Third parties that are imported inside functions: who does not use them does not pay for them."""

LONGEST_FILE = 600


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(name: str) -> str:
    return name.split("/")[0].removesuffix(".py")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of imported modules, ``package.name`` for each name of ``from package import``.

    What stands under ``if TYPE_CHECKING`` is for the type checker alone and is no dependency.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node)


def may_import(room: str, name: str, target: str) -> bool:
    allowed = MAY_IMPORT[room] | ({"jit"} if name.startswith("render/tcpdump/") else set())
    parts = target.split(".")
    return parts[0] == room or parts[0] in allowed or ".".join(parts[:2]) in allowed


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_flow_one_way(path: Path) -> None:
    name = name_of(path)
    targets = {full.removeprefix("analyzer.") for full in imports(parsed(path)) if full.startswith("analyzer")}
    assert {target for target in targets if not may_import(room_of(name), name, target)} == set()


def test_every_room_is_known() -> None:
    assert {room_of(name_of(path)) for path in SOURCES} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_third_parties_have_one_door(path: Path) -> None:
    name = name_of(path)
    for full in imports(parsed(path)):
        party = full.split(".")[0]
        doors = DOORS.get(party, {""})
        assert any(name == door or name.startswith(door) for door in doors), full


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_heavy_imports_are_late(path: Path) -> None:
    tree = parsed(path)
    tree.body = [
        node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    assert {full for full in imports(tree) if full.split(".")[0] in HEAVY} == set()


def test_imports_are_seen_wherever_they_stand() -> None:
    tree = ast.parse("""
import a.b
if TYPE_CHECKING:
    from c import d
def f():
    try:
        from e.f import g, h
    except ImportError:
        import i
""")
    assert list(imports(tree)) == ["a.b", "e.f.g", "e.f.h", "i"]


@pytest.mark.parametrize("path", SOURCES + BESIDES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_and_lengths(path: Path) -> None:
    words = set(re.split(r"[/_.]", path.relative_to(ROOT).as_posix()))
    assert not words & {"utils", "util", "core", "common", "helpers", "helper", "misc", "fast", "impl"}
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


# ---------------------------------------------------------------- kernels

KERNEL_SOURCES = [path for path in SOURCES if re.search(r"^@kernel", path.read_text(encoding="utf-8"), re.MULTILINE)]

BUILTINS = {"abs", "bool", "divmod", "int", "len", "max", "min", "range"}

ARITHMETIC = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.AugAssign)

FORBIDDEN = (
    ast.Raise, ast.Try, ast.With, ast.Assert, ast.Dict, ast.List, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp,
    ast.GeneratorExp, ast.JoinedStr, ast.Lambda, ast.FunctionDef, ast.Global, ast.Yield,
)  # fmt: skip


def kernels(path: Path) -> list[ast.FunctionDef]:
    return [
        node
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef) and any("kernel" in ast.unparse(mark) for mark in node.decorator_list)
    ]


def faults(kernel: ast.FunctionDef) -> list[str]:
    """What a kernel's source does against the rules of jit.py."""
    body = kernel.body[1:] if ast.get_docstring(kernel) else kernel.body
    found = []
    for node in (node for statement in body for node in ast.walk(statement)):
        where = f"{kernel.name}: {ast.unparse(node)}" if isinstance(node, ast.expr | ast.stmt) else ""
        if isinstance(node, FORBIDDEN):
            found.append(f"{where}: a {type(node).__name__}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found.append(f"{where}: a call that is not by an imported name")
        if isinstance(node, ARITHMETIC):
            for operand in ast.iter_child_nodes(node):
                if isinstance(operand, ast.Subscript) and isinstance(operand.ctx, ast.Load):
                    found.append(f"{where}: {ast.unparse(operand)} is not wide")
        if isinstance(node, ast.If | ast.While | ast.IfExp) and isinstance(node.test, ast.Subscript):
            found.append(f"{where}: {ast.unparse(node.test)} is not wide")
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
            found.append(f"{where}: reads {ast.unparse(node.target)} and does not widen it")
    return found


@pytest.mark.parametrize("path", KERNEL_SOURCES, ids=name_of)
def test_kernels_keep_to_their_rules(path: Path) -> None:
    assert [fault for kernel in kernels(path) for fault in faults(kernel)] == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("x = data[i] + 1", "not wide"),
        ("x = 1 if data[i] else 2", "not wide"),
        ("data[i] += 1", "does not widen"),
        ("x = seq.seq_add(1, 2)", "imported name"),
        ("raise ValueError", "a Raise"),
        ("x = [1]", "a List"),
        ("x = wide(data[i]) + 1", ""),
        ("data[i] = other[i]", ""),
    ],
)
def test_faults_of_kernels_are_found(statement: str, fault: str) -> None:
    (kernel,) = ast.parse(f"def kernel(data, other, i):\n    {statement}").body
    assert isinstance(kernel, ast.FunctionDef)
    found = faults(kernel)
    assert found == [] if not fault else any(fault in one for one in found)


def known_to_kernels(value: object) -> bool:
    """Whether a kernel may read a global with this value: an int, codes, another kernel, ``wide``."""
    if isinstance(value, type):
        return value is jit.wide or (issubclass(value, IntEnum) and not issubclass(value, IntFlag))
    if isinstance(value, types.FunctionType):
        return value in jit._inline
    return isinstance(value, int)


@pytest.mark.parametrize("path", KERNEL_SOURCES, ids=name_of)
def test_kernels_read_no_module_level_tables(path: Path) -> None:
    module = importlib.import_module("analyzer." + name_of(path).removesuffix(".py").replace("/", "."))
    for kernel in kernels(path):
        function = getattr(module, kernel.name)
        names = {one.argval for one in dis.get_instructions(function) if one.opname == "LOAD_GLOBAL"}
        for name in names:
            if name in function.__globals__:
                assert known_to_kernels(function.__globals__[name]), f"{kernel.name} reads {name}"
            else:
                assert name in BUILTINS, f"{kernel.name} reads {name}"


def test_the_kernels_are_there() -> None:
    assert len(KERNEL_SOURCES) > 10
    assert known_to_kernels(0x10)
    assert not known_to_kernels("text")
    assert not known_to_kernels(types.ModuleType("seq"))
    assert not known_to_kernels(test_the_kernels_are_there)
