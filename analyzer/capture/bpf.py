"""The classic BPF machine over captured frames (McCanne and Jacobson, 1993), as libpcap's own interpreter runs it.

Two 32-bit unsigned registers, A and X, and 16 words of memory. A load beyond the captured octets and a division by
zero end a program with 0, which is no match. The length of the packet is what was on the wire.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import I64, U8, U32

MEMORY_WORDS = 16

# Instruction classes.
_LD, _LDX, _ST, _STX, _ALU, _JMP, _RET, _MISC = range(8)
# Sizes and modes of loads.
_W, _H, _B = 0x00, 0x08, 0x10
_IMM, _ABS, _IND, _MEM, _LEN, _MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
# Operations of ALU and JMP, and their source.
_ADD, _SUB, _MUL, _DIV, _OR, _AND, _LSH, _RSH, _NEG, _MOD, _XOR = (code << 4 for code in range(11))
_JA, _JEQ, _JGT, _JGE, _JSET = (code << 4 for code in range(5))
_X = 0x08
# What RET returns, and MISC.
_RET_A, _RET_X = 0x10, 0x08
_TXA = 0x80

_WORD = 0xFFFF_FFFF


@kernel
def match_frames(program: I64, data: U8, start: I64, caplen: U32, origlen: U32, memory: I64, keep: U8) -> int:
    """Set ``keep`` for each frame to whether the program takes it; gives how many it takes.

    ``program`` has a row (code, jt, jf, k) for each instruction, ``memory`` room for ``MEMORY_WORDS``.
    """
    taken = 0
    for row in range(len(start)):
        accepted = run(program, data, wide(start[row]), wide(caplen[row]), wide(origlen[row]), memory)
        keep[row] = accepted != 0
        taken += accepted != 0
    return taken


@kernel
def run(program: I64, data: U8, at: int, caplen: int, origlen: int, memory: I64) -> int:
    """What the program returns for one frame: the octets to keep of it, 0 for none."""
    a = 0
    x = 0
    pc = 0
    while 0 <= pc < len(program):
        code = wide(program[pc, 0])
        k = wide(program[pc, 3])
        pc += 1
        kind = code & 0x07
        if kind in (_LD, _LDX):
            mode = code & 0xE0
            value = 0
            if mode in (_ABS, _IND):
                offset = k
                if mode == _IND:
                    offset += x
                size = code & 0x18
                octets = 4
                if size == _H:
                    octets = 2
                elif size == _B:
                    octets = 1
                if offset + octets > caplen:
                    return 0
                value = wide(data[at + offset])
                if octets > 1:
                    value = value << 8 | wide(data[at + offset + 1])
                if octets > 2:
                    value = value << 16 | wide(data[at + offset + 2]) << 8 | wide(data[at + offset + 3])
            elif mode == _IMM:
                value = k
            elif mode == _MEM:
                value = wide(memory[k])
            elif mode == _LEN:
                value = origlen
            elif mode == _MSH:
                if k >= caplen:
                    return 0
                value = (wide(data[at + k]) & 0x0F) << 2
            if kind == _LD:
                a = value
            else:
                x = value
        elif kind == _JMP:
            operation = code & 0xF0
            if operation == _JA:
                pc += k - ((k & 0x8000_0000) << 1)  # signed: protochain loops
            else:
                operand = x if code & _X else k
                if operation == _JEQ:
                    holds = a == operand
                elif operation == _JGT:
                    holds = a > operand
                elif operation == _JGE:
                    holds = a >= operand
                else:
                    holds = a & operand != 0
                pc += wide(program[pc - 1, 1]) if holds else wide(program[pc - 1, 2])
        elif kind == _ALU:
            operation = code & 0xF0
            operand = x if code & _X else k
            if operation == _ADD:
                a = (a + operand) & _WORD
            elif operation == _SUB:
                a = (a - operand) & _WORD
            elif operation == _MUL:
                a = multiply(a, operand)
            elif operation == _DIV:
                if operand == 0:
                    return 0
                a //= operand
            elif operation == _MOD:
                if operand == 0:
                    return 0
                a %= operand
            elif operation == _OR:
                a |= operand
            elif operation == _AND:
                a &= operand
            elif operation == _XOR:
                a ^= operand
            elif operation == _LSH:
                a = (a << operand) & _WORD if operand < 32 else 0
            elif operation == _RSH:
                a = a >> operand if operand < 32 else 0
            elif operation == _NEG:
                a = -a & _WORD
        elif kind == _RET:
            source = code & 0x18
            if source == _RET_A:
                return a
            return x if source == _RET_X else k
        elif kind == _ST:
            memory[k] = a
        elif kind == _STX:
            memory[k] = x
        elif code & 0xF8 == _TXA:
            a = x
        else:
            x = a
    return 0


@kernel
def multiply(a: int, b: int) -> int:
    """The lower 32 bits of a product; the product itself may exceed 63."""
    return ((a >> 16) * b % 0x1_0000 * 0x1_0000 + (a & 0xFFFF) * b) & _WORD
