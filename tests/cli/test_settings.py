"""The user's file of defaults: where it is, what it may say, who wins."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.cli import settings
from analyzer.cli.main import COMMANDS, main
from analyzer.cli.settings import Settings, line_of, place, read

ROOT = Path(__file__).parents[2]
CAPTURE = str(ROOT / "captures" / "made" / "loopback-echo-1235.pcap")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes the file that is read."""

    def write(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text)
        monkeypatch.setenv(settings.VARIABLE, str(path))
        return path

    return write


def called(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code or 0, *capsys.readouterr()


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["read", "-h"], ["completion", "bash"]])
def test_what_needs_no_settings(
    words: list[str], config: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell's start must not fail for them, nor must help."""
    path = config("lang = ")
    status, out, err = called(words, capsys)
    assert (status, bool(out)) == (0, True)
    assert err.startswith(f"tcpflow-view: warning: {path}, line 1: this is not TOML")
    assert called(["read", CAPTURE], capsys)[0] == 2


# ---------------------------------------------------------------- where


def test_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for own, base, expected in (
        (None, None, "/home/me/.config/tcpflow-view/config.toml"),
        (None, "", "/home/me/.config/tcpflow-view/config.toml"),
        (None, "relative/does/not/count", "/home/me/.config/tcpflow-view/config.toml"),
        (None, "/etc/xdg", "/etc/xdg/tcpflow-view/config.toml"),
        ("/my/own", "/etc/xdg", "/my/own"),
        ("", "/etc/xdg", ""),
    ):
        for name, value in ((settings.VARIABLE, own), ("XDG_CONFIG_HOME", base)):
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)
        assert place() == expected


def test_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert read(COMMANDS) == Settings()
    (tmp_path / "tcpflow-view").mkdir()
    (tmp_path / "tcpflow-view" / "config.toml").write_text("lang = 'zh'")
    assert read(COMMANDS).lang == "zh"
    monkeypatch.setenv(settings.VARIABLE, "")
    assert read(COMMANDS) == Settings()


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As in a container that runs with any number for a user."""

    def homeless(_path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(settings.VARIABLE)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    assert place() == ""
    assert called(["read", CAPTURE], capsys)[0] == 0
    told = called(["config"], capsys)[1]
    assert told.splitlines()[0] == f" no file: there is no home, and {settings.VARIABLE} is not set"


def test_another_users_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What HOME says may be root's still; what is named on purpose has to be readable."""

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)
    monkeypatch.delenv(settings.VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert read(COMMANDS) == Settings()
    monkeypatch.setenv(settings.VARIABLE, str(tmp_path / "mine.toml"))
    status, _out, err = called(["read", CAPTURE], capsys)
    assert (status, err) == (2, f"tcpflow-view: {settings.VARIABLE}={tmp_path}/mine.toml: Permission denied\n")


def test_nothing_is_imported_for_no_file(tmp_path: Path) -> None:
    environment = os.environ | {"TCPFLOW_VIEW_CONFIG": ""}
    code = "import sys, atexit\nfrom analyzer.cli.main import main\n"
    code += "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\nmain(['--help'])"
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"tomllib", "difflib", "subprocess", "socket", "numpy"} & set(shown.stderr.split())


# ---------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lang = 'zh'\ncolor = ", "line 2: this is not TOML: Invalid value"),
        ("lang = 'zh'\n\nlang = 'en'\n", "line 3: this is not TOML: Cannot overwrite a value"),
        ("\n[live\n", "line 2: this is not TOML: Expected ']' at the end of a table declaration"),
        ("lang = 'eo'", "line 1: lang is one of en, zh"),
        ("lang = 1", "line 1: lang is one of en, zh"),
        ("\ncolor = true", "line 2: color is one of auto, always, never"),
        ("pager = 1", "line 1: pager needs a command in quotes, true or false"),
        ("pagr = 'less'", "line 1: there is no setting and no command pagr (did you mean pager?)"),
        ("[live]\n\n[reed]", "line 3: there is no setting and no command reed (did you mean read?)"),
        ("read = true", "line 1: read is a command: its options stand below a line [read]"),
        ("[read]\ncals = true", "line 2: read has no option --cals (did you mean calls?)"),
        ("[live]\ncount = 1\n[read]\ncount = 2", "line 4: read has no option --count"),
        ("[read]\nhelp = true", "line 2: read has no option --help"),
        ("[read]\nlang = 'zh'", "line 2: read has no option --lang"),
        ("[read]\nfile = 'x'", "line 2: read has no option --file"),
        ("[read]\nz = true", "line 2: read has no option -z"),
        ('[read]\n"\\u001b[2J" = 1', r"read has no option --\x1b[2J"),
        ("[read]\ncalls = 'yes'", "line 2: [read] calls needs true or false"),
        ("[read]\nconnection = 3", "line 2: [read] connection needs a text in quotes"),
        ("[read]\nserver = '192.0.2.1:80'", "line 2: [read] server needs a list"),
        ("[read]\nserver = [80]", "line 2: [read] server needs a text in quotes"),
        ("[read]\nsort = 'beauty'", "line 2: [read] sort: 'beauty' is not one of"),
        ("[read]\ncolor = 'red'", "line 2: [read] color: 'red' is not one of 'auto', 'always', 'never'."),
    ],
)
def test_one_line_says_what_is_wrong(
    text: str, told: str, config: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(text)
    status, out, err = called(["read", CAPTURE], capsys)
    assert (status, out) == (2, "")
    assert err.startswith(f"tcpflow-view: {path}")
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "text", "told"),
    [
        ("timeline", "verbose = true", "timeline has no option --verbose"),
        ("timeline", "v = true", "[timeline] v needs a whole number"),
        ("live", "duration = 'long'", "[live] duration needs a number"),
        ("live", "duration = 0", "[live] duration: 0.0 is not in the range x>0"),
        ("live", "count = 1.5", "[live] count needs a whole number"),
    ],
)
def test_kinds_of_options(
    command: str, text: str, told: str, config: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    config(f"[{command}]\n{text}\n")
    status, _, err = called([command, CAPTURE], capsys)
    assert status == 2
    assert f"line 2: {told}" in err
    assert called(["read", CAPTURE, "-c", "1"], capsys)[0] == 0, "another command does not mind"


@pytest.mark.parametrize(
    ("octets", "told"), [(b"lang = 'en'\n# \xff\n", "line 2: this is not UTF-8"), (None, "No such file or directory")]
)
def test_files_that_cannot_be_read(
    octets: bytes | None, told: str, config: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = config("")
    if octets is None:
        path.unlink()
    else:
        path.write_bytes(octets)
    status, _, err = called(["interfaces"], capsys)
    assert status == 2
    assert told in err
    assert err.count("\n") == 1


def test_lines_of_keys() -> None:
    source = "lang = 1\n[live]\nlang=2\n [ read ] # calls = 1\n'calls' = 3\n\"lang\" . x = 4\n"
    assert [line_of(source, "lang", table) for table in ("", "live", "read", "run")] == [1, 3, 6, 0]
    assert [line_of(source, name) for name in ("live", "read", "calls")] == [2, 4, 0]
    assert line_of(source, "calls", "read") == 5


# ---------------------------------------------------------------- who wins


def test_languages(config: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    config("lang = 'zh'")
    assert "服务器" in called(["read", CAPTURE], capsys)[1]
    assert "server" in called(["read", CAPTURE, "--lang", "en"], capsys)[1]


@pytest.mark.parametrize(
    ("text", "environment", "arguments", "is_colored"),
    [
        ("color = 'always'", {}, [], True),
        ("color = 'always'", {}, ["--color", "never"], False),
        ("color = 'always'", {"NO_COLOR": "1"}, [], False),
        ("color = 'always'", {"NO_COLOR": ""}, [], True),
        ("color = 'never'", {}, [], False),
        ("color = 'never'", {"FORCE_COLOR": "1"}, [], True),
        ("color = 'never'", {}, ["--color", "always"], True),
        ("color = 'never'\n[read]\ncolor = 'always'", {}, [], True),
        ("color = 'always'\n[timeline]\ncolor = 'never'", {}, [], True),
    ],
)
def test_colors(
    text: str, environment: dict[str, str], arguments: list[str], is_colored: bool, config: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    config(text)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in called(["read", CAPTURE, *arguments], capsys)[1]) == is_colored


@pytest.mark.parametrize(
    ("text", "arguments", "same_as"),
    [
        ("[read]\ncalls = true", ["read"], ["read", "--calls"]),
        ("[read]\ncalls = false", ["read"], ["read", "--no-calls"]),
        ("[read]\ncalls = false", ["read", "--calls"], ["read", "--calls"]),
        ("[read]\nstates = true\nall = true", ["read"], ["read", "--states", "--all"]),
        ("[read]\nc = '1'", ["read"], ["read", "-c", "1"]),
        ("[read]\nserver = ['127.0.0.1:48994']", ["read"], ["read", "--server", "127.0.0.1:48994"]),
        ("[export]\nrecords = 'packets'", ["export"], ["export", "--records", "packets"]),
        ("[timeline]\ntcpdump = true\nn = 1\nv = 2", ["timeline"], ["timeline", "--tcpdump", "-n", "-vv"]),
        ("[timeline]\ntcpdump = true\nn = 1", ["read"], ["read"]),
    ],
)
def test_options_of_commands(
    text: str, arguments: list[str], same_as: list[str], config: Callable[[str], Path],
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def shown(arguments: list[str]) -> tuple[object, ...]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, CAPTURE])
        return ended.value.code or 0, *capfdbinary.readouterr()

    expected = shown(same_as)
    assert expected[0] == 0
    config(text)
    assert shown(arguments) == expected


# ---------------------------------------------------------------- tcpflow-view config


def test_what_is_in_force(
    config: Callable[[str], Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER", "sh -x")
    path = config("lang = 'en'\ncolor = 'always'\n[read]\ncalls = true\nserver = ['192.0.2.1:80']\n")
    status, out, _ = called(["config", "--color", "never"], capsys)
    assert status == 0
    assert out.splitlines() == [
        f" {path}",
        "",
        " lang   en      this file",
        " color  always  this file",
        " pager  sh -x   PAGER",
        "",
        " [read]",
        " calls = true",
        ' server = ["192.0.2.1:80"]',
    ]
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TCPFLOW_VIEW_PAGER", "")
    lines = called(["config", "--lang", "zh"], capsys)[1].splitlines()
    assert [line.split() for line in lines[2:5]] == [
        ["lang", "zh"], ["color", "never", "NO_COLOR"], ["pager", "false", "TCPFLOW_VIEW_PAGER"]
    ]  # fmt: skip


def test_its_own_look_at_every_table(config: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    config("[read]\ncalls = true\n[live]\nnonsense = 1\n")
    status, _, err = called(["config"], capsys)
    assert status == 2
    assert "line 4: live has no option --nonsense" in err


def test_without_a_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert called(["config"], capsys)[1].startswith(" no file: TCPFLOW_VIEW_CONFIG is empty\n")
    monkeypatch.delenv(settings.VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/not/there")
    told = " /not/there/tcpflow-view/config.toml (there is no such file)\n"
    assert called(["config"], capsys)[1].startswith(told)
