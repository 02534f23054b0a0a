"""What shells put in where Tab is pressed: what the program answers them, and what real shells make of it."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.cli.completing import VARIABLE
from analyzer.cli.main import COMMANDS, main
from tests.cli.terminal import ROOT, SETSID, on_a_terminal

WORDS = [
    ("", list(COMMANDS)),
    ("time", ["timeline"]),
    ("re", ["read", "report"]),
    ("--no", ["--no-pager"]),
    ("--lang ", ["en", "zh"]),
    ("--lang zh ti", ["timeline"]),
    ("read --stat", ["--states", "--states-svg"]),
    ("read x --color al", ["always"]),
    ("read x --color ", ["auto", "always", "never"]),
    ("read x --sort retransmitt", ["retransmitted"]),
    ("export x --format packetd", ["packetdrill"]),
    ("live --interface l", ["lo"]),
    ("completion ", ["bash", "zsh", "fish"]),
    ("read x port ", []),
]
"""What stands on the command line, and what may follow."""


@pytest.fixture
def program(tmp_path: Path) -> dict[str, str]:
    """An environment in which shells find the program."""
    path = tmp_path / "bin" / "tcpflow-view"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m analyzer "$@"\n')
    path.chmod(0o755)
    return os.environ | {
        "PATH": f"{path.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path), "PS1": "$ ", "LC_ALL": "C.UTF-8",
    }  # fmt: skip


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(shell) or not SETSID, reason=f"{shell} or setsid is not installed")


def parted(line: str) -> list[str]:
    """The words of a command line, the last one to be completed."""
    return ["tcpflow-view", *line.split(" ")]


def answers(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the program says to bash."""
    monkeypatch.setenv(VARIABLE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", shlex.join(words).replace("''", ""))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    return shown.out.split()


@pytest.mark.parametrize(("line", "expected"), WORDS)
def test_the_programs_answers(
    line: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answers(parted(line), monkeypatch, capsys) == [f"plain,{word}" for word in expected]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("read ", "file"),
        ("timeline --tcpdump caps", "file"),
        ("follow x -o ", "file"),
        ("read x --strace ", "file"),
        ("report x --svg ", "dir"),
        ("live -w ", "file"),
        ("run ", "file"),
    ],
)
def test_files(line: str, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert answers(parted(line), monkeypatch, capsys) == [f"{kind},{line.split(' ')[-1]}"]


def test_interfaces(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, "eth0"), (3, "eno1")])
    for line, expected in (("live -i ", ["any", "lo", "eth0", "eno1"]), ("run -i e", ["eth0", "eno1"])):
        assert answers(parted(line), monkeypatch, capsys) == [f"plain,{name}" for name in expected]


def test_words_that_bash_parts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert answers(["tcpflow-view", "read", "x", "--color", "=", "al"], monkeypatch, capsys) == ["plain,always"]
    assert answers(["tcpflow-view", "read", "x", "--color", "="], monkeypatch, capsys) == [
        f"plain,{word}" for word in ("auto", "always", "never")
    ]


def test_commands_are_listed_without_importing_them(program: dict[str, str]) -> None:
    asked = {VARIABLE: "bash_complete", "COMP_WORDS": "tcpflow-view ", "COMP_CWORD": "1"}
    code = "import sys\nfrom analyzer.cli.main import main\ntry:\n main([])\nfinally:\n print(*sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], env=program | asked, capture_output=True, text=True, check=True
    )
    assert "plain,read" in shown.stdout
    assert not {"numpy", "analyzer.cli.read", "analyzer.pipeline"} & set(shown.stdout.split())


def test_a_file_of_defaults_does_not_disturb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("nonsense = [")
    monkeypatch.setenv("TCPFLOW_VIEW_CONFIG", str(config))
    assert answers(parted("time"), monkeypatch, capsys) == ["plain,timeline"]


# ---------------------------------------------------------------- real shells


@needs("bash")
@pytest.mark.parametrize(("line", "expected"), WORDS)
def test_bashs_function(line: str, expected: list[str], program: dict[str, str]) -> None:
    words = parted(line)
    lines = (
        'eval "$(tcpflow-view completion bash)"',
        f"COMP_WORDS=({shlex.join(words)})",
        f"COMP_CWORD={len(words) - 1}",
        "[[ $(complete -p tcpflow-view) =~ -F\\ ([^ ]+) ]]",
        '"${BASH_REMATCH[1]}" tcpflow-view',
        'echo "${COMPREPLY[@]}"',
    )
    command = ["bash", "--norc", "-ec", "\n".join(lines)]
    shown = subprocess.run(command, env=program, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == expected
    assert shown.stderr == ""


TYPED = [
    ("tcpflow-view timel", "timeline "),
    ("tcpflow-view read --no-cal", "--no-calls "),
    ("tcpflow-view read x --color=ne", "--color=never "),
    ("tcpflow-view read captures/made/greeting-19", "captures/made/greeting-1935.pcap "),
]
"""What is typed before Tab is pressed, and how it ends then."""


@needs("bash")
@pytest.mark.parametrize(("typed", "expected"), TYPED)
def test_bash(typed: str, expected: str, program: dict[str, str]) -> None:
    setup = 'bind -x \'"\\C-g": echo "[$READLINE_LINE]"; exit\'; eval "$(tcpflow-view completion bash)"; echo rea""dy\n'
    keys = [("$ ", setup), ("ready\r\n", f"{typed}\t\x07")]
    shown = on_a_terminal(["bash", "--norc", "-i"], program, keys=keys)
    assert f"[{typed[: typed.rindex(' ')]} {expected}]" in shown.text


@needs("zsh")
@pytest.mark.parametrize(("typed", "expected"), TYPED)
def test_zsh(typed: str, expected: str, program: dict[str, str]) -> None:
    setup = (
        'autoload -U compinit; compinit -D -u; eval "$(tcpflow-view completion zsh)"; '
        'show() { zle -I; echo "[$BUFFER]"; exit }; zle -N show; bindkey "^G" show; echo rea""dy\n'
    )
    keys = [("> ", setup), ("ready\r\n", f"{typed}\t\x07")]
    shown = on_a_terminal(["zsh", "-f", "-i"], program | {"PS1": "> "}, keys=keys)
    assert f"[{typed[: typed.rindex(' ')]} {expected}]" in shown.text


@needs("fish")
@pytest.mark.parametrize(("line", "expected"), WORDS)
def test_fish(line: str, expected: list[str], program: dict[str, str]) -> None:
    code = "tcpflow-view completion fish | source; complete -C 'tcpflow-view " + line + "'"
    shown = subprocess.run(["fish", "--no-config", "-c", code], env=program, capture_output=True, text=True, check=True)
    assert sorted(one.split("\t")[0] for one in shown.stdout.splitlines()) == sorted(expected)


@needs("fish")
def test_fish_with_an_equals_sign(program: dict[str, str]) -> None:
    code = "tcpflow-view completion fish | source; complete -C 'tcpflow-view read x --color=a'"
    shown = subprocess.run(["fish", "--no-config", "-c", code], env=program, capture_output=True, text=True, check=True)
    assert sorted(shown.stdout.split()) == ["--color=always", "--color=auto"]


@needs("fish")
def test_fish_tells_what_they_are(program: dict[str, str]) -> None:
    code = "tcpflow-view completion fish | source; complete -C 'tcpflow-view time'"
    shown = subprocess.run(["fish", "--no-config", "-c", code], env=program, capture_output=True, text=True, check=True)
    assert shown.stdout.rstrip("\n") == f"timeline\t{COMMANDS['timeline']}"


def test_each_script_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh", "fish"):
        with pytest.raises(SystemExit) as ended:
            main(["completion", shell])
        assert ended.value.code is None or ended.value.code == 0
        shown = capsys.readouterr().out
        assert f"{VARIABLE}={shell}_complete" in shown
        assert "tcpflow-view" in shown
