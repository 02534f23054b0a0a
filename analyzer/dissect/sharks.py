"""pyshark's door: tshark's summaries and trees of the packets of a file.

pyshark starts tshark and parts its output packet by packet. What it does besides is replaced, for these reasons: its
summaries end after the first packet, its layers lose the order and the nesting of fields, its event loop is one that
Python 3.14 no longer has, a tshark that fails is noticed by chance, and one that stops is waited for. It also takes
tshark's path from a ``config.ini`` in the working folder, which may be anybody's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree

from analyzer.dissect.told import Field, Summary
from analyzer.dissect.tshark import Output, Tshark, end, environment, failure
from analyzer.errors import TsharkError, UsageError
from analyzer.language import _

PATIENCE_S = 60.0
"""So long tshark may think about a packet."""

_COLUMNS = (
    'gui.column.format:"No.","%m","Protocol","%p","Info","%i","Layers","%Cus:frame.protocols:0:R",'
    '"Name","%Cus:tls.handshake.extensions_server_name:0:R"'
)
_PACKET, _PACKET_END = b"<packet>", b"</packet>"
_LONGEST_PACKET = 16 << 20
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOST_FIELDS = 1_000
_LONGEST_TEXT = 500


def available(what: str) -> None:
    """Raise UsageError where pyshark is not installed."""
    try:
        import pyshark  # noqa: F401
    except ImportError:
        raise UsageError(_("{what} needs pyshark: pip install pyshark").format(what=what)) from None


def summaries(
    tshark: Tshark, path: str, numbers: Sequence[int], decode_as: Sequence[str], tick: Callable[[int], None]
) -> dict[int, Summary]:
    """tshark's line about each packet of the file, by the numbers that its packets have elsewhere, in order.

    ``tick`` is called with the count of packets told so far. Raises TsharkError.
    """
    found: dict[int, Summary] = {}

    def take(packet: ElementTree.Element) -> None:
        number, protocol, info, layers, name = ((section.text or "").strip() for section in packet.findall("section"))
        packet_number = numbers[int(number) - 1]
        if name and name not in info:
            info = f"{info}, SNI {name}"
        found[packet_number] = Summary(packet_number, protocol, info, _above_transport(layers.split(":")))
        tick(len(found))

    _read(tshark, path, decode_as, take, summaries_only=True, parameters=["-o", _COLUMNS])
    if len(found) < len(numbers):
        told = _("tshark told of {some} of {all} packets")
        raise TsharkError(told.format(some=len(found), all=len(numbers)))
    return found


def trees(
    tshark: Tshark, path: str, numbers: Sequence[int], decode_as: Sequence[str], wanted: Sequence[int],
    tick: Callable[[int], None],
) -> dict[int, tuple[Field, ...]]:  # fmt: skip
    """The protocols above TCP and UDP with all their fields, of the packets with the numbers ``wanted``.

    ``tick`` is called with the count of packets told so far. Raises TsharkError.
    """
    found: dict[int, tuple[Field, ...]] = {}
    place = {number: row for row, number in enumerate(numbers, 1)}

    def take(packet: ElementTree.Element) -> None:
        number = packet.find("./proto[@name='geninfo']/field[@name='num']")
        if number is not None:
            found[numbers[int(number.get("show", "")) - 1]] = _Tree(numbers, names).of(packet)
            tick(len(found))

    if wanted:
        names = _naming_packets(tshark) if list(numbers) != list(range(1, len(numbers) + 1)) else frozenset()
        rows = ",".join(str(place[number]) for number in wanted)
        parameters = ["-Y", f"frame.number in {{{rows}}}"]
        _read(tshark, path, decode_as, take, summaries_only=False, parameters=parameters)
    return found


def _read(
    tshark: Tshark, path: str, decode_as: Sequence[str], take: Callable[[ElementTree.Element], None], *,
    summaries_only: bool, parameters: list[str],
) -> None:  # fmt: skip
    """Give each packet that tshark tells of to ``take``."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        try:
            runner.run(_told(tshark, path, decode_as, take, summaries_only, parameters))
        except (ValueError, IndexError):  # numbers that are none, packets that are not there
            raise TsharkError(_("tshark's output cannot be read")) from None


async def _told(
    tshark: Tshark, path: str, decode_as: Sequence[str], take: Callable[[ElementTree.Element], None],
    summaries_only: bool, parameters: list[str],
) -> None:  # fmt: skip
    from pyshark.tshark.tshark import TSharkNotFoundException

    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop)
    capture = _capture_class()(
        path, keep_packets=False, only_summaries=summaries_only, eventloop=loop, tshark_path=tshark.path,
        decode_as=dict(_parted(rule) for rule in decode_as), custom_parameters=parameters,
    )  # fmt: skip
    said, status = "", 0
    try:
        async with asyncio.timeout(PATIENCE_S) as patience:

            def took(packet: tuple[ElementTree.Element]) -> None:
                patience.reschedule(loop.time() + PATIENCE_S)
                take(packet[0])

            await capture.packets_from_tshark(took, close_tshark=False)
            status = await loop.status()
    except TimeoutError:
        raise TsharkError(_("tshark does not go on; it was ended")) from None
    except (OSError, TSharkNotFoundException) as error:
        why = error.strerror if isinstance(error, OSError) else _("it is gone")
        raise TsharkError(_("tshark cannot be started: {reason}").format(reason=why)) from None
    finally:
        await loop.end()
        said = await _closed(capture)
    if status:
        raise TsharkError(failure(status, said))


async def _closed(capture: Any) -> str:
    """Let pyshark forget its process; gives what that said last, where it failed."""
    from pyshark.capture.capture import TSharkCrashException

    try:
        async with asyncio.timeout(1):
            await capture.close_async()
    except TSharkCrashException as error:
        found = re.search(r"^Last error line: (?:tshark: )?(.*)$", str(error), re.MULTILINE)
        return found[1].rstrip(".") if found and found[1] != "None" else ""
    except TimeoutError:
        pass
    return ""


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that starts a process in a session of its own, with our environment, and ends it with all of it."""

    def __init__(self) -> None:
        super().__init__()
        self._process: asyncio.subprocess.Process | None = None
        self._transport: asyncio.SubprocessTransport | None = None

    async def subprocess_exec(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        options |= {"stdin": asyncio.subprocess.DEVNULL, "start_new_session": True, "env": environment()}
        transport, protocol = await super().subprocess_exec(protocol_factory, *args, **options)
        assert isinstance(protocol, asyncio.subprocess.SubprocessStreamProtocol)
        self._process, self._transport = asyncio.subprocess.Process(transport, protocol, self), transport
        return transport, protocol

    async def status(self) -> int:
        """The exit status of the process, when it has ended."""
        assert self._process
        return await self._process.wait()

    async def end(self) -> None:
        """End it, and what it started."""
        if self._process and self._transport:
            if self._process.returncode is None:  # afterwards the id may be another's
                end(self._process.pid)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 1)
            self._transport.close()


def _capture_class() -> Any:
    """pyshark's capture with a parser of ours; pyshark is imported for it."""
    import pyshark
    import pyshark.config
    from pyshark.tshark.output_parser.tshark_xml import TsharkXmlParser

    pyshark.config.fp_config_path = pyshark.config.pyshark_config_path

    class Parser(TsharkXmlParser):  # type: ignore[misc]
        """Gives packets as tshark's XML has them."""

        def _extract_packet_from_data(self, data: bytes, got_first_packet: bool = True) -> tuple[bytes | None, bytes]:
            packet, rest = super()._extract_packet_from_data(data, got_first_packet)
            if packet is None and len(rest) > _LONGEST_PACKET:  # it is too long to be told
                rest = _PACKET + rest[-len(_PACKET_END) :]
            return packet, rest

        def _parse_single_packet(self, packet: bytes) -> tuple[ElementTree.Element] | None:
            with suppress(ElementTree.ParseError):
                return (ElementTree.fromstring(_NOT_XML.sub("", packet.decode(errors="replace"))),)
            return None

    class Capture(pyshark.FileCapture):  # type: ignore[misc]
        """Reads a file in an event loop that is given to it, and nowhere else."""

        def _setup_tshark_output_parser(self) -> Parser:
            return Parser()

        def __del__(self) -> None:
            """Nothing is left to be closed."""

    return Capture


def _parted(rule: str) -> tuple[str, str]:
    """A rule of --decode-as as pyshark has it."""
    criterion, _comma, protocol = rule.rpartition(",")
    return criterion, protocol


def _above_transport(layers: Sequence[str]) -> tuple[str, ...]:
    """What stands behind the last TCP or UDP."""
    last = max((at for at, layer in enumerate(layers) if layer in ("tcp", "udp")), default=len(layers))
    return tuple(layers[last + 1 :])


def _naming_packets(tshark: Tshark) -> frozenset[str]:
    """The names of the fields whose values are numbers of packets."""
    with Output(tshark, ["-G", "fields"]) as output:
        fields = (line.split("\t") for line in output.lines())
        return frozenset(field[2] for field in fields if len(field) > 3 and field[3] == "FT_FRAMENUM")


class _Tree:
    """Makes a packet's tree; ``names`` are the fields that name packets, by their places in ``numbers``."""

    def __init__(self, numbers: Sequence[int], names: frozenset[str]) -> None:
        self._numbers, self._names = numbers, names
        self._room = _MOST_FIELDS

    def of(self, packet: ElementTree.Element) -> tuple[Field, ...]:
        """The protocols above TCP and UDP."""
        protocols = packet.findall("proto")
        names = [protocol.get("name", "") for protocol in protocols]
        last = max((at for at, name in enumerate(names) if name in ("tcp", "udp")), default=len(names))
        return tuple(field for protocol in protocols[last + 1 :] for field in self._field(protocol))

    def _field(self, element: ElementTree.Element) -> list[Field]:
        """A line of the tree with those under it; those of a line without text, one level up."""
        name = element.get("name", "")
        if element.get("hide") == "yes" or name.startswith("_ws.expert") or self._room <= 0:
            return []
        text = element.get("showname") or element.get("show") or ""
        is_told = bool(text) and name != "fake-field-wrapper"
        self._room -= is_told
        under = tuple(field for one in element if one.tag in ("field", "proto") for field in self._field(one))
        if not is_told:
            return list(under)
        return [Field(self._renumbered(name, element.get("show", ""), text[:_LONGEST_TEXT]), under)]

    def _renumbered(self, name: str, shown: str, text: str) -> str:
        """The text with the capture's numbers of packets."""
        if name in self._names and shown.isdecimal():
            before, found, after = text.rpartition(shown)
            return f"{before}{self._number(shown)}{after}" if found else text
        if self._names and name.endswith(".segments"):
            return re.sub(r"#(\d+)(?=\()", lambda found: f"#{self._number(found[1])}", text)
        return text

    def _number(self, place: str) -> int:
        return self._numbers[int(place) - 1]
