"""The live blocks of the tutorial, played again by its programs in a network of their own.

Times, ports, numbers of packets and processes differ from run to run, and a kernel may send an acknowledgement alone or
with what follows: all that is masked. What is left must be what the page shows.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import scapy.arch.linux  # noqa: F401 (a namespace that ends has scapy list the interfaces)

from tests.capture.namespaces import namespace, needs_root
from tests.docs.blocks import DOCS, LEFT_OUT, every, place_to_run, steps
from tests.docs.terminal import Terminal

LIVE = [block for block in every("console") if block.is_live]
SERVER = "python3 docs/tutorial/server.py"
CLIENT = "python3 docs/tutorial/client.py"
LISTENING = "listening on port 1235"
LAST = r"CLOSED +TIME-WAIT"
LANGUAGES = {"": "", ".zh": "--lang zh "}

TIMED = re.compile(r"\d\d:\d\d:\d\d\.\d{6}")
"""In a line of a packet or a call; these come in the order of their times, all else is sentences."""

MASKS = (
    (TIMED.pattern, "TIME"),
    (r"127\.0\.0\.1([.:])(?!1235\b)\d+", r"127.0.0.1\1PORT"),
    (r"(seq|ack) (\d{5,}…?|\d*…)", r"\1 NUMBER"),
    (r"\(\d+\)", "(PID)"),
    (r"^▌ *\d+ ", "▌ "),
    (r"\s+", ""),
)
ALONE = re.compile(r"^▌.*Flags \[\.\], ack (?!1,)\d+, win \d+, length 0$")
"""An acknowledgement with nothing else, but for that of the handshake."""

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
pytestmark = needs_root


def masked(text: str) -> str:
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return text


def timed(text: str) -> Counter[str]:
    """Lines of packets and calls."""
    return Counter(masked(line) for line in text.splitlines() if TIMED.search(line) and not ALONE.match(line))


def sentences(text: str) -> str:
    """All other lines."""
    return "\n".join(line for line in text.splitlines() if not TIMED.search(line))


def shown(page: str, command: str) -> str:
    [text] = {
        step.shown for block in LIVE for step in steps(block)
        if block.page == DOCS / "tutorial" / page and step.command == command
    }  # fmt: skip
    return text


def check(page: str, command: str, printed: str) -> None:
    wanted = shown(page, command)
    if LEFT_OUT not in wanted:
        assert masked(printed) == masked(wanted)
        return
    lines = timed(printed)
    for line, count in timed(wanted).items():
        # The end of a line: a program may have begun it with something else.
        assert sum(got for one, got in lines.items() if one.endswith(line)) >= count, f"no {line!r} in:\n{printed}"
    for part in map(sentences, wanted.split(LEFT_OUT)):
        assert is_told(part, printed), f"no {part!r} in:\n{printed}"


def is_told(part: str, printed: str) -> bool:
    """Whether sentences are there, however broken into lines; or their words, between what another program wrote."""
    between = r"[\s\S]*?".join(re.escape(re.sub(r"\(\d+\)", "", word)) for word in part.split())
    return masked(part) in masked(sentences(printed)) or bool(re.search(between, re.sub(r"\(\d+\)", "", printed)))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with namespace():
        yield place_to_run(tmp_path)


@pytest.mark.parametrize("language", LANGUAGES)
def test_watching_the_two_programs(folder: Path, language: str) -> None:
    watching = f"tcpflow-view {LANGUAGES[language]}live -i lo port 1235"
    with Terminal(watching, folder) as live, Terminal(SERVER, folder) as server:
        live.wait_for(r"tcpflow-view: .*lo\b.*\n")
        server.wait_for(LISTENING)
        with Terminal(CLIENT, folder) as client:
            check(f"index{language}.md", CLIENT, client.ended())
        check(f"index{language}.md", SERVER, server.ended())
        live.wait_for(LAST)
        check(f"index{language}.md", watching, live.interrupt())
    with Terminal(SERVER, folder) as again:
        check(f"states{language}.md", SERVER, again.ended())


@needs_strace
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_calls_of_the_server(folder: Path, language: str) -> None:
    running = f"tcpflow-view {LANGUAGES[language]}run --port 1235 -- {SERVER}"
    with Terminal(running, folder) as server:
        server.wait_for(rf"{LISTENING}|listen\(5\) = 0")
        with Terminal(CLIENT, folder) as client:
            client.ended()
        check(f"calls{language}.md", running, server.ended())
    with Terminal(running, folder) as again:
        check(f"states{language}.md", running, again.ended())


@pytest.mark.skipif(shutil.which("php") is None, reason="php is not installed")
def test_the_programs_in_php_say_the_same(folder: Path) -> None:
    with (
        Terminal("tcpflow-view live -i lo port 1235", folder) as live,
        Terminal("php docs/tutorial/server.php", folder) as server,
    ):
        live.wait_for("listening on lo")
        server.wait_for(LISTENING)
        with Terminal("php docs/tutorial/client.php", folder) as client:
            assert client.ended().replace('"', "'") == shown("index.md", CLIENT).replace("b'", "'")
        assert server.ended().replace('"', "'") == shown("index.md", SERVER).replace("b'", "'")
        live.wait_for(LAST)
        check("index.md", "tcpflow-view live -i lo port 1235", live.interrupt())
    with Terminal("php docs/tutorial/server.php", folder) as again:
        assert again.ended() == "bind: Address already in use\n"


def test_every_live_block_is_played() -> None:
    commands = {SERVER, CLIENT}
    for option in LANGUAGES.values():
        commands |= {f"tcpflow-view {option}live -i lo port 1235", f"tcpflow-view {option}run --port 1235 -- {SERVER}"}
    assert {step.command for block in LIVE for step in steps(block)} == commands
    assert {block.page.parent for block in LIVE} == {DOCS / "tutorial"}


def test_other_states_are_noticed() -> None:
    page = "index.md"
    command = "tcpflow-view live -i lo port 1235"
    with pytest.raises(AssertionError):
        check(page, command, shown(page, command).replace("TIME-WAIT", "CLOSED"))
    check(page, command, shown(page, command).replace("16:03", "17:04").replace("36052", "5"))
    page, command = "states.md", f"tcpflow-view run --port 1235 -- {SERVER}"
    check(page, command, shown(page, command).replace("(25412)", "(7)"))
    with pytest.raises(AssertionError):
        check(page, command, shown(page, command).replace("set it before bind()", "leave it"))
