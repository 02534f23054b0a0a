"""What the two sides of a connection say to each other, turn by turn, as it comes.

    → request 1 · packet 4
      clien
    ← response 1 · packet 6 · 98 µs later
      hi

``Text`` shows it as text; ``Hex`` in hexadecimal; ``Messages`` has a row for each segment, so that it can be seen where
one ends and which of them belong to one ``write()``. What payload says is never at the left edge: no payload can pass
for a heading.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from analyzer import language
from analyzer.explain.writes import PAUSE_NS, end_of_write
from analyzer.language import _, text
from analyzer.render.addresses import endpoint, shortened
from analyzer.render.quantities import count, counted, duration, seconds
from analyzer.render.screen import Screen, cells, fit, ljust, rjust
from analyzer.render.turns import turn_name
from analyzer.render.untrusted import excerpt, legible
from analyzer.render.words import LOUD, QUIET, SIDES
from analyzer.render.wrapping import wrap
from analyzer.streams import Difference, Gap, LateStart, LeftOut, Piece, Refused, StreamItem, Unused
from analyzer.tables import Protocol, Rows, Side

_INDENT = "  "
_WIDEST = 140
"""Rules and sentences get no longer than that."""

_UNUSED = {
    Unused.BEFORE_START: text("before the first byte seen"),
    Unused.TOO_LATE: text("too late, the gap where it belongs was given up"),
    Unused.AFTER_FIN: text("after the FIN"),
    Unused.FAR_OFF: text("the sequence number is far off"),
}


def notice(item: StreamItem) -> str:
    """What is wrong with a stream, in words; empty for a piece that is whole."""
    match item:
        case Piece():
            missing = item.length - len(item.octets)
            said = _("{bytes} missing: only {captured} of {payload} of packet {packet} were captured").format(
                bytes=counted(missing, "byte"), captured=count(item.captured_len),
                payload=counted(item.payload_len, "byte"), packet=item.packet,
            )  # fmt: skip
            return said if missing else ""
        case Gap():
            return _missing(item).format(bytes=counted(item.length, "byte"), after=item.after, before=item.before)
        case Difference():
            said = _(
                "packet {packet} differs from packet {first} in {bytes} from byte {offset} on: the first packet counts"
            )
            where = {"bytes": counted(item.length, "byte"), "offset": count(item.offset)}
            return said.format(packet=item.packet, first=item.first_packet, **where)
        case LeftOut():
            said = _("{bytes} of packet {packet} left out: {why}")
            return said.format(bytes=counted(item.length, "byte"), packet=item.packet, why=_(_UNUSED[item.why]))
        case Refused():
            said = _("the last {bytes}, from packet {packet} on, not delivered: answered by RST (packet {reset})")
            if item.reset < item.packet:
                said = _("the last {bytes}, from packet {packet} on, not delivered: sent after RST (packet {reset})")
            return said.format(bytes=counted(item.length, "byte"), packet=item.packet, reset=item.reset)
        case LateStart():
            said = _("what the {side} sent was not captured")
            if item.packet:
                said = _("what the {side} sent before packet {packet} was not captured")
            return said.format(side=SIDES[Side(item.side)].text, packet=item.packet)


def _missing(gap: Gap) -> str:
    if gap.after and gap.before:
        return _("{bytes} missing between packets {after} and {before}")
    if gap.after:
        return _("{bytes} missing after packet {after}")
    return _("{bytes} missing before packet {before}") if gap.before else _("{bytes} missing")


class View:
    """The conversation of one connection as text to write; ``begin``, then ``add`` each item, then ``end``.

    ``connection`` is its CONNECTION row, ``endpoints`` its two ENDPOINT rows.
    """

    def __init__(self, connection: Rows, endpoints: Rows, screen: Screen) -> None:
        self._connection, self._endpoints, self._screen = connection, endpoints, screen
        self._is_tcp = connection["protocol"] == Protocol.TCP
        self._width = min(screen.width, _WIDEST)
        self._side: int | None = None
        self._requests = 0
        self._last_ns: int | None = None
        self._octets, self._packets, self._latest = [0, 0], [0, 0], [0, 0]
        self._missing = self._differences = self._refused = 0

    def begin(self) -> str:
        """The heading."""
        paint = self._screen.paint
        number = str(self._connection["number"])
        room = (self._width - len(f" {number}   → ")) // 2
        ends = [paint(shortened(endpoint(self._connection, side), room), f"bold {SIDES[side].style}") for side in Side]
        rule = paint("─" * self._width, QUIET)
        return self._screen.encode(f"{rule}\n {paint(number, 'bold')}  {ends[0]} → {ends[1]}\n\n{self._legend()}")

    def add(self, item: StreamItem) -> str:
        """The next item."""
        return self._screen.encode("".join(self._added(item)))

    def end(self) -> str:
        """What is left, and what it came to."""
        blank = "\n" if self._side is not None else ""
        return self._screen.encode("".join([*self._flush(), blank, *self._closing(), "\n"]))

    def _added(self, item: StreamItem) -> Iterator[str]:
        if isinstance(item, Piece):
            if item.side != self._side or self._is_turn(item):
                yield from self._turn(item)
            yield from self._body(item)
            self._last_ns = item.ts_ns
            self._octets[item.side] += len(item.octets)
            self._packets[item.side] += item.packet != self._latest[item.side]
            self._latest[item.side] = item.packet
            self._missing += item.length - len(item.octets)
        elif isinstance(item, Gap):
            if item.side != self._side:
                yield from self._turn(item)
            self._missing += item.length
        self._differences += isinstance(item, Difference)
        self._refused += item.length if isinstance(item, Refused) else 0
        yield from self._noticed(item)

    def _noticed(self, item: StreamItem) -> Iterator[str]:
        """What is wrong, on a line of its own."""
        if said := notice(item):
            yield from self._flush()
            yield from self._marked(said)

    def _marked(self, text: str) -> Iterator[str]:
        return self._wrapped(f"[ {text} ]", _INDENT, LOUD)

    def _turn(self, item: Piece | Gap) -> Iterator[str]:
        """Who speaks now."""
        yield from self._flush()
        self._side = item.side
        self._requests += item.side == Side.CLIENT
        word = SIDES[Side(item.side)]
        name = turn_name(item.side, self._requests) if self._is_tcp else word.text
        facts = ["", *self._facts(item)]
        if isinstance(item, Piece) and self._last_ns is not None:
            facts.append(_("{time} later").format(time=duration(item.ts_ns - self._last_ns)))
        paint = self._screen.paint
        yield f"{paint(f'{word.glyph} {name}', f'bold {word.style}')}{paint(' · '.join(facts), QUIET)}\n"

    def _closing(self) -> Iterator[str]:
        noun = "segment" if self._is_tcp else "datagram"
        said = [
            _("the {side} sent {bytes} in {packets}").format(
                side=SIDES[side].text, bytes=counted(self._octets[side], "byte"),
                packets=counted(self._packets[side], noun),
            )
            for side in Side
            if self._packets[side]
        ]  # fmt: skip
        all_said = _(", ").join(said) or _("neither side sent anything")
        yield from self._wrapped(_("{sentence}.").format(sentence=f"{all_said[0].upper()}{all_said[1:]}"), " ", "")
        if self._missing:
            yield from self._wrapped(_("{bytes} missing.").format(bytes=counted(self._missing, "byte")), " ", LOUD)
        if self._refused:
            told = _("{bytes} not delivered.").format(bytes=counted(self._refused, "byte"))
            yield from self._wrapped(told, " ", LOUD)
        if self._differences:
            told = _(
                "What was sent again was not the same, {times}: an attack, or a device between the two that changes "
                "what they send."
            )
            yield from self._wrapped(told.format(times=counted(self._differences, "time")), " ", LOUD)

    def _wrapped(self, text: str, indent: str, style: str) -> Iterator[str]:
        for line in wrap(text, self._width - len(indent)):
            yield f"{indent}{self._screen.paint(line, style)}\n"

    def _legend(self) -> str:
        return ""

    def _is_turn(self, piece: Piece) -> bool:
        """Whether a piece has a heading although the same side speaks on: as each datagram has."""
        return not self._is_tcp

    def _facts(self, item: Piece | Gap) -> list[str]:
        """What a turn's heading says of its beginning."""
        packet = item.packet if isinstance(item, Piece) else item.before
        facts = [_("packet {packet}").format(packet=packet)] if packet else []
        return facts if self._is_tcp else [*facts, counted(item.length, "byte")]

    def _body(self, piece: Piece) -> Iterator[str]:
        """A piece of the turn."""
        raise NotImplementedError

    def _flush(self) -> Iterator[str]:
        """What was held back of the piece before, up to the end of a line."""
        raise NotImplementedError


class Text(View):
    """UTF-8 where it is valid, other octets and control characters as escapes. A terminal's lines are not exceeded."""

    def __init__(self, connection: Rows, endpoints: Rows, screen: Screen) -> None:
        super().__init__(connection, endpoints, screen)
        decoder = codecs.getincrementaldecoder("utf-8" if screen.unicode else "ascii")
        self._decoder = decoder("surrogateescape")
        self._held = ""
        self._column = 0

    def _body(self, piece: Piece) -> Iterator[str]:
        text = self._held + self._decoder.decode(piece.octets)
        self._held = "\r" if text.endswith("\r") else ""
        yield from self._written(text[: len(text) - len(self._held)])

    def _flush(self) -> Iterator[str]:
        yield from self._written(self._held + self._decoder.decode(b"", final=True))
        self._held = ""
        if self._column:
            yield "\n"
        self._column = 0

    def _written(self, text: str) -> Iterator[str]:
        """Payload that goes on where the last stopped."""
        style = SIDES[Side(self._side)].style if self._side is not None else ""
        for index, line in enumerate(legible(text.replace("\r\n", "\n")).split("\n")):
            if index:
                yield "\n"
                self._column = 0
            while line:
                if not self._column:
                    yield _INDENT
                    self._column = len(_INDENT)
                part = self._beginning(line)
                yield self._screen.paint(part, style)
                self._column += cells(part) if self._screen.terminal else 1
                line = line[len(part) :]
                if line:
                    yield "\n"
                    self._column = 0

    def _beginning(self, line: str) -> str:
        """As much of a line as has room."""
        if not self._screen.terminal:
            return line
        room = self._screen.width - self._column
        if line.isascii():
            return line[:room]
        used = 0
        for index, character in enumerate(line):
            used += cells(character)
            if used > room:
                return line[:index]
        return line


class Hex(View):
    """Rows like those of ``hexdump -C``; the offset is that in the side's stream, or in the datagram."""

    def __init__(self, connection: Rows, endpoints: Rows, screen: Screen) -> None:
        super().__init__(connection, endpoints, screen)
        self._row_len = 16 if screen.width >= _WIDTH_OF_16 else 8
        self._row = b""
        self._offset = 0

    def _body(self, piece: Piece) -> Iterator[str]:
        if not self._row:
            self._offset = piece.offset if self._is_tcp else 0
        octets = self._row + piece.octets
        whole = len(octets) - len(octets) % self._row_len
        for at in range(0, whole, self._row_len):
            yield self._line(octets[at : at + self._row_len])
        self._row = octets[whole:]

    def _flush(self) -> Iterator[str]:
        if self._row:
            yield self._line(self._row)
        self._row = b""

    def _line(self, row: bytes) -> str:
        """One row, for the offset that the next then follows."""
        halves = (row[:8].hex(" "), row[8:].hex(" "))
        columns = f"{'  '.join(halves[: self._row_len // 8]):<{self._row_len * 3 + self._row_len // 8 - 2}}"
        assert self._side is not None
        line = f"{self._offset:08x}  {columns}  |{row.translate(_PRINTABLE).decode('ascii')}|"
        self._offset += len(row)
        return self._screen.paint(line, SIDES[Side(self._side)].style) + "\n"


_WIDTH_OF_16 = 78
_PRINTABLE = bytes(octet if 0x20 <= octet < 0x7F else ord(".") for octet in range(256))


class Messages(View):
    """A row for each segment, with a bracket around those that probably are one ``write()``.

    A write ends with FIN, with a segment that is not full, after a pause, and where the other side speaks.
    """

    def __init__(self, connection: Rows, endpoints: Rows, screen: Screen) -> None:
        super().__init__(connection, endpoints, screen)
        self._number_width, self._time_width, self._size_width = 4, 8, 6
        self._segments = self._segments_octets = 0
        self._segment_packet = 0

    def _legend(self) -> str:
        widths = self._number_width, self._time_width, self._size_width
        headings = zip((_("no."), _("seconds"), _("bytes")), widths, strict=True)
        return self._screen.paint(" ".join(rjust(heading, width) for heading, width in headings), QUIET) + "\n"

    def _is_turn(self, piece: Piece) -> bool:
        return False

    def _facts(self, item: Piece | Gap) -> list[str]:
        return []

    def _body(self, piece: Piece) -> Iterator[str]:
        pause_ns = piece.ts_ns - self._last_ns if self._last_ns is not None else 0
        if self._segments and pause_ns >= PAUSE_NS:
            yield from self._flush()
            yield self._aside(_("{time} later").format(time=duration(pause_ns)))
        end = self._end_of_write(piece)
        glyph = "─" if not self._segments and end else "╵" if end else "│" if self._segments else "╷"
        self._segments += 1
        self._segments_octets += piece.length
        number, size = f"{piece.packet}", f"{piece.length:,}"
        time = seconds(piece.ts_ns - int(self._connection["first_ns"]))
        self._number_width = max(self._number_width, len(number))
        self._time_width = max(self._time_width, len(time))
        self._size_width = max(self._size_width, len(size))
        columns = rjust(number, self._number_width), rjust(time, self._time_width), rjust(size, self._size_width)
        before = f"{' '.join(columns)} {ljust(_(end), 5)} "
        remark = ""
        if len(piece.octets) < piece.length:
            remark = _(" [ only {bytes} captured ]").format(bytes=count(piece.captured_len))
        room = self._screen.width - cells(before) - 2 - cells(remark)
        shown = excerpt(piece.octets[: 2 * room], piece.length, room)
        style = SIDES[Side(piece.side)].style
        paint = self._screen.paint
        yield f"{paint(before, QUIET)}{paint(glyph, style)} {paint(shown, style)}{paint(remark, LOUD)}\n"
        if end:
            yield from self._flush()

    def _noticed(self, item: StreamItem) -> Iterator[str]:
        """A row says itself how it was cut, and no bracket ends at a notice."""
        if not isinstance(item, Piece):
            yield from self._marked(notice(item))

    def _flush(self) -> Iterator[str]:
        """The end of a write; nothing need be said where it is one segment."""
        if self._segments > 1:
            told = language.counted("{bytes} bytes in {n} segment", "{bytes} bytes in {n} segments", self._segments)
            yield self._aside(told.format(bytes=count(self._segments_octets), n=count(self._segments)))
        self._segments = self._segments_octets = 0

    def _aside(self, text: str) -> str:
        indent = self._number_width + self._time_width + self._size_width + 11
        return f"{' ' * indent}{self._screen.paint(fit(text, self._screen.width - indent), QUIET)}\n"

    def _end_of_write(self, piece: Piece) -> str:
        """Why a write ends here; empty where nothing says so."""
        if not self._is_tcp:
            return " "
        return end_of_write(piece.flags, piece.payload_len, int(self._endpoints["mss"][1 - piece.side]))

    def _closing(self) -> Iterator[str]:
        yield from super()._closing()
        if self._is_tcp:
            told = _(
                "TCP keeps no boundaries between writes: a row is a segment, which may hold several writes; a bracket "
                "is probably one write."
            )
            yield from self._wrapped(told, " ", QUIET)
