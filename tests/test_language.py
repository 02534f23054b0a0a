"""Every text for a person has a translation: catalogues are whole, sources mark their texts, screens show no others."""

from __future__ import annotations

import ast
import gettext
import re
import subprocess
import sys
from pathlib import Path
from typing import TypeGuard
from xml.etree import ElementTree

import pytest

from analyzer import language
from analyzer.api.story import quality_of
from analyzer.cli import speech
from analyzer.cli.main import COMMANDS, main
from analyzer.explain.calls import inferred
from analyzer.explain.waiting import Waiting
from analyzer.explain.walk import walk
from analyzer.language import _, counted, languages, speak, spoken
from analyzer.pipeline import Run, lives, survey
from analyzer.render import arrow, ladder, lifelines, waiting
from analyzer.render.ladder import Story
from analyzer.render.live import Heading, LiveTable
from analyzer.render.quality import quality
from analyzer.render.remarks import remarks
from analyzer.render.screen import Screen, cells
from analyzer.render.state_svg import state_svg
from analyzer.render.table import table
from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.render.timeline import Timeline
from analyzer.render.watched import Watched
from analyzer.render.words import ENDINGS, EVENTS, FLAG_WORDS, PHASES, PROTOCOLS, SIDES, STATES, Word
from analyzer.tables import Phase, Protocol, Side
from analyzer.tcp.states import State
from tests.render.made import connection

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "analyzer"
CAPTURES = sorted((ROOT / "captures" / "made").glob("*.pcap*"))


def test_the_catalogues_are_whole() -> None:
    pytest.importorskip("babel", reason="babel is not installed")
    command = [sys.executable, str(ROOT / "docs" / "translate.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert checked.stderr == ""
    assert checked.returncode == 0


# ---------------------------------------------------------------- choosing


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "zh_CN.UTF-8", "LANG": "de_DE.UTF-8"}, "zh"),
        ({"LC_MESSAGES": "en_GB.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANGUAGE": "fr:zh_TW:en", "LANG": "fr_FR.UTF-8"}, "zh"),
        ({"LANGUAGE": "en:zh", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANGUAGE": "zh", "LC_ALL": "C"}, "en"),
        ({"LANG": "eo"}, "en"),
    ],
)
def test_the_locale_decides(environment: dict[str, str], chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    speak(None)
    assert spoken() == chosen
    assert _("client") == {"en": "client", "zh": "客户端"}[chosen]


def test_the_forms_of_numbers() -> None:
    forms = "{n} packet", "{n} packets"
    assert [counted(*forms, n).format(n=n) for n in (0, 1, 2)] == ["0 packets", "1 packet", "2 packets"]
    speak("zh")
    assert [counted(*forms, n).format(n=n) for n in (1, 2)] == ["1 个数据包", "2 个数据包"]


def test_nothing_is_nothing_in_every_language() -> None:
    for name in languages():
        speak(name)
        assert _("") == ""


def test_the_articles_words() -> None:
    speak("zh")
    assert [PHASES[phase].text for phase in Phase if phase] == ["建立连接", "数据传输", "关闭连接"]
    assert [SIDES[side].text for side in Side] == ["客户端", "服务器"]


# ---------------------------------------------------------------- sources

ROOMS = ("cli", "render", "explain", "expect")
NO_TEXTS = {
    "cli/completing.py": "what shells say to each other",
    "expect/description.py": "what the JSON Schema says to editors",
    "explain/seen_ends.py": "what strace says of an end",
    "render/arrow.py": "what stands on an arrow is TCP's, and tcpdump's words for it",
    "render/figure_5.py": "its labels are those of the figure in RFC 9293",
    "render/quantities.py": "names of what is counted: its own table has the texts",
    "render/state_svg.py": "markup; test_states_as_svg reads what it says",
}

IN_VAIN = "marked within an f-string"
MARKS = {"_", "text", "counted"}
LOOKS_LIKE_TEXT = re.compile(r"[A-Za-z]{2,}[,:;]? [A-Za-z]{2,}|[a-z]{3,} $|^ [a-z]{3,}")
STYLES = re.compile(r"(bold|dim|italic|reverse|red| )+")
"""Of Screen.paint."""

ASSIGNED = {"_EXAMPLES", "COMMANDS"}
"""Constants that cli/speech.py translates, as it does all help of commands and options."""


def sources() -> list[Path]:
    return [path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py")) if "tcpdump" not in path.parts]


def named(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def unmarked(tree: ast.AST, above: tuple[ast.AST, ...] = ()) -> list[str]:
    """String constants that look like a text for a person, and marks where babel does not look."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.Assert) or is_translated_by_its_name(node):
            continue
        if is_mark(node):
            if isinstance(node.args[0], ast.Constant) and any(isinstance(one, ast.JoinedStr) for one in above):
                found.append(f"{ast.unparse(node)}: {IN_VAIN}")
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if LOOKS_LIKE_TEXT.search(node.value) and not STYLES.fullmatch(node.value):
                found.append(f"{node.lineno}: {node.value!r}")
        found += unmarked(node, (*above, node))
    return found


def is_mark(node: ast.AST) -> TypeGuard[ast.Call]:
    if not isinstance(node, ast.Call):
        return False
    return (getattr(node.func, "id", "") or getattr(node.func, "attr", "")) in MARKS


def is_translated_by_its_name(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id in ASSIGNED for target in node.targets)
    return isinstance(node, ast.keyword) and node.arg == "help"


@pytest.mark.parametrize("path", sources(), ids=named)
def test_texts_are_marked(path: Path) -> None:
    found = unmarked(ast.parse(path.read_text(encoding="utf-8")))
    assert [one for one in found if IN_VAIN in one or named(path) not in NO_TEXTS] == []


@pytest.mark.parametrize("path", [path for path in sources() if path.name != "wrapping.py"], ids=named)
def test_sentences_are_wrapped_by_columns(path: Path) -> None:
    assert "import textwrap" not in path.read_text(encoding="utf-8"), "render/wrapping.py knows wide characters"


@pytest.mark.parametrize(
    "source",
    [
        'x = "two words"',
        'f"{n} packets"',
        'x = f"connection {n}"',
        'raise ValueError(f"no such {n}")',
        "f\"{_('one')}\"",
    ],
)
def test_unmarked_texts_are_found(source: str) -> None:
    assert len(unmarked(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source", ['x = _("two words")', 'counted("a packet", "{n} packets", 2)', '"""A docstring."""', 'x = "bold red"']
)
def test_marked_texts_are_not(source: str) -> None:
    assert unmarked(ast.parse(source)) == []


def test_what_has_no_texts_is_there() -> None:
    assert all((PACKAGE / name).exists() for name in NO_TEXTS)


# ---------------------------------------------------------------- screens


class Bracketed(gettext.NullTranslations):
    """A language in which every text stands in brackets."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, one: str, many: str, n: int) -> str:
        return f"⟦{one if n == 1 else many}⟧"


@pytest.fixture
def bracketed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_chosen", Bracketed())
    monkeypatch.setattr(speech, "speak", lambda language: None)


WORDS = re.compile(r"[A-Za-z_-]{2,}")


def unbracketed(shown: str) -> list[str]:
    """Words of two letters and more that no bracket encloses."""
    before = ""
    while before != shown:
        before, shown = shown, re.sub(r"⟦[^⟦⟧]*⟧", "", shown)
    assert "⟦" not in shown
    return WORDS.findall(shown)


UNITS = {"ns", "ms", "kB", "MB"}
PROPER = [word.text for word in (*STATES.values(), *(PROTOCOLS[one] for one in Protocol)) if word.text.isupper()]
NAMES = set(WORDS.findall(" ".join(PROPER)))
VERDICTS = {"OTH", "REJ", "RSTO", "RSTR", "RSTOS", "RSTRH", "SF", "SH", "SHR"}


def test_words_of_codes_are_texts(bracketed: None) -> None:
    for table_of_words in (SIDES, PHASES, ENDINGS, EVENTS):
        assert unbracketed(" ".join(word.text for word in table_of_words.values())) == []


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_screens_of_captures(path: Path, bracketed: None) -> None:
    screen = Screen(1_000)
    run = survey(str(path), "")
    numbers = range(1, run.count + 1)
    shown = [*quality(quality_of(run, "tcp[tcpflags] != 0"), "-", screen, whole=True)]
    shown += table(run.connections, run.endpoints, range(run.count), screen, whole=False)
    for life in lives(str(path), "", numbers).values():
        shown += remarks(life, screen)
    assert set(unbracketed("\n".join(shown))) <= UNITS | NAMES | VERDICTS


ON_ARROWS = {*FLAG_WORDS, "mss", "ws", "sackOK", "TS", "ack", "win", "sack"}
ON_FIGURE_5 = {"RFC", "SEND", "active", "OPEN", "CLOSE", "Timeout", "MSL", "snd", "rcv", "of", "delete", "TCB"}
IN_ADDRESSES = {"db"}


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns so wide that no text is broken or cut, and no payload among them."""
    for name, width in (("WIDEST", 1_000), ("_STATE_WIDTH", 60), ("_CALLS_WIDTH", 100), ("_NOTE_WIDTH", 100)):
        monkeypatch.setattr(lifelines, name, width)
    for module in (ladder, waiting):
        monkeypatch.setattr(module, "_LONGEST_" + ("LINE" if module is waiting else "SENTENCE_LINE"), 1_000)
    monkeypatch.setattr(arrow, "excerpt", lambda *_: "")
    monkeypatch.setenv("COLUMNS", "1000")


def shown_by(arguments: list[str], output: pytest.CaptureFixture[bytes]) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert not ended.value.code
    return output.readouterr().out.decode().splitlines()


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_reading(path: Path, bracketed: None, roomy: None, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    first, *lines = shown_by(["read", str(path), "--states", "--all"], capfdbinary)
    assert first.startswith(path.name)
    expected = UNITS | NAMES | VERDICTS | ON_ARROWS | ON_FIGURE_5 | IN_ADDRESSES
    assert set(unbracketed("\n".join(lines))) <= expected


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_timelines(path: Path, bracketed: None, roomy: None, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    lines = shown_by(["timeline", str(path), "--calls"], capfdbinary)
    ours = [re.sub(r"\d\d:\d\d:\d\d\.\d{6} .*", "", line) for line in lines]
    assert len(set(ours)) > 1
    assert set(unbracketed("\n".join(ours))) <= NAMES


@pytest.mark.parametrize("width", [150, 400])
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_live_tables(path: Path, width: int, bracketed: None) -> None:
    watched = Watched()
    with Run(path) as run:
        for batch in run:
            watched.note(batch)
    heading = Heading("lo", "", 0, run.packets, 1, "/to/1", 1)
    rows = run.connections[: run.count], run.endpoints[: run.count]
    for later_ns in (0, 10**9, 10**12):
        table = LiveTable(watched, lambda connection: ("", ""))
        lines = table.lines(heading, *rows, run.last_ns + later_ns, Screen(width, terminal=True), 20)
        assert set(unbracketed("\n".join(lines))) <= UNITS | NAMES | ON_ARROWS | IN_ADDRESSES


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_states_as_svg(path: Path, bracketed: None) -> None:
    run = survey(str(path), "")
    drawn = state_svg(walk(lives(str(path), "", [1])[1]), run.last_ns, "")
    texts = [told for element in ElementTree.fromstring(drawn).iter() for told in (element.text or "").splitlines()]
    told = "\n".join(one for one in texts if not re.search("[{}]|--", one))  # not the style
    assert set(unbracketed(told)) <= UNITS | NAMES | ON_ARROWS | ON_FIGURE_5


@pytest.mark.parametrize("state", [State.TIME_WAIT, State.CLOSE_WAIT])
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("closed", [0, 1])
def test_waiting_connections(state: State, side: Side, closed: int, bracketed: None, roomy: None) -> None:
    one = Waiting(state, side, connection(), (), (80, 81), 9, 0, 10**9, closed)
    screen = Screen(1_000)
    told = [line for end_ns in (10**9, 10**11) for line in waiting.after_the_capture([one], end_ns, screen)]
    told += [*waiting.still_there([one], 10**9, screen), waiting.finding([one], 10**9).text]
    assert unbracketed("\n".join(told)) == []


# ---------------------------------------------------------------- columns


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_lifelines_are_straight_in_chinese(path: Path, width: int) -> None:
    speak("zh")
    run = survey(str(path), "")
    for number, life in lives(str(path), "", range(1, run.count + 1)).items():
        row, ends = run.connections[number - 1], run.endpoints[number - 1]
        told = Story(number, row, ends, life, Word(""), (), calls=inferred(row, ends, life))
        lines = list(ladder.ladder(told, Screen(width, terminal=True)))
        assert all(cells(line) <= width for line in lines)
        heads = next(line for line in lines if "╷" in line)
        places = [cells(heads[: match.start()]) for match in re.finditer("╷", heads)]
        rows = [line for line in lines if re.match(r"[▌│ ].*[│┊├┤]", line)]
        assert len(rows) > len(life.number)
        for line in rows:
            assert column(line, places[1]) in "│┊┤"
            assert column(line, places[0]) in "│┊├" or column(line, places[1]) == "│"  # a banner may cross it


def column(line: str, place: int) -> str:
    """What stands in this column of a screen."""
    return next((character for i, character in enumerate(line) if cells(line[:i]) == place), "")


@pytest.mark.parametrize("screen", [Screen(width, terminal=True) for width in (60, 80, 100, 140)], ids=str)
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_columns_of_timelines_in_chinese(path: Path, screen: Screen) -> None:
    speak("zh")
    timeline = Timeline(screen, TcpdumpPrinter(TcpdumpOptions(numeric=1)))
    with Run(path) as run:
        lines = "".join(map(timeline.render, run)).splitlines()
    assert all(cells(line) <= screen.width for line in lines)
    packets = [match for line in lines if (match := re.search(r"\d\d:\d\d:\d\d\.\d{6} ", line))]
    assert len({cells(match.string[: match.start()]) for match in packets}) == 1


@pytest.mark.parametrize("options", [[], ["--messages"], ["--hex"]], ids=str)
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_following(
    path: Path, options: list[str], bracketed: None, monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit) as ended:
        main(["follow", str(path), "-c", "1", *options])
    assert not ended.value.code
    lines = capfdbinary.readouterr().out.decode().splitlines()
    told = [line for line in lines if not re.match(r"  |[\da-f]{8}  ", line)]  # the others are payload
    assert set(unbracketed("\n".join(told))) <= UNITS | NAMES


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(command: str, bracketed: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    usage, shown = capsys.readouterr().out.split("\n", 1)
    assert usage.startswith("⟦Usage:⟧ tcpflow-view")
    lines = [line for line in shown.splitlines() if not re.match(r"    \S", line)]  # examples
    named = [re.sub(r"^  ([a-z]+ |--?[\w#].*?(?=⟦|$))", "", line) for line in lines]  # commands and options
    assert unbracketed("\n".join(named)) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["read"], ["read", "--nosuch", "x"], ["nosuch"], ["read", "x", "--sort", "x"], ["live", "-c", "x"],
        ["live", "-c", "0"], ["follow", "x", "--raw"], ["interfaces", "x"], ["read", "--all=1", "x"],
        ["read", "/nosuch"], ["read", "/"], ["follow", str(CAPTURES[0]), "--zeros"],
        ["follow", str(CAPTURES[0]), "-c", "x"], ["follow", str(CAPTURES[0]), "-c", "0"],
        ["follow", str(CAPTURES[0]), "-c", "99"], ["read", str(CAPTURES[0]), "--only", "x"],
        ["export", str(CAPTURES[0]), "-o", str(CAPTURES[0])], ["export", str(CAPTURES[0]), "-o", "/nosuch/x"],
        ["read", str(CAPTURES[0]), "x", "x"], ["read", __file__], ["read", "--lang", "x"], ["read", "--lang"],
        ["read", str(CAPTURES[0]), "--server", "x"], ["read", str(CAPTURES[0]), "-c", "1,2", "--states-svg", "x"],
        ["timeline", str(CAPTURES[0]), "-tttttt"], ["timeline", str(CAPTURES[0]), "--calls", "--tcpdump"],
        ["timeline", "-", "--calls"], ["export", "-", "-c", "1"], ["live"], ["live", "-i", "lo", "-w", "-"],
        ["live", "-i", "lo", "--rotate-size", "1"], ["live", "-i", "lo", "-w", "x", "--rotate-files", "1"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_errors(arguments: list[str], bracketed: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "⟦" in told
    assert unbracketed(told) == ["tcpflow-view"]
