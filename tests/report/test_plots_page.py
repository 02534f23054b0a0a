"""The plots in a browser: usable soon, every gesture and key, marks, languages, colours, paper."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from analyzer.report.plots import plot_data
from analyzer.tables import Event
from tests.report import transfer
from tests.report.browser import CHROMIUM, Browser
from tests.report.transfer import Analysed

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "analyzer" / "report" / "page"
SCRIPTS = ("words.js", "vendor/uPlot.iife.min.js", "plots-data.js", "plots-draw.js", "plots.js")
STYLES = ("vendor/uPlot.min.css", "plots.css")
START = """
const chosen = [];
document.addEventListener("packet", ({ detail }) => chosen.push(detail));
Plots.show(document.getElementById("here"), 7);
const usable = new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))));
"""
SHIFT = 8


def allowed(texts: list[str]) -> str:
    return " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts)


def page(path: Path, data: dict[str, Any]) -> Path:
    """A page that has the plots of connection 7 and nothing else, as strict as the report's."""
    scripts = [*((PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS), START]
    styles = [(PAGE / name).read_text(encoding="utf-8") for name in STYLES]
    words = json.dumps({"chosen": "en", "languages": ["en", "zh"], "texts": {"zh": {"Throughput": "吞吐量"}}})
    policy = (
        f"default-src 'none'; script-src {allowed(scripts)}; style-src {allowed(styles)}; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    path.write_text(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Plots</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        + "".join(f"<style>{style}</style>" for style in styles)
        + '</head><body><section id="here"></section>'
        + f'<script type="application/json" id="words">{words}</script>'
        + f'<script type="application/json" id="plots-7">{json.dumps(data)}</script>'
        + "".join(f"<script>{script}</script>" for script in scripts)
        + "</body></html>",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    path = tmp_path_factory.mktemp("plots") / "lossy.pcap"
    transfer.write(path, 1_000_000, loss=0.005)
    (analysed,) = transfer.every(path)
    return analysed


@pytest.fixture(scope="module")
def written(lossy: Analysed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the lossy transfer."""
    connection, endpoints, life = lossy
    return page(tmp_path_factory.mktemp("plots") / "plots.html", plot_data(life, connection, endpoints))


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser(1200, 1500) as one:
        yield one
        assert one.complaints == []
        assert all(url.startswith(("file:", "about:")) for url in one.requests)


@pytest.fixture
def shown(browser: Browser, written: Path) -> Browser:
    browser.open(written)
    browser.run("usable")
    return browser


def at(browser: Browser, across: float, down: float, kind: str = "sequence") -> tuple[float, float]:
    """A place in a plot, in parts of its size, as a place of the window."""
    box = browser.run(f"document.querySelector('.plot-{kind} .u-over').getBoundingClientRect().toJSON()")
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def in_view(browser: Browser) -> tuple[float, float]:
    """The moments in view, in seconds, from the plot that says them."""
    browser.frame()
    first, last = browser.run("document.querySelector('.plots').dataset.view").split()
    return float(first), float(last)


def pixels(browser: Browser, kind: str, variable: str) -> int:
    """How many pixels of a plot have about the colour of a variable."""
    browser.frame()
    return int(
        browser.run(f"""(() => {{
      const canvas = document.querySelector(".plot-{kind} canvas"), probe = document.createElement("span");
      document.querySelector(".plots").append(probe);
      probe.style.color = "var(--plot-{variable})";
      const [r, g, b] = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
      probe.remove();
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {{ willReadFrequently: true }});
      copy.drawImage(canvas, 0, 0);
      const {{ data }} = copy.getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) {{
        const away = Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b);
        count += away < 24 && data[i + 3] > 200;
      }}
      return count;
    }})()""")
    )


def chosen(browser: Browser) -> list[dict[str, int]]:
    return list(browser.run("chosen"))


def test_every_plot_is_drawn(shown: Browser) -> None:
    assert pixels(shown, "sequence", "segment") > 300
    assert pixels(shown, "sequence", "ack") > 300
    assert pixels(shown, "sequence", "window") > 300
    assert pixels(shown, "sequence", "again") > 20
    assert pixels(shown, "sequence", "sack") > 20
    assert pixels(shown, "throughput", "server") > 300
    assert pixels(shown, "rtt", "server") > 100
    assert pixels(shown, "flight", "segment") > 300
    assert pixels(shown, "flight", "window") > 100
    assert pixels(shown, "gaps", "server") > 30


def test_a_drag_zooms_all_and_a_double_click_takes_it_back(shown: Browser) -> None:
    whole = in_view(shown)
    shown.drag(at(shown, 0.25, 0.5), at(shown, 0.5, 0.51))
    first, last = in_view(shown)
    assert last - first == pytest.approx((whole[1] - whole[0]) / 4, rel=0.02)
    assert first == pytest.approx(whole[0] + (whole[1] - whole[0]) / 4, rel=0.05)
    shown.drag(at(shown, 0.5, 0.5), at(shown, 0.25, 0.5), SHIFT)
    moved = in_view(shown)
    assert moved[0] == pytest.approx(first + (last - first) / 4, rel=0.05)
    assert moved[1] - moved[0] == pytest.approx(last - first, rel=1e-3)
    shown.click(*at(shown, 0.5, 0.9, "rtt"), clicks=2)
    assert in_view(shown) == pytest.approx(whole)


def test_keys_zoom_and_move(shown: Browser) -> None:
    whole = in_view(shown)
    shown.run("document.querySelector('.plot-rtt .plot-area').focus()")
    shown.key("+")
    zoomed = in_view(shown)
    assert zoomed[1] - zoomed[0] == pytest.approx((whole[1] - whole[0]) / 2)
    shown.key("ArrowRight")
    assert in_view(shown)[0] > zoomed[0]
    shown.key("ArrowLeft")
    assert in_view(shown) == pytest.approx(zoomed)
    shown.key("-")
    assert in_view(shown) == pytest.approx(whole)
    shown.key("n")
    shown.key("n")
    shown.key("p")
    assert [one["packet"] for one in chosen(shown)] == [1, 2, 1]


def test_the_wheel_zooms_only_a_plot_that_is_in_use(shown: Browser) -> None:
    whole = in_view(shown)
    place = at(shown, 0.5, 0.5)
    shown.mouse("mouseWheel", *place, deltaX=0, deltaY=-120)
    assert in_view(shown) == whole
    shown.run("document.querySelector('.plot-sequence .plot-area').focus()")
    shown.mouse("mouseWheel", *place, deltaX=0, deltaY=-120)
    zoomed = in_view(shown)
    assert zoomed[1] - zoomed[0] < 0.9 * (whole[1] - whole[0])


def test_a_click_chooses_a_packet_and_marks_it_everywhere(shown: Browser, lossy: Analysed) -> None:
    kinds = ("sequence", "throughput", "rtt", "flight", "gaps")
    before = {kind: pixels(shown, kind, "chosen") for kind in kinds}
    for tenth in range(1, 10):
        shown.click(*at(shown, tenth / 10, 1 - tenth / 10))
        if chosen(shown):
            break
    (one,) = chosen(shown)
    assert one["connection"] == 7
    assert one["packet"] in lossy[2].number
    assert f"#{one['packet']} " in shown.run("document.querySelector('.plots-facts').textContent")
    for kind in kinds:
        assert pixels(shown, kind, "chosen") > before[kind] + 20


def test_a_packet_that_is_chosen_elsewhere_comes_into_view(shown: Browser, lossy: Analysed) -> None:
    life = lossy[2]
    again = life.number[(life.events >> Event.RETRANSMISSION & 1 == 1)][-1]
    moment = float(life.ts_ns[life.number == again][0] - life.ts_ns[0]) / 1e9
    shown.drag(at(shown, 0.05, 0.5), at(shown, 0.1, 0.5))
    assert in_view(shown)[1] < moment
    detail = f"{{ connection: 7, packet: {again} }}"
    shown.run(f"document.dispatchEvent(new CustomEvent('packet', {{ detail: {detail} }}))")
    first, last = in_view(shown)
    assert first < moment < last
    facts = shown.run("document.querySelector('.plots-facts').textContent")
    assert f"#{again} " in facts
    assert "retransmission" in facts
    assert pixels(shown, "sequence", "chosen") > 20


def test_a_pointer_over_a_packet_shows_its_facts(shown: Browser) -> None:
    hint = "document.querySelector('.plot-sequence .plot-hint')"
    for tenth in range(1, 10):
        shown.mouse("mouseMoved", *at(shown, tenth / 10, 1 - tenth / 10))
        if not shown.run(f"{hint}.hidden"):
            break
    assert "seq " in shown.run(f"{hint}.textContent")
    box = shown.run(f"{hint}.getBoundingClientRect().toJSON()")
    left, top = at(shown, 0, 0)
    right, bottom = at(shown, 1, 1)
    assert left - 1 <= box["left"] < box["right"] <= right + 1
    assert top - 1 <= box["top"] < box["bottom"] <= bottom + 1


def test_the_other_direction_and_the_other_language(shown: Browser) -> None:
    assert pixels(shown, "sequence", "sack") > 20
    shown.run("document.querySelector('.plots-bar button').click()")
    assert pixels(shown, "sequence", "sack") == 0
    shown.run("Words.speak('zh')")
    assert "吞吐量" in shown.run("document.querySelector('.plot-throughput').textContent")
    assert pixels(shown, "throughput", "server") > 300


def test_light_turns_dark(shown: Browser) -> None:
    light = shown.run("getComputedStyle(document.querySelector('.plots')).getPropertyValue('--plot-ack')")
    shown.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert shown.run("getComputedStyle(document.querySelector('.plots')).getPropertyValue('--plot-ack')") != light
    assert pixels(shown, "sequence", "ack") > 300


def test_a_phone_shows_all_of_it(written: Path) -> None:
    with Browser(360, 740, mobile=True) as phone:
        phone.open(written)
        phone.run("usable")
        assert phone.run("document.documentElement.scrollWidth") <= 360
        assert phone.run("Math.max(...[...document.querySelectorAll('.uplot')].map(one => one.offsetWidth))") <= 360
        first, last = in_view(phone)
        touch = {"radiusX": 1, "radiusY": 1, "force": 1}
        x, y = at(phone, 0.5, 0.5)
        for apart in (20, 40, 80):
            points = [{"x": x - apart, "y": y, "id": 0, **touch}, {"x": x + apart, "y": y, "id": 1, **touch}]
            kind = "touchStart" if apart == 20 else "touchMove"
            phone.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        phone.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        zoomed = in_view(phone)
        assert zoomed[1] - zoomed[0] < (last - first) / 2
        assert phone.complaints == []


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext here")
def test_paper(shown: Browser, tmp_path: Path) -> None:
    shown.print(tmp_path / "plots.pdf")
    words = subprocess.run(
        ["pdftotext", tmp_path / "plots.pdf", "-"], capture_output=True, check=True, text=True
    ).stdout
    assert "Round-trip time" in words


def test_a_million_packets_are_usable_soon(
    lossy: Analysed, browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connection, endpoints, life = lossy
    long = transfer.repeated(life, 1_000_000 // len(life.number) + 1)
    path = page(tmp_path / "million.html", plot_data(long, connection, endpoints))
    browser.open(path)
    usable = float(browser.run("usable"))
    steps = browser.run("""(async () => {
      const times = [], area = document.querySelector(".plot-sequence .plot-area");
      area.focus();
      for (let k = 0; k < 20; k++) {
        const begin = performance.now();
        area.dispatchEvent(new KeyboardEvent("keydown", { key: k % 4 ? "+" : "0", bubbles: true }));
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        times.push(performance.now() - begin);
      }
      return times;
    })()""")
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(long.number):,} packets: usable {usable:.0f} ms after opening {path.stat().st_size:,} octets, "
            f"a step of zooming {sorted(steps)[len(steps) // 2]:.0f} ms, at most {max(steps):.0f} ms\n"
        )
    assert pixels(browser, "sequence", "again") > 20
