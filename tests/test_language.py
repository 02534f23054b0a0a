"""Every text for a person has a translation: catalogues are whole, sources mark their texts, screens show no others."""

from __future__ import annotations

import ast
import gettext
import re
import subprocess
import sys
from pathlib import Path
from typing import TypeGuard

import pytest

from analyzer import language
from analyzer.cli import speech
from analyzer.cli.main import COMMANDS, main
from analyzer.cli.summary import quality_of
from analyzer.language import _, counted, languages, speak, spoken
from analyzer.pipeline import lives, survey
from analyzer.render.quality import quality
from analyzer.render.remarks import remarks
from analyzer.render.screen import Screen
from analyzer.render.table import table
from analyzer.render.words import ENDINGS, EVENTS, PHASES, PROTOCOLS, SIDES, STATES
from analyzer.tables import Phase, Protocol, Side

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

ROOMS = ("cli", "render", "explain")
NOT_YET = {
    "cli/live.py", "cli/read.py", "cli/servers.py", "cli/timeline.py", "cli/watch.py",
    "explain/why.py", "render/ladder.py", "render/live.py", "render/timeline.py",
}  # fmt: skip
"""Whose texts are still to be marked."""

NO_TEXTS = {
    "render/arrow.py": "what stands on an arrow is TCP's, and tcpdump's words for it",
    "render/quantities.py": "names of what is counted: its own table has the texts",
}

MARKS = {"_", "text", "counted"}
LOOKS_LIKE_TEXT = re.compile(r"[A-Za-z]{2,}[,:;]? [A-Za-z]{2,}|[a-z]{3,} $|^ [a-z]{3,}")
STYLES = re.compile(r"(bold|dim|reverse|red| )+")
"""Of Screen.paint."""

ASSIGNED = {"_EXAMPLES", "COMMANDS"}
"""Constants that cli/speech.py translates, as it does all help of commands and options."""


def sources() -> list[Path]:
    found = [path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py")) if "tcpdump" not in path.parts]
    return [path for path in found if path.relative_to(PACKAGE).as_posix() not in NOT_YET | NO_TEXTS.keys()]


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
                found.append(f"{ast.unparse(node)}: marked within an f-string")
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


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_texts_are_marked(path: Path) -> None:
    assert unmarked(ast.parse(path.read_text(encoding="utf-8"))) == []


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


def test_what_is_left_to_do_is_there() -> None:
    assert all((PACKAGE / name).exists() for name in NOT_YET | NO_TEXTS.keys())


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


def unbracketed(shown: str) -> list[str]:
    """Words of two letters and more that no bracket encloses."""
    before = ""
    while before != shown:
        before, shown = shown, re.sub(r"⟦[^⟦⟧]*⟧", "", shown)
    assert "⟦" not in shown
    return re.findall(r"[A-Za-z_-]{2,}", shown)


UNITS = {"ns", "ms", "kB", "MB"}
NAMES = {word.text for word in (*STATES.values(), *(PROTOCOLS[one] for one in Protocol)) if word.text.isupper()}
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
