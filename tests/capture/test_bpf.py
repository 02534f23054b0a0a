"""The BPF machine against a slow one of Python integers, and instructions that libpcap hardly ever writes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.capture.bpf import MEMORY_WORDS, run
from analyzer.jit import fastest

WORD = 2**32

LD, LDX, ST, STX, ALU, JMP, RET, MISC = range(8)
W, H, B = 0x00, 0x08, 0x10
IMM, ABS, IND, MEM, LEN, MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
K, X, A = 0x00, 0x08, 0x10
RET_A = RET | A

Instruction = tuple[int, int, int, int]
OPERATIONS = {
    "add": (0x00, lambda a, b: a + b),
    "sub": (0x10, lambda a, b: a - b),
    "mul": (0x20, lambda a, b: a * b),
    "div": (0x30, lambda a, b: a // b),
    "or": (0x40, lambda a, b: a | b),
    "and": (0x50, lambda a, b: a & b),
    "lsh": (0x60, lambda a, b: a << b if b < 32 else 0),
    "rsh": (0x70, lambda a, b: a >> b if b < 32 else 0),
    "mod": (0x90, lambda a, b: a % b),
    "xor": (0xA0, lambda a, b: a ^ b),
}
words = st.integers(0, WORD - 1) | st.sampled_from([0, 1, 2, 31, 32, 33, 2**16, 2**31 - 1, 2**31, WORD - 1])


def answer(program: list[Instruction], octets: bytes = b"", origlen: int = 60, at: int = 0) -> int:
    data = np.frombuffer(octets, np.uint8)
    memory = np.zeros(MEMORY_WORDS, np.int64)
    return int(fastest(run)(np.array(program, np.int64), data, at, len(octets) - at, origlen, memory))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("source", [K, X])
@settings(deadline=None)
@given(a=words, b=words)
def test_arithmetic(name: str, source: int, a: int, b: int) -> None:
    code, operation = OPERATIONS[name]
    program = [(LDX | IMM, 0, 0, b), (LD | IMM, 0, 0, a), (ALU | code | source, 0, 0, b), (RET_A, 0, 0, 0)]
    expected = 0 if name in ("div", "mod") and b == 0 else operation(a, b) % WORD
    assert answer(program) == expected


@settings(deadline=None)
@given(words)
def test_negation(a: int) -> None:
    assert answer([(LD | IMM, 0, 0, a), (ALU | 0x80, 0, 0, 0), (RET_A, 0, 0, 0)]) == -a % WORD


@pytest.mark.parametrize(("size", "octets"), [(W, 4), (H, 2), (B, 1)])
@settings(deadline=None)
@given(data=st.binary(max_size=12), k=st.integers(0, 13) | st.just(WORD - 1), x=st.integers(0, 13) | st.just(WORD - 1))
def test_loads(size: int, octets: int, data: bytes, k: int, x: int) -> None:
    absolute = data[k : k + octets]
    expected = int.from_bytes(absolute, "big") if len(absolute) == octets else 0
    assert answer([(LD | size | ABS, 0, 0, k), (RET_A, 0, 0, 0)], data) == expected
    indirect = data[x + k : x + k + octets]
    expected = int.from_bytes(indirect, "big") if len(indirect) == octets else 0
    assert answer([(LDX | IMM, 0, 0, x), (LD | size | IND, 0, 0, k), (RET_A, 0, 0, 0)], data) == expected


def test_a_load_beyond_the_packet_ends_with_no_match() -> None:
    assert answer([(LD | B | ABS, 0, 0, 2), (RET, 0, 0, 9)], b"ab") == 0
    assert answer([(LD | B | ABS, 0, 0, 1), (RET, 0, 0, 9)], b"ab") == 9
    assert answer([(LDX | B | MSH, 0, 0, 2), (RET, 0, 0, 9)], b"ab") == 0
    assert answer([(LD | B | ABS, 0, 0, 0xFFFF_F004), (RET, 0, 0, 9)], b"ab") == 0  # Linux's packet type


def test_loads_are_from_the_frame_s_first_octet() -> None:
    assert answer([(LD | H | ABS, 0, 0, 1), (RET_A, 0, 0, 0)], b"beforeABC", at=6) == int.from_bytes(b"BC", "big")


def test_header_length_and_packet_length() -> None:
    assert answer([(LDX | B | MSH, 0, 0, 1), (RET | X, 0, 0, 0)], b"\0\xf6") == 24
    assert answer([(LD | LEN, 0, 0, 0), (RET_A, 0, 0, 0)], b"\0", origlen=1500) == 1500
    assert answer([(LDX | LEN, 0, 0, 0), (RET | X, 0, 0, 0)], b"\0", origlen=1500) == 1500


def test_memory_and_transfers() -> None:
    program = [
        (LD | IMM, 0, 0, 7),
        (ST, 0, 0, 3),
        (MISC, 0, 0, 0),  # TAX
        (LD | IMM, 0, 0, 0),
        (STX, 0, 0, 15),
        (LD | MEM, 0, 0, 3),
        (LDX | MEM, 0, 0, 15),
        (ALU | 0x20 | X, 0, 0, 0),
        (MISC, 0, 0, 0),
        (LD | IMM, 0, 0, 1),
        (MISC | 0x80, 0, 0, 0),  # TXA
        (RET_A, 0, 0, 0),
    ]
    assert answer(program) == 49


@pytest.mark.parametrize(
    ("code", "holds"),
    [
        (0x10, lambda a, b: a == b),
        (0x20, lambda a, b: a > b),
        (0x30, lambda a, b: a >= b),
        (0x40, lambda a, b: a & b != 0),
    ],
)
@pytest.mark.parametrize("source", [K, X])
@pytest.mark.parametrize("a", [0, 1, 5, WORD - 1])
@pytest.mark.parametrize("b", [0, 1, 5, 0x8000_0000])
def test_jumps(code: int, holds, source: int, a: int, b: int) -> None:  # type: ignore[no-untyped-def]
    program = [
        (LDX | IMM, 0, 0, b),
        (LD | IMM, 0, 0, a),
        (JMP | code | source, 1, 0, b),
        (RET, 0, 0, 10),
        (JMP, 0, 0, 1),
        (RET, 0, 0, 0),
        (RET, 0, 0, 11),
    ]
    assert answer(program) == (11 if holds(a, b) else 10)


def test_a_jump_back() -> None:
    """As ``ip protochain`` makes them: count X down from 5, A up."""
    program = [
        (LDX | IMM, 0, 0, 5),
        (LD | IMM, 0, 0, 100),
        (ST, 0, 0, 0),
        (MISC | 0x80, 0, 0, 0),
        (JMP | 0x10, 6, 0, 0),
        (ALU | 0x10, 0, 0, 1),
        (MISC, 0, 0, 0),
        (LD | MEM, 0, 0, 0),
        (ALU, 0, 0, 1),
        (ST, 0, 0, 0),
        (JMP, 0, 0, WORD - 8),
        (LD | MEM, 0, 0, 0),
        (RET_A, 0, 0, 0),
    ]
    assert answer(program) == 105


def test_a_program_that_runs_off_its_end() -> None:
    assert answer([(LD | IMM, 0, 0, 1)]) == 0
