"""The application's decoding on the command line: ``--dissect``, by tshark, for ``read`` and ``report``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import click

from analyzer.cli.progress import CountingProgress
from analyzer.dissect.chosen import MOST_PACKETS, ChosenPackets
from analyzer.dissect.told import Decoded
from analyzer.dissect.tshark import Tshark, check_decode_as, installed
from analyzer.errors import TsharkError, UsageError
from analyzer.language import _, counted
from analyzer.render.decoded import decoded
from analyzer.render.screen import Screen
from analyzer.render.untrusted import visible
from analyzer.tables import Batch

MOST_TREES = 2_000
"""Messages whose fields are asked for, unless all are wanted: tshark tells some hundred a second."""

_NO_LIMIT = 1 << 62


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--dissect and --decode-as for a command."""
    dissect = click.option(
        "--dissect", is_flag=True,
        help="What the applications said, decoded by tshark, which has to be installed: each message at the packet "
        "that completes it.",
    )  # fmt: skip
    decode_as = click.option(
        "--decode-as", metavar="RULE", multiple=True,
        help="With --dissect: what a port speaks, as tshark's -d has it: tcp.port==1235,http. May be given again.",
    )  # fmt: skip
    return dissect(decode_as(command))


class Dissection:
    """A context manager: what tshark makes of the packets of chosen connections.

    Raises UsageError where tshark or pyshark is missing, or does not take the rules. ``has_fields``: the messages'
    fields too. ``whole``: nothing is left out. A tshark that fails leaves ``trouble``, and nothing decoded.
    """

    def __init__(self, decode_as: Sequence[str], *, has_fields: bool, whole: bool = False) -> None:
        from analyzer.dissect import sharks

        self._tshark: Tshark = installed("--dissect")
        sharks.available("--dissect")
        check_decode_as(self._tshark, decode_as)
        self._decode_as = decode_as
        self._has_fields, self._whole = has_fields, whole
        self._chosen: ChosenPackets | None = None
        self._messages: dict[int, Decoded] = {}
        self.trouble: TsharkError | None = None
        self.left_out = self.treeless = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._chosen:
            self._chosen.__exit__(kind, error, traceback)

    def choose(self, connections: Collection[int]) -> Callable[[Batch], None]:
        """Take the packets of these connections; gives what takes the batches that have them."""
        self._chosen = ChosenPackets(connections, _NO_LIMIT if self._whole else MOST_PACKETS)
        return self._chosen.add

    def ask(self, wanted: Collection[int] | None = None) -> None:
        """Let tshark decode them. Fields come of the messages in ``wanted`` packets, where somebody says which."""
        from analyzer.dissect import sharks

        if not self._chosen or not self._chosen.numbers:
            return
        chosen = self._chosen
        chosen.close()
        self.left_out = chosen.left_out
        where = self._tshark, chosen.path, chosen.numbers, self._decode_as
        try:
            with CountingProgress(_("decoding"), len(chosen.numbers)) as progress:
                found = sharks.summaries(*where, progress.tick)
            told = [one for one in found.values() if one.is_decoded]
            trees = {}
            if self._has_fields:
                asked = [one.packet for one in told if wanted is None or one.packet in wanted]
                if not self._whole:
                    self.treeless = len(asked[MOST_TREES:])
                    asked = asked[:MOST_TREES]
                with CountingProgress(_("decoding"), len(asked)) as progress:
                    trees = sharks.trees(*where, asked, progress.tick)
            self._messages = {one.packet: Decoded(one, trees.get(one.packet, ())) for one in told}
        except TsharkError as error:
            self.trouble = error

    def of(self, connection: int) -> list[Decoded]:
        """The messages of a connection."""
        assert self._chosen
        return [self._messages[number] for number in self._chosen.of(connection) if number in self._messages]

    def beneath(self, connection: int, screen: Screen) -> Iterable[str]:
        """The lines below a connection's ladder."""
        if self.trouble or not self._chosen:
            return ()
        sides = self._chosen.of(connection)
        return decoded(self._tshark.version, self.of(connection), sides, screen, whole=self._whole)

    def left_out_told(self) -> list[str]:
        """Sentences on what tshark was not asked about."""
        told = []
        if self.left_out:
            text = counted(
                "tshark got the first {most} packets of these connections, and not the {n} after them.",
                "tshark got the first {most} packets of these connections, and not the {n} after them.",
                self.left_out,
            )
            told.append(text.format(most=f"{MOST_PACKETS:,}", n=f"{self.left_out:,}"))
        if self.treeless:
            text = counted(
                "{n} message is told without its fields: those of the first {most} are there.",
                "{n} messages are told without their fields: those of the first {most} are there.",
                self.treeless,
            )
            told.append(text.format(n=f"{self.treeless:,}", most=f"{MOST_TREES:,}"))
        return told


def complain(dissection: Dissection) -> None:
    """Say on standard error that tshark failed, where it did."""
    if dissection.trouble:
        told = _("warning: --dissect: {trouble}; everything else is shown").format(trouble=dissection.trouble)
        click.echo(f"tcpflow-view: {visible(told)}", err=True)


def check(*, dissect: bool, decode_as: Sequence[str]) -> None:
    """Raise UsageError for --decode-as alone."""
    if decode_as and not dissect:
        raise UsageError(_("--decode-as goes with --dissect"))
