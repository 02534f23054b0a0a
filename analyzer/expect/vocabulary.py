"""The words that expectations are made of, and how numbers, times and ways are written in them.

Each notation is a regular expression that JSON Schema knows too. Of a word that there is not, the nearest are named.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable
from typing import NamedTuple

from analyzer.errors import UsageError
from analyzer.export.connections import CAUSE_WORDS, CLOSED_BY_WORDS, STATE_WORDS, VERDICT_WORDS
from analyzer.export.packets import EVENT_WORDS, PHASE_WORDS
from analyzer.language import _
from analyzer.render.screen import fit
from analyzer.render.untrusted import visible

NOBODY = "nobody"
CLOSERS = (*(word for word in CLOSED_BY_WORDS if word), NOBODY)
CAUSES = tuple(word for word in CAUSE_WORDS if word)
VERDICTS = VERDICT_WORDS
RESET = "reset"
EVENTS = (*EVENT_WORDS, RESET)
"""What is counted: the events of packets, and RSTs."""

PHASES = PHASE_WORDS[1:]
LIFECYCLES = tuple(
    " ".join(phase for k, phase in enumerate(PHASES) if bits >> k & 1) for bits in range(7, -1, -1)
)  # fmt: skip
"""Every choice of phases, in their order."""

ANY = "…"
"""In a way through the states: any number of states, or none."""
WAY = STATE_WORDS, (ANY, "...")
WAY_PATTERN = rf"^\s*(?:(?:{'|'.join(re.escape(word) for words in WAY for word in words)})(?:\s+|$))+$"

MOST = 2**53 - 1
"""The largest number of things: up to it all readers of JSON, and editors, agree on integers (RFC 8259 6)."""

LIMIT_PATTERN = r"^\s*(?:<=|>=|>|<(?!\s*0+\s*$))\s*[0-9]{1,15}\s*$"
"""Nothing is fewer than none."""

HEX_PATTERN = r"^\s*(?:[0-9A-Fa-f]{2}\s*)*$"
DIGEST_PATTERN = r"^[0-9A-Fa-f]{64}$"

_LONGEST = 60
"""Columns of a wrong value that a sentence shows."""

EVERY = "every"
"""Stands for each connection, where else a number stands."""

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9}
TIME_PATTERN = rf"^\s*[0-9]{{1,15}}(?:\.[0-9]+)?\s*(?:{'|'.join(_UNITS)})\s*$"


def known(word: str, words: Iterable[str], what: str) -> str:
    """The word, if it is one of these. Raises UsageError, which names the nearest; ``what`` it should be."""
    words = tuple(words)
    if word in words:
        return word
    near = difflib.get_close_matches(word, words, n=3, cutoff=0.6)
    if near:
        told = _("there is no {what} “{word}”; did you mean {near}?")
        raise UsageError(told.format(what=what, word=visible(word), near=", ".join(near)))
    told = _("there is no {what} “{word}”; there are: {words}")
    raise UsageError(told.format(what=what, word=visible(word), words=", ".join(words)))


class Limit(NamedTuple):
    """How many there should be."""

    least: int
    most: int | None

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.least <= number and (self.most is None or number <= self.most)

    def __str__(self) -> str:
        if self.most is None:
            return _("at least {n}").format(n=f"{self.least:,}")
        if self.least < self.most:
            return _("at most {n}").format(n=f"{self.most:,}")
        return f"{self.most:,}"


def limit_of(written: float | str) -> Limit:
    """``3``: just so many; ``<= 3``, ``< 4``, ``>= 3``, ``> 2``. Raises UsageError."""
    is_number = isinstance(written, int | float) and not isinstance(written, bool)
    if isinstance(written, int | float) and is_number and 0 <= written <= MOST and written == int(written):
        return Limit(int(written), int(written))
    if not isinstance(written, str) or not re.search(LIMIT_PATTERN, written):
        told = _('“{written}” is no number of things: write 3, "<= 3" or ">= 3"')
        raise UsageError(told.format(written=_short(written)))
    sign, number = re.findall(r"[<>]=?|[0-9]+", written)
    bound = int(number) + {"<": -1, ">": 1}.get(sign, 0)
    return Limit(0, bound) if sign.startswith("<") else Limit(bound, None)


def nanoseconds(written: str) -> int:
    """A time with its unit, as ``5 ms`` or ``1.5 s``. Raises UsageError."""
    if not isinstance(written, str) or not re.search(TIME_PATTERN, written):
        told = _('“{written}” is no time: write a number and its unit (ns, us, ms, s, min), as "5 ms"')
        raise UsageError(told.format(written=_short(written)))
    number, unit = re.findall(r"[0-9.]+|[a-zµμ]+", written)
    whole, _point, part = number.partition(".")
    scale = _UNITS[unit]
    return int(whole) * scale + int((part + "0" * 12)[:12]) * scale // 10**12


def way_of(written: str) -> tuple[str, ...]:
    """The words of a way through the states, ANY among them. Raises UsageError."""
    words = tuple(ANY if word in WAY[1] else known(word, STATE_WORDS, _("state")) for word in written.split())
    if not words:
        told = _('a way through the states names at least one, as "… ESTABLISHED …"')
        raise UsageError(told)
    return words


def regex_of(written: str) -> re.Pattern[str]:
    """A regular expression. Raises UsageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what later versions of Python may take otherwise
            return re.compile(written)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(_("this is no regular expression: {error}").format(error=visible(str(error)))) from None


def hex_of(written: str) -> bytes:
    """Octets as hexadecimal digits, two each. Raises UsageError."""
    if not re.search(HEX_PATTERN, written):
        told = _('“{written}” is not hexadecimal: write two digits a byte, as "00 ff"')
        raise UsageError(told.format(written=visible(written)))
    return bytes.fromhex("".join(written.split()))


def digest_of(written: str) -> str:
    """A SHA-256 as hexadecimal digits. Raises UsageError."""
    if not re.search(DIGEST_PATTERN, written):
        told = _("“{written}” is no SHA-256: that has 64 hexadecimal digits")
        raise UsageError(told.format(written=visible(written)))
    return written.strip().lower()


def _short(written: object) -> str:
    """What was written instead, for a sentence."""
    if isinstance(written, int) and abs(written) > MOST:  # Python writes no number of 5,000 digits
        written = hex(written)
    return fit(visible(str(written)), _LONGEST)
