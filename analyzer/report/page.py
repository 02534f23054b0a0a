"""The page: one file that needs no other, and asks for none.

Nothing of a capture is markup here. Data stand in ``<script type="application/json">``, in which no ``<`` is left;
scripts put them on the screen as text. The drawings are ours, with all texts escaped. Beside that stands a
Content-Security-Policy that lets in our one script and our one style, by their hashes, and nothing else.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from analyzer.language import languages, spoken
from analyzer.render.state_svg import STYLE as STATES_STYLE
from analyzer.report.diagram import STYLE as DIAGRAM_STYLE
from analyzer.report.languages import dictionary, said_in

PARTS = Path(__file__).parent / "page"
_SCRIPTS = (
    "words.js", "data.js", "format.js", "elements.js", "lifeline.js", "timeline.js", "table.js", "all.js", "packet.js",
    "sequence.js", "diagram.js", "said.js", "vendor/uPlot.iife.min.js", "plots*.js", "connection.js", "start.js",
)  # fmt: skip
_STYLES = ("vendor/uPlot.min.css", "style.css", "plots*.css")
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class Part(NamedTuple):
    """A connection in a page."""

    number: int
    data: str
    """JSON."""
    plots: str
    """JSON."""
    drawings: Mapping[str, str]
    """SVG by what is drawn."""


def json_text(value: Any) -> Markup:
    """JSON that can stand in any page: no character of it means something there."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, escaped in _ESCAPED.items():
        text = text.replace(character, escaped)
    return Markup(text.encode(errors="backslashreplace").decode())


def page(title: str, report: Mapping[str, Any], parts: Iterator[Part]) -> Iterator[str]:
    """The page's text, piece by piece: ``report`` is what is said of all connections."""
    script, style = script_text(), style_text()
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    template = _environment().get_template("template.html")
    words = {"chosen": spoken(), "languages": list(languages()), "texts": dictionary(texts())}
    yield from template.generate(
        title=title, policy=policy, script=Markup(script), style=Markup(style), words=json_text(words),
        report=json_text(report), parts=parts, language=spoken(),
    )  # fmt: skip


def texts() -> list[str]:
    """The page's own words, in English."""
    return said_in((PARTS / "template.html").read_text(encoding="utf-8"), script_text())


@cache
def script_text() -> str:
    """All scripts, one after the other."""
    return _joined(_SCRIPTS)


@cache
def style_text() -> str:
    """All styles."""
    return "\n".join([_joined(_STYLES), DIAGRAM_STYLE, STATES_STYLE])


def _joined(names: Iterable[str]) -> str:
    """The files of these names, or patterns of names, one after the other."""
    files = (file for name in names for file in sorted(PARTS.glob(name)))
    return "\n".join(file.read_text(encoding="utf-8").strip() for file in files)


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PARTS), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals["say"] = _say
    environment.globals["label"] = _label
    return environment


def _say(english: str) -> Markup:
    """A text that the page says in the reader's language."""
    return Markup('<span data-say="{0}">{0}</span>').format(english)


def _label(attribute: str, english: str) -> Markup:
    """An attribute with such a text."""
    return Markup('{1}="{0}" data-say-{1}="{0}"').format(english, escape(attribute))
