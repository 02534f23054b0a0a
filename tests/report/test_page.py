"""The page: nothing of a capture is markup in it, its policy lets nothing else in, and its texts are known."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from analyzer.report.page import PARTS, Part, json_text, page, script_text, style_text, texts

HOSTILE = [
    "</script><img src=x onerror=alert(1)>", "<!--<script>", "]]>", "\u2028\u2029", "&lt;img&gt;", "'\"`${1}",
    "\ud800", "\u202eevil", "</template><svg onload=alert(1)>",
]  # fmt: skip


class Tags(HTMLParser):
    """The tags of a page, and what its elements hold."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        self.text[self._within] = self.text.get(self._within, "") + data


def made(title: str = "a", report: object = None, part: Part | None = None) -> Tags:
    parsed = Tags()
    parsed.feed("".join(page(title, {"said": report}, iter([part] if part else []))))
    parsed.close()
    return parsed


@pytest.mark.parametrize("text", HOSTILE)
def test_json_holds_nothing_that_a_page_obeys(text: str) -> None:
    written = json_text({text: [text]})
    assert not re.search("[<>&\u2028\u2029]", written)
    written.encode()
    if text.isprintable():
        assert json.loads(written) == {text: [text]}


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_an_element(text: str) -> None:
    usual = made(part=Part(1, "{}", "{}", {}))
    hostile = made(text.replace("\ud800", ""), text, Part(1, json_text([text]), json_text([text]), {}))
    assert [tag for tag, _attributes in hostile.tags] == [tag for tag, _attributes in usual.tags]
    assert hostile.text.get("title", "") == text.replace("\ud800", "")


def test_the_policy_lets_in_our_script_and_our_style_alone() -> None:
    tags = made()
    policy = next(dict(attributes)["content"] for tag, attributes in tags.tags if "http-equiv" in attributes)
    assert policy is not None
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    for name, text in (("script-src", script_text()), ("style-src", style_text())):
        assert directives[name] == f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
    assert tags.text["script"] == script_text()
    assert tags.text["style"] == style_text()


def test_nothing_is_asked_from_elsewhere_and_nothing_is_inline() -> None:
    for _tag, attributes in made().tags:
        assert not {"src", "style", "action", "srcset", "data"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")


def test_every_script_is_a_part_of_the_page() -> None:
    ours = [path.read_text(encoding="utf-8").strip() for path in PARTS.glob("*.js")]
    assert len(ours) > 10
    assert all(text in script_text() for text in ours)
    assert "</script" not in script_text().lower()
    assert "</style" not in style_text().lower()
    assert ".innerHTML" not in "".join(ours)


def test_the_page_s_own_texts_are_found() -> None:
    found = texts()
    assert {"Time sequence", "Packet {n}", "Search for an address, a port or a number"} <= set(found)
    assert len(found) == len(set(found))
