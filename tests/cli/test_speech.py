"""``--lang`` wherever it stands, click in our language, help in columns."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from analyzer.cli.main import COMMANDS, main
from analyzer.cli.read import command as read
from analyzer.cli.speech import choose
from analyzer.errors import UsageError
from analyzer.language import spoken
from analyzer.render.screen import cells

CAPTURE = Path(__file__).parents[2] / "captures" / "made" / "hi-1234.pcap"


@pytest.mark.parametrize(
    ("arguments", "language", "rest"),
    [
        ("read x", "en", "read x"),
        ("--lang zh read x", "zh", "read x"),
        ("read --lang zh x", "zh", "read x"),
        ("read x port 80 --lang=zh", "zh", "read x port 80"),
        ("--lang zh read --lang en x", "en", "read x"),
        ("run -- server --lang zh", "en", "run -- server --lang zh"),
        ("run --lang zh -- server --lang=de", "zh", "run -- server --lang=de"),
        ("--language zh", "en", "--language zh"),
    ],
)
def test_where_it_may_stand(arguments: str, language: str, rest: str) -> None:
    assert choose(arguments.split()) == rest.split()
    assert spoken() == language


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--lang", "eo"], "--lang eo: it knows en, zh"),
        (["--lang=\x1b"], r"--lang \x1b: it knows en, zh"),
        (["read", "x", "--lang"], "--lang: one of en, zh must follow"),
        (["read", "--lang", "--", "x"], "--lang: one of en, zh must follow"),
        (["--lang="], "--lang: one of en, zh must follow"),
    ],
)
def test_languages_that_are_not_known(arguments: list[str], told: str) -> None:
    with pytest.raises(UsageError) as error:
        choose(arguments)
    assert str(error.value) == told


def test_each_call_chooses_anew(capsys: pytest.CaptureFixture[str]) -> None:
    read.get_help_option(click.Context(read))
    for language, word in (("en", "Usage:"), ("zh", "用法:"), ("en", "Usage:")):
        with pytest.raises(SystemExit):
            main(["read", "--help", "--lang", language])
        shown = capsys.readouterr().out
        assert shown.startswith(word)
        assert ("Show this message and exit." in shown) == (language == "en")


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_in_chinese(
    command: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit):
        main([*command.split(), "--help", "--lang", "zh"])
    shown = capsys.readouterr().out
    assert "--lang [en|zh]" in shown
    assert "显示此帮助后退出。" in shown
    told = [line for line in shown.partition("示例")[0].splitlines() if "|" not in line]  # a choice is not broken
    assert max(map(cells, told)) <= columns


def test_the_locale_is_heard_and_children_hear_the_same() -> None:
    environment = os.environ | {"LANGUAGE": "zh", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "analyzer", "read", str(CAPTURE)]
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout
    assert "10 个数据包" in shown
    assert "10 packets" in subprocess.run(
        [*command, "--lang", "en"], capture_output=True, text=True, env=environment, check=True
    ).stdout  # fmt: skip


def test_chinese_that_was_asked_for_is_shown_in_the_c_locale() -> None:
    environment = os.environ | {"LC_ALL": "C"}
    command = [sys.executable, "-m", "analyzer", "read", "--lang", "zh", str(CAPTURE)]
    shown = subprocess.run(command, capture_output=True, env=environment, check=True).stdout
    assert "客户端" in shown.decode()


def test_records_have_no_language(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    records = []
    for language in ("en", "zh"):
        with pytest.raises(SystemExit):
            main(["export", str(CAPTURE), "--records", "packets", "--lang", language])
        records.append(capfdbinary.readouterr().out)
    assert records[0] == records[1] != b""
