"""The site is built without a warning, asks no other host for anything, and its search finds what people look for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, PAGES, ROOT
from tests.report.browser import CHROMIUM, Browser

MODULES = "mkdocs", "material", "mkdocs_static_i18n", "mkdocstrings", "jieba"
LARGEST_PICTURE = 100_000

missing = [module for module in MODULES if find_spec(module) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"pip install '.[docs]': there is no {', '.join(missing)}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    for page in PAGES:
        name = page.relative_to(DOCS).with_suffix(".html").as_posix()
        assert (site / (f"zh/{name.replace('.zh.', '.')}" if ".zh." in name else name)).exists()


def test_nothing_comes_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) >= len(PAGES)
    source = r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=\"?([^\"\s>]+)"
    for page in pages:
        loaded = re.findall(source, page.read_text())
        assert loaded
        assert [address for address in loaded if re.match(r"(https?:)?//", address)] == []
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text()) == []


def test_marks_of_blocks_are_not_text(site: Path) -> None:
    """A fence that was not understood would stand there with its backquotes."""
    for page in site.rglob("*.html"):
        assert "```" not in re.sub(r"<(script|code)\b.*?</\1>", "", page.read_text(), flags=re.DOTALL), page


def test_pictures_are_small() -> None:
    pictures = [path for path in (DOCS / "assets").iterdir() if path.suffix in (".png", ".webp")]
    assert pictures
    assert all(path.stat().st_size < LARGEST_PICTURE for path in pictures)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize(
    ("page", "words", "found"),
    [
        ("index.html", "EADDRINUSE", "tutorial/states.html"),
        ("howto/reset.html", "TIME-WAIT", "howto/time-wait.html"),
        ("zh/index.html", "三次握手", "zh/tutorial/packets.html"),
    ],
)
def test_search_works_from_a_folder(site: Path, page: str, words: str, found: str) -> None:
    with Browser() as browser:
        browser.open(site / page)
        results = browser.run(f"""new Promise(done => {{
            const list = document.querySelector(".md-search-result__list");
            new MutationObserver(() => {{
                const links = [...list.querySelectorAll("a")];
                if (links.length) done(links.map(link => link.href));
            }}).observe(list, {{childList: true, subtree: true}});
            document.querySelector("#__search").click();
            const input = document.querySelector(".md-search__input");
            input.value = {json.dumps(words)};
            input.dispatchEvent(new KeyboardEvent("keyup", {{bubbles: true}}));
        }})""")
        assert any(re.search(rf"/{re.escape(found)}\?", address) for address in results), results
        assert [address for address in browser.requests if not re.match(r"file:|data:", address)] == []
