"""``tcpflow-view read --states`` and ``--states-svg``: which connections are drawn, and where the drawing goes."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from analyzer.cli.read import command
from analyzer.errors import UsageError
from analyzer.render import screen

MADE = Path(__file__).parents[2] / "captures" / "made"
THREE = str(MADE / "select-5000.pcapng")


@pytest.fixture(autouse=True)
def utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_locale_is_utf8", lambda: True)


def read(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(one) for one in arguments], env={"COLUMNS": "80", "NO_COLOR": None})


def test_each_connection_that_is_told_is_drawn() -> None:
    assert read(THREE, "--states").stdout.count("figure 5") == 3
    assert read(THREE, "--states", "-c", "2,3").stdout.count("figure 5") == 2
    assert read(THREE).stdout.count("figure 5") == 0


def test_datagrams_have_no_states() -> None:
    assert "figure 5" not in read(MADE / "echo-udp-23333.pcap", "--states").stdout


def test_svg(tmp_path: Path) -> None:
    file = tmp_path / "states.svg"
    result = read(THREE, "-c", "2", "--states-svg", file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "figure 5" not in result.stdout
    titles = [title.text or "" for title in ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0].startswith("States of ")
    assert ":5000 (RFC 9293, figure 5)" in titles[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([THREE, "--states-svg", "new.svg"], "choose it with -c N"),
        ([MADE / "echo-udp-23333.pcap", "--states-svg", "new.svg"], "choose it with -c N"),
        ([THREE, "-c", "1", "--states-svg", "no/new.svg"], "--states-svg no/new.svg: cannot write there"),
        ([THREE, "-c", "1", "--states-svg", THREE], "that is the capture itself"),
    ],
)
def test_svg_that_cannot_be_written(
    arguments: list[object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = read(*arguments)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []
