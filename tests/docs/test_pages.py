"""Every command of the documentation is run, and prints what its page shows.

``pytest tests/docs/test_pages.py --update-goldens`` writes what is printed now into the pages; review the diff.
"""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import pytest

from analyzer.cli.main import tcpflow_view
from tests.docs.blocks import (
    DOCS,
    LEFT_OUT,
    PAGES,
    ROOT,
    Block,
    abridged,
    blocks,
    calls_of,
    every,
    place_to_run,
    ran,
    steps,
)

CONSOLE = [block for block in every("console") if not block.is_live]
SHELL = every("sh")
PLUGIN = "analyzer.pytest_plugin"
CODE = [block for block in every("python") if not block.title and "pytest" not in block.marks]
PYTHON = sorted({block.page for block in CODE})
TESTS = [block for block in every("python") if "pytest" in block.marks]
FILES = [block for language in ("python", "php", "toml", "yaml") for block in every(language) if block.title]


def place(block: Block) -> str:
    return block.place


def name(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return place_to_run(tmp_path)


def need(*parts: Block) -> None:
    """Skip what waits for something."""
    missing = {block.missing for block in parts if block.missing}
    if missing:
        pytest.skip(f"there is no {', '.join(sorted(missing))} here")


@pytest.mark.parametrize("page", sorted({block.page for block in CONSOLE}), ids=name)
def test_a_page_shows_what_is_printed(page: Path, folder: Path, request: pytest.FixtureRequest) -> None:
    parts = [block for block in CONSOLE if block.page == page]
    printed = {block: printed_now(block, folder) for block in parts if not block.missing}
    if request.config.getoption("--update-goldens"):
        text = page.read_text(encoding="utf-8")
        for block, now in printed.items():
            text = text.replace(block.whole, block.whole.replace(block.text, now))
        page.write_text(text, encoding="utf-8")
        return
    for block, now in printed.items():
        assert block.text == now, block.place
    need(*parts)


def printed_now(block: Block, folder: Path) -> str:
    """The block as it should stand in its page."""
    now, statuses = "", []
    for step in steps(block):
        status, printed = ran(step.command, folder, block.variables)
        statuses.append(status)
        text = printed.rstrip("\n") + "\n" if printed.strip() else ""
        now += f"$ {step.command}\n{abridged(text, step.shown)}"
    assert (any(statuses[:-1]), statuses[-1]) == (False, block.status), f"{block.place}\n{now}"
    return now


@pytest.mark.parametrize("block", SHELL, ids=place)
def test_commands_that_are_not_run_can_be_parsed(block: Block) -> None:
    need(block)
    for arguments in calls_of(block.text):
        parse(arguments)


def parse(arguments: list[str]) -> None:
    """Raise what the command line would say of arguments that it does not know."""
    group = click.Context(tcpflow_view, info_name="tcpflow-view")
    if arguments[0] == "--lang":
        arguments = arguments[2:]
    called, *words = arguments
    if called.startswith("-"):
        tcpflow_view.make_parser(group).parse_args(list(arguments))
        return
    command = tcpflow_view.get_command(group, called)
    if command is None:
        raise click.UsageError(f"there is no command {called}")
    context = click.Context(command, info_name=called, parent=group)
    values, _, _ = command.make_parser(context).parse_args(words)
    for option in command.get_params(context):
        if option.name in values and isinstance(option, click.Option):
            option.type_cast_value(context, values[option.name])


@pytest.mark.parametrize("page", PYTHON, ids=name)
def test_python_of_a_page_runs(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"__name__": page.stem}
    parts = [block for block in blocks(page) if block in CODE]
    for block in parts:
        if not block.missing:
            exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
    need(*parts)


@pytest.mark.parametrize("block", TESTS, ids=place)
def test_tests_of_a_page_pass(block: Block, folder: Path) -> None:
    need(block)
    if PLUGIN not in {entry.value for entry in entry_points(group="pytest11")}:
        pytest.skip("the plugin is not installed: pip install .")
    file = folder / "test_of_a_page.py"
    file.write_text(block.text, encoding="utf-8")
    status, printed = ran(f"python3 -m pytest -q -p no:cacheprovider {file.name}", folder, {})
    assert status == 0, printed
    assert " passed" in printed


@pytest.mark.parametrize("block", FILES, ids=place)
def test_a_file_of_a_page_is_the_file(block: Block) -> None:
    assert (ROOT / block.title).read_text(encoding="utf-8") == block.text


def test_there_is_something_to_test() -> None:
    assert len(PAGES) > 10
    assert len(CONSOLE) > 20
    assert len(SHELL) > 5
    assert FILES
    assert sum(len(list(calls_of(block.text))) for block in SHELL) > 10


@pytest.mark.parametrize("language", ["console", "sh", "python", "php"])
def test_every_fence_is_seen(language: str) -> None:
    """One that is indented or not closed would be shown, and not tested."""
    written = sum(len(re.findall(rf"```\s*{language}\b", page.read_text(encoding="utf-8"))) for page in PAGES)
    assert written == len(every(language))


@pytest.mark.parametrize(
    "line",
    ["read --no-such-option a.pcap", "read --sort beauty a.pcap", "no-such-command", "live --count many"],
)
def test_what_cannot_be_parsed_is_noticed(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line.split())


def test_commands_are_found_in_lines_of_a_shell() -> None:
    text = (
        "sudo tcpflow-view live -i lo port 1235 | grep FIN\nssh host 'tcpdump -w -' \\\n  | tcpflow-view read - # so\n"
    )
    assert list(calls_of(text)) == [["live", "-i", "lo", "port", "1235"], ["read", "-"]]
    assert list(calls_of("ssh host 'sudo tcpflow-view live -i any' > a")) == [["live", "-i", "any"]]


@pytest.mark.parametrize(
    ("shown", "now"),
    [
        ("old", "a\nb\nc\nd\n"),
        (f"x\n{LEFT_OUT}y\nz\n", f"a\n{LEFT_OUT}c\nd\n"),
        (LEFT_OUT, LEFT_OUT),
        (f"{LEFT_OUT}b\nx\n{LEFT_OUT}", f"{LEFT_OUT}b\nc\n{LEFT_OUT}"),
    ],
)
def test_what_a_page_leaves_out(shown: str, now: str) -> None:
    assert abridged("a\nb\nc\nd\n", shown) == now


def test_translations_show_the_same_commands() -> None:
    """Live blocks too; ``--lang`` is the one thing that may be more."""
    translated = [page for page in PAGES if page.name.endswith(".zh.md")]
    assert translated
    for page in translated:
        original = page.with_name(page.name.replace(".zh.md", ".md"))
        assert [commands(one) for one in blocks(page)] == [commands(one) for one in blocks(original)], page


def commands(block: Block) -> object:
    if block.language == "console":
        return [step.command.replace("--lang zh ", "") for step in steps(block)]
    if block.language == "sh":
        return [[word for word in words if word not in ("--lang", "zh")] for words in calls_of(block.text)]
    return block.title


def test_every_variable_of_the_environment_is_told() -> None:
    found = r'environ(?:\.get\(|\[)"([A-Z_]+)"|"(TCPFLOW_VIEW_[A-Z_]+)"'
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "analyzer").rglob("*.py")]
    read = {name for source in sources for pair in re.findall(found, source) for name in pair if name}
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert len(read) > 5
    assert {name for name in read if f"`{name}`" not in page} == set()
