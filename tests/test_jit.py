"""When kernels are compiled, where compiled code is kept, and how it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from analyzer import jit, native
from analyzer.jit import COLD_PACKETS, WARM_PACKETS, compiles, expect, expect_anew, fastest, kernel, mode, wide
from analyzer.tables import I64, U8, U16
from analyzer.tcp.seq import seq_add, seq_diff
from analyzer.whole_program import TARGET

ROOT = Path(__file__).parents[1]

compiled = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"), reason="NUMBA_DISABLE_JIT forbids compiling"
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of compiled code, and nothing in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native.cache_folder.cache_clear()
    jit._native.cache_clear()
    native._found.clear()
    yield tmp_path
    native.cache_folder.cache_clear()
    jit._native.cache_clear()
    native._found.clear()


@pytest.fixture
def auto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither variable is set, and no packets are expected."""
    monkeypatch.delenv("TCPFLOW_VIEW_JIT", raising=False)
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    monkeypatch.setattr(jit, "_expected_packets", 0)
    monkeypatch.setattr(jit, "_expected_now", 0)


# ---------------------------------------------------------------- when


@pytest.mark.usefixtures("auto")
def test_a_few_packets_are_not_worth_compiled_code(cache: Path) -> None:
    assert mode() == "auto"
    expect(WARM_PACKETS - 1)
    assert not compiles(seq_add)
    assert fastest(seq_add) is seq_add
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("auto")
def test_more_packets_are_worth_what_is_compiled_already(cache: Path) -> None:
    expect(WARM_PACKETS - 1)
    expect(1)
    assert not compiles(seq_add)
    (native.cache_folder() / "analyzer.tcp.seq.seq_diff-0.kernel").touch()
    assert cache in native.cache_folder().parents
    assert compiles(seq_diff)
    assert not compiles(seq_add)


@pytest.mark.usefixtures("auto", "cache")
def test_many_packets_are_worth_a_compile() -> None:
    expect(COLD_PACKETS - 1)
    assert not compiles(seq_add)
    expect(1)
    assert compiles(seq_add)
    assert not compiles(seq_add, COLD_PACKETS + 1)


@pytest.mark.usefixtures("auto", "cache")
def test_many_small_captures_are_not() -> None:
    for _ in range(10):
        expect_anew()
        expect(COLD_PACKETS - 1)
        assert not compiles(seq_add)
    (native.cache_folder() / "analyzer.tcp.seq.seq_diff-0.kernel").touch()
    expect_anew()
    assert compiles(seq_diff)


@pytest.mark.usefixtures("auto")
@pytest.mark.parametrize(
    ("variables", "answer"),
    [
        ({"TCPFLOW_VIEW_JIT": "always"}, True),
        ({"TCPFLOW_VIEW_JIT": "never"}, False),
        ({"TCPFLOW_VIEW_JIT": "always", "NUMBA_DISABLE_JIT": "1"}, False),
        ({"TCPFLOW_VIEW_JIT": "always", "NUMBA_DISABLE_JIT": "0"}, True),
        ({"TCPFLOW_VIEW_JIT": "always", "NUMBA_DISABLE_JIT": ""}, True),
    ],
)
def test_the_environment_decides(variables: dict[str, str], answer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(jit, "_expected_packets", 0 if answer else COLD_PACKETS)
    monkeypatch.setattr(jit, "_expected_now", 0 if answer else COLD_PACKETS)
    assert compiles(seq_add) == answer


# ---------------------------------------------------------------- what a kernel gives back


class Columns(NamedTuple):
    numbers: I64
    octets: U8


@kernel
def counted(columns: Columns, limit: int) -> int:
    total = 0
    for i in range(len(columns.octets)):
        if wide(columns.octets[i]) < limit:
            total += wide(columns.numbers[i])
    return total


@kernel
def halves(number: int) -> tuple[int, int]:
    return number >> 32, number & 0xFFFFFFFF


@kernel
def fill(out: U16, value: int) -> None:
    for i in range(len(out)):
        out[i] = value


@kernel
def whether(number: int) -> bool:
    return number > 3


@kernel
def quotient(number: int) -> float:
    return number / 3


@kernel(inline=True)
def doubled(number: int) -> int:
    return 2 * number


@kernel
def doubled_twice(number: int) -> int:
    return doubled(doubled(number))


def test_interpreted_kernels_are_the_functions_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "never")
    assert fastest(doubled_twice) is doubled_twice
    assert doubled_twice(5) == 20


@compiled
@pytest.mark.usefixtures("cache")
def test_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "always")
    columns = Columns(np.array([10, -3, 2**40], np.int64), np.array([1, 200, 3], np.uint8))
    assert fastest(counted)(columns, 200) == counted(columns, 200) == 2**40 + 10
    assert fastest(halves)(-1) == halves(-1) == (-1, 0xFFFFFFFF)
    assert fastest(doubled_twice)(-(2**40)) == -(2**42)
    out = np.zeros(3, np.uint16)
    assert fastest(fill)(out, 65535) is None
    assert out.tolist() == [65535] * 3


@compiled
@pytest.mark.usefixtures("cache")
def test_a_kernel_and_its_callees_are_one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Numba does it is the way out alone, when its inside is not what it was."""
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "always")
    compiled_for: list[str] = []
    compiled = jit._compiled
    monkeypatch.setattr(jit, "_compiled", lambda *about: compiled_for.append(about[2]) or compiled(*about))
    assert fastest(doubled_twice)(5) == 20
    monkeypatch.setattr("analyzer.whole_program.whole_program_target", lambda: "unknown to Numba")
    monkeypatch.setattr("analyzer.native._read", lambda file: None)
    jit._native.cache_clear()
    assert fastest(doubled_twice)(5) == 20
    assert compiled_for == [TARGET, "unknown to Numba", "cpu"]


@compiled
@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("function", [whether, quotient])
def test_what_is_no_integer_is_not_returned(function: types.FunctionType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "always")
    with pytest.raises(TypeError, match=f"{function.__name__} returns"):
        fastest(function)(7)


@compiled
def test_each_kind_of_array_has_its_own_code(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "always")
    run = fastest(fill)
    for out in (np.zeros(2, np.uint16), np.zeros(4, np.uint16)[::2]):
        run(out, 9)
        assert out.tolist() == [9, 9]
    assert len(list(cache.rglob("*.kernel"))) == 2
    frozen = np.zeros(2, np.uint16)
    frozen.flags.writeable = False
    with pytest.raises(Exception, match=r"[Cc]annot|read"):
        run(frozen, 1)
    assert frozen.tolist() == [0, 0]


@compiled
def test_a_status_that_is_no_success_is_an_error() -> None:
    entry = native._Entry(lambda *words: 1, 1, False)
    call = native.NativeKernel(seq_add, lambda function, arguments: pytest.fail("not compiled"))  # type: ignore[arg-type]
    call._entries["i,i"] = entry
    with pytest.raises(RuntimeError, match="seq_add failed with status 1"):
        call(1, 2)


# ---------------------------------------------------------------- where it is kept

PROGRAM = """
import sys
from analyzer.jit import fastest
from analyzer.tcp.seq import seq_add, seq_diff
print(fastest(seq_add)(2**32 - 1, 2), "numba" in sys.modules)
"""

FOLDER = "from analyzer.native import cache_folder; print(cache_folder())"


def run(program: str, package: Path = ROOT, **variables: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(package), "TCPFLOW_VIEW_JIT": "always"} | variables
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd="/", env=environment)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@compiled
def test_a_second_process_runs_compiled_code_without_numba(tmp_path: Path) -> None:
    assert run(PROGRAM, XDG_CACHE_HOME=str(tmp_path)) == "1 True"
    assert len(list(tmp_path.rglob("*.kernel"))) == 1
    assert run(PROGRAM, XDG_CACHE_HOME=str(tmp_path)) == "1 False"


@compiled
@pytest.mark.parametrize("keep", [0, 3, -9])
def test_damaged_code_is_made_again(keep: int, tmp_path: Path) -> None:
    """A file that was cut short, whatever the reason, is no reason to fail."""
    assert run(PROGRAM, XDG_CACHE_HOME=str(tmp_path)) == "1 True"
    (file,) = tmp_path.rglob("*.kernel")
    file.write_bytes(file.read_bytes()[:keep])
    assert run(PROGRAM, XDG_CACHE_HOME=str(tmp_path)).startswith("1 ")


def test_code_is_kept_by_the_kernels_sources(tmp_path: Path) -> None:
    package = tmp_path / "copy"
    shutil.copytree(ROOT / "analyzer", package / "analyzer", ignore=shutil.ignore_patterns("__pycache__"))
    before = run(FOLDER, package, XDG_CACHE_HOME=str(tmp_path))
    assert run(FOLDER, package, XDG_CACHE_HOME=str(tmp_path)) == before
    for name, changes in (("explain/__init__.py", False), ("tcp/seq.py", True), ("tables.py", True)):
        with (package / "analyzer" / name).open("a") as source:
            source.write("\n# edited\n")
        after = run(FOLDER, package, XDG_CACHE_HOME=str(tmp_path))
        assert (after != before) == changes, name
        before = after


def test_code_for_another_processor_or_with_checked_bounds_is_kept_apart(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {native.cache_folder()}
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    native.cache_folder.cache_clear()
    folders.add(native.cache_folder())
    monkeypatch.setattr(native, "_processor", lambda: "another one")
    native.cache_folder.cache_clear()
    folders.add(native.cache_folder())
    assert len(folders) == 3
    assert all(cache in folder.parents for folder in folders)


@pytest.mark.usefixtures("cache")
def test_a_folder_that_cannot_be_made_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = native.cache_folder()
    assert folder.is_dir()
    assert folder.parent == tmp_path


@pytest.mark.usefixtures("cache")
def test_somebody_elses_folder_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = native.cache_folder()
    monkeypatch.setattr("os.getuid", lambda: folder.stat().st_uid + 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    native.cache_folder.cache_clear()
    assert native.cache_folder() != folder


@compiled
def test_code_that_cannot_be_written_is_run_all_the_same(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "always")
    shutil.rmtree(native.cache_folder())
    assert fastest(doubled_twice)(3) == 12
    assert list(cache.rglob("*.kernel")) == []


def test_code_of_old_sources_is_removed(cache: Path) -> None:
    folder = native.cache_folder()
    old, recent = folder.with_name("kernels-old"), folder.with_name("kernels-recent")
    for one, days in ((old, native.STALE_DAYS + 1), (recent, native.STALE_DAYS - 1)):
        one.mkdir()
        then = folder.stat().st_mtime - days * 86_400
        os.utime(one, (then, then))
    native.cache_folder.cache_clear()
    native.cache_folder()
    assert {one.name for one in folder.parent.iterdir()} == {folder.name, recent.name}
    assert cache in folder.parents
