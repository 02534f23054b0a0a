"""Real pages in a real browser: usable soon, nothing complains, nothing leaves, every part answers.

Screenshots go to ``build/report``, which git ignores. ``AXE`` names axe-core's script for the test of accessibility.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer.report.page import json_text, texts
from tests.report.browser import CHROMIUM, Browser
from tests.report.saying import frames, write

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

ROOT = Path(__file__).parents[2]
MADE = ROOT / "captures" / "made"
PICTURES = ROOT / "build" / "report"
HOSTILE = b"</script><img src=x onerror=alert(1)>\xe2\x80\xae<b>\x1b[31m"
WIDTHS = {"wide": (1500, 1000), "phone": (390, 844)}


def made(folder: Path, capture: Path, *arguments: str) -> Path:
    """The page about a capture, written as a user writes it."""
    page = folder / f"{capture.stem}.html"
    command = [sys.executable, "-m", "analyzer", "report", str(capture), "-o", str(page), *arguments]
    run = subprocess.run(command, cwd=ROOT, env=os.environ | {"TZ": "UTC0"}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def article(folder: Path) -> Path:
    return made(folder, MADE / "loopback-echo-1235.pcap")


@pytest.fixture(scope="module")
def several(folder: Path) -> Path:
    """Four connections: two of them closed, one in trouble, one refused."""
    from analyzer.pipeline import Run

    octets: list[bytes] = []
    for name in ("hi-1234", "syn-ack-repeated", "refused", "echo-tcp-23333"):
        with Run(str(MADE / f"{name}.pcap")) as run:
            for batch in run:
                columns = batch.frames.start.tolist(), batch.frames.caplen.tolist()
                octets += [batch.frames.data[at : at + size].tobytes() for at, size in zip(*columns, strict=True)]
    return made(folder, write(folder / "several.pcap", octets))


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser(1500, 1000) as one:
        yield one
        assert one.complaints == []


def opened(browser: Browser, page: Path) -> float:
    """Open a page; gives the seconds until it could be used. Nothing but the page itself is asked for."""
    browser.open(page)
    browser.frame()
    assert browser.run("document.documentElement.dataset.ready") == "yes"
    assert set(browser.requests) <= {page.as_uri(), "about:blank"}
    return float(browser.run("performance.now()")) / 1000


def text(browser: Browser, selector: str) -> str:
    return str(browser.run(f"document.querySelector({selector!r})?.textContent ?? ''"))


def count(browser: Browser, selector: str) -> int:
    return int(browser.run(f"document.querySelectorAll({selector!r}).length"))


def settle(browser: Browser) -> None:
    """Let events arrive that the page has sent to itself, and the page be drawn."""
    browser.run("new Promise((done) => setTimeout(done))")
    browser.frame()


def click(browser: Browser, selector: str) -> None:
    """A click of the mouse on the middle of an element."""
    at: dict[str, Any] = browser.run(
        f"(() => {{ const one = document.querySelector({selector!r}); "
        "one.scrollIntoView({ block: 'center' }); const box = one.getBoundingClientRect(); "
        "return { x: box.x + box.width / 2, y: box.y + box.height / 2 }; })()"
    )
    browser.click(at["x"], at["y"])
    settle(browser)


def type_in(browser: Browser, selector: str, words: str) -> None:
    browser.run(
        f"(() => {{ const one = document.querySelector({selector!r}); one.value = {words!r}; "
        "one.dispatchEvent(new Event(one.tagName === 'SELECT' ? 'change' : 'input', { bubbles: true })); })()"
    )
    browser.run("new Promise(done => setTimeout(done, 250))")
    browser.frame()


def test_the_article_s_page_tells_all(browser: Browser, article: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = opened(browser, article)
    with capsys.disabled():
        sys.stdout.write(f"\n{article.stat().st_size:,} octets, usable after {seconds:.2f} s\n")
    assert text(browser, "h1") == "loopback-echo-1235.pcap"
    assert text(browser, "#why").startswith("The server closed first")
    assert count(browser, "#diagram [data-packet]") == 10
    assert count(browser, "#transactions tbody tr") == 4
    assert count(browser, "#phases .phase:not(.missing)") == 3
    assert count(browser, "#sequence .body .row") == 10
    assert count(browser, "#states svg") == 1
    assert text(browser, "#said").replace("\n", "") == "clienhi"
    assert count(browser, "#plots canvas") > 0
    assert text(browser, "#calls-note").startswith("The socket calls are inferred")


def test_a_click_on_an_arrow_shows_its_packet_everywhere(browser: Browser, article: Path) -> None:
    opened(browser, article)
    browser.run("document.addEventListener('packet', ({ detail }) => (window.heard = detail))")
    click(browser, '#diagram [data-packet="4"] .arrow')
    assert browser.run("window.heard") == {"connection": 1, "packet": 4}
    assert text(browser, "#packet h3") == "Packet 4"
    assert "63 6c 69 65 6e" in text(browser, "#packet .hex")
    assert text(browser, "#packet .hex .payload:last-of-type") == "clien"
    assert "Flags [P.]" in text(browser, "#packet .tcpdump")
    assert count(browser, '#diagram [data-packet="4"].chosen') == count(browser, "#diagram .chosen") == 1
    assert "0.000631" in text(browser, "#sequence .row.chosen")
    assert text(browser, "#said .chosen") == "clien"
    assert "#4 · 0.000631 s" in text(browser, "#plots")
    click(browser, "#sequence .body .row:nth-child(7)")
    assert text(browser, "#packet h3") == "Packet 7"
    click(browser, "#said .server .piece")
    assert count(browser, '#diagram [data-packet="6"].chosen') == 1


def test_keys_walk_through_packets_and_connections(browser: Browser, several: Path) -> None:
    opened(browser, several)
    browser.run("document.querySelector('#diagram').focus()")
    for _ in range(3):
        browser.key("ArrowDown")
    browser.key("ArrowUp")
    assert text(browser, "#packet h3") == "Packet 3"
    browser.run("document.querySelector('#connections').focus()")
    browser.key("End")
    browser.key("Enter")
    settle(browser)
    assert text(browser, "#ends .nth") == "4"
    assert browser.run("location.hash") == "#c4"
    click(browser, "#before")
    assert text(browser, "#ends .nth") == "3"


def test_the_table_sorts_searches_and_filters(browser: Browser, several: Path) -> None:
    opened(browser, several)
    numbers = "[...document.querySelectorAll('#connections .body .cell:first-child')].map((one) => one.textContent)"
    assert browser.run(numbers) == ["1", "2", "3", "4"]
    click(browser, "#connections .head .packets button")
    most_first = browser.run(
        "[...document.querySelectorAll('#connections .body .packets')].map((one) => +one.textContent)"
    )
    assert most_first == sorted(most_first, reverse=True)
    click(browser, "#connections .head .packets button")
    assert browser.run(numbers) != ["1", "2", "3", "4"]
    type_in(browser, "#search", "23333")
    assert browser.run(numbers) == ["4"]
    type_in(browser, "#search", "")
    refused = browser.run("Data.report.causes.findIndex((cause) => cause.code === 'refused')")
    type_in(browser, "#cause", str(refused))
    assert browser.run(numbers) == ["3"]
    assert text(browser, "#matches") == "1 of 4"
    type_in(browser, "#cause", "")
    click(browser, "#trouble")
    assert browser.run(numbers) == ["2"]


def test_the_language_switches(browser: Browser, article: Path) -> None:
    opened(browser, article)
    assert text(browser, "#phases b") == "handshake"
    click(browser, '#languages [lang="zh"]')
    assert browser.run("document.documentElement.lang") == "zh"
    assert text(browser, "#phases b") == "建立连接"
    assert text(browser, "#diagram .title.handshake") == "建立连接"
    assert text(browser, "#transactions tbody th") == "建立连接"
    click(browser, '#languages [lang="en"]')
    assert text(browser, "#diagram .title.handshake") == "handshake"


OWN = "h3, dt, #transactions thead th, .head .cell, nav a, .legend span, #filters label span, #phases b"
"""Where nothing stands but the page's own words."""


def test_every_word_of_the_page_is_translated(browser: Browser, folder: Path, several: Path) -> None:
    """In a language in which each text is the English one in brackets, none is without them."""
    before = several.read_text(encoding="utf-8")
    start = before.index('id="words">') + len('id="words">')
    end = before.index("</script>", start)
    words = json.loads(before[start:end])
    words["texts"] = {"zh": {english: f"«{english}»" for english in texts()}}
    page = folder / "brackets.html"
    page.write_text(before[:start] + str(json_text(words)) + before[end:], encoding="utf-8")
    opened(browser, page)
    click(browser, '#languages [lang="zh"]')
    said = browser.run(f"[...document.querySelectorAll({OWN!r})].map((one) => one.textContent.trim()).filter(Boolean)")
    assert len(said) > 40
    assert [text for text in said if not (text.startswith("«") and text.endswith("»"))] == []


def test_payload_and_names_run_nothing(browser: Browser, folder: Path) -> None:
    capture = write(folder / "<img src=x onerror=alert(1)>.pcap", frames([(0, HOSTILE), (1, HOSTILE)]))
    browser.run("0")
    opened(browser, made(folder, capture).rename(folder / "hostile.html"))
    for form in ("hex", "text"):
        click(browser, f'input[value="{form}"]')
    click(browser, '#diagram [data-packet="4"] .arrow')
    assert count(browser, "img, b:not(.phase b, #remarks b), iframe, object") == 0
    assert count(browser, "script:not([type])") == 1
    assert "<img src=x onerror=alert(1)>" in text(browser, "#said")
    assert "\\x1b[31m" in text(browser, "#said")
    assert text(browser, "h1") == "<img src=x onerror=alert(1)>.pcap"


def test_the_policy_stops_what_would_run(folder: Path, article: Path) -> None:
    """The page's defence when all else fails."""
    attacked = folder / "attacked.html"
    attack = "<script>window.ran = 1</script><img src='data:,' onerror='window.ran = 1'>"
    attacked.write_text(article.read_text(encoding="utf-8").replace("<main>", f"<main>{attack}"), encoding="utf-8")
    with Browser() as browser:
        browser.open(attacked)
        browser.frame()
        assert browser.run("window.ran === undefined")
        assert len(browser.complaints) >= 2


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_pictures(width: str, dark: bool, several: Path, article: Path) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for page in (several, article):
        with Browser(*WIDTHS[width], dark=dark, mobile=width == "phone") as browser:
            opened(browser, page)
            assert browser.run("document.documentElement.scrollWidth") <= WIDTHS[width][0]
            browser.screenshot(PICTURES / f"{page.stem}-{width}-{'dark' if dark else 'light'}.png")
            assert browser.complaints == []


def test_paper(browser: Browser, article: Path) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    opened(browser, article)
    browser.print(PICTURES / "article.pdf")
    assert (PICTURES / "article.pdf").read_bytes().startswith(b"%PDF")


AXE = os.environ.get("AXE", "")


@pytest.mark.skipif(not AXE, reason="AXE names no script of axe-core")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_accessibility(dark: bool, several: Path) -> None:
    with Browser(1500, 1000, dark=dark) as browser:
        opened(browser, several)
        browser.run(Path(AXE).read_text(encoding="utf-8") + ";0")
        found = browser.run(
            "axe.run().then(({ violations }) => violations.map(({ id, impact, nodes }) => "
            "[impact, id, ...nodes.slice(0, 3).map(({ html }) => html.slice(0, 200))]))"
        )
    assert [one for one in found if one[0] in ("serious", "critical")] == []


def generated(folder: Path, name: str, *arguments: str) -> Path:
    """A capture of the generator that benchmarks use."""
    path = folder / f"{name}.pcap"
    subprocess.run([sys.executable, "benchmarks/generate.py", str(path), *arguments], check=True, cwd=ROOT)
    return path


def test_a_hundred_thousand_connections(browser: Browser, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = generated(folder, "many", "--packets", "800000", "--packets-per-connection", "8", "--open", "300")
    page = made(folder, capture)
    seconds = opened(browser, page)
    with capsys.disabled():
        sys.stdout.write(f"\n100,000 connections: {page.stat().st_size:,} octets, usable after {seconds:.2f} s\n")
    assert count(browser, "#connections .body .row") < 60
    slowest = browser.run(
        "(() => { const times = []; const take = (act) => { const began = performance.now(); act(); "
        "times.push(performance.now() - began); }; "
        "take(() => document.querySelector('#connections .head .packets button').click()); "
        "take(() => { document.querySelector('#search').value = ':5000'; }); "
        "take(() => document.querySelector('#cause').dispatchEvent(new Event('change'))); "
        "take(() => { document.querySelector('#connections').scrollTop = 2e6; }); return Math.max(...times); })()"
    )
    assert slowest < 2_000
    assert seconds < 10


def test_a_million_packets(browser: Browser, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = generated(folder, "long", "--packets", "1000000", "--packets-per-connection", "1000000", "--open", "1")
    page = made(folder, capture)
    seconds = opened(browser, page)
    with capsys.disabled():
        sys.stdout.write(f"\n1,000,000 packets: {page.stat().st_size:,} octets, usable after {seconds:.2f} s\n")
    assert "1,000,000 packets" in text(browser, "#ending")
    assert count(browser, "#diagram [data-packet]") < 400
    assert text(browser, "#omitted")
    assert seconds < 10
