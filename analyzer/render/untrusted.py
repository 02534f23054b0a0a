"""Text that others wrote, made fit for a terminal.

File names, payload and anything else that comes from outside may hold control characters, which a terminal obeys, and
characters that are invisible or turn the direction of writing, which mislead the eye. None of them passes here.
"""

from __future__ import annotations

import unicodedata

from analyzer.render.screen import cells, fit

_ESCAPES = {"\r": "\\r", "\n": "\\n", "\t": "\\t"}
_MOSTLY = 0.6
"""Payload of which less than this can be read is shown as hexadecimal."""


def visible(text: str) -> str:
    """The text with every character that does not stand for itself written as an escape: ``\\n``, ``\\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _is_visible(character) else _escape(character) for character in text)


def legible(text: str) -> str:
    """The same for text of several lines: ``\\n`` stays."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return text.translate(_ESCAPED)


def excerpt(payload: bytes, payload_len: int, width: int) -> str:
    """The beginning of a payload, in at most ``width`` columns; empty when the width is of no use.

    ``payload`` is what was captured of it, ``payload_len`` what there was. Text stands in quotes, the rest is
    hexadecimal.
    """
    if width < 6 or not payload:
        return ""
    text, readable = _readable(payload)
    if readable < _MOSTLY:
        shown = payload[: (width + 1) // 3]
        if len(shown) < payload_len:
            shown = payload[: (width - 1) // 3]
            return f"{shown.hex(' ')} …"
        return shown.hex(" ")
    if len(payload) < payload_len:
        return f'"{fit(text + " " * width, width - 2).rstrip(" …")}…"' if cells(text) > width - 3 else f'"{text}…"'
    return f'"{fit(text, width - 2)}"'


def _readable(payload: bytes) -> tuple[str, float]:
    """The payload as text, and how much of it is text. A last character may be cut."""
    for end in range(len(payload), max(len(payload) - 4, 0), -1):
        try:
            text = payload[:end].decode()
        except UnicodeDecodeError:
            continue
        if all(character in _ESCAPES or _is_visible(character) for character in text):
            return "".join(_ESCAPES.get(character, character) for character in text), 1.0
        break
    plain = sum(0x20 <= octet < 0x7F for octet in payload)
    return "".join(chr(octet) if 0x20 <= octet < 0x7F else "·" for octet in payload), plain / len(payload)


def _is_visible(character: str) -> bool:
    """Not a control, format, surrogate, private, unassigned or combining character, nor a line separator."""
    if character.isascii():
        return character.isprintable()
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Zl", "Zp")


def _escape(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if 0xDC80 <= code <= 0xDCFF:  # an octet of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class _Escaped(dict[int, str]):
    """For ``str.translate``: what each character is written as, worked out when it first comes."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        written = character if character == "\n" or _is_visible(character) else _escape(character)
        if code < 0x10000:
            self[code] = written
        return written


_ESCAPED = _Escaped()
