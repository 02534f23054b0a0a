"""Every language in one page: texts side by side, drawings too, and the words that are known."""

from __future__ import annotations

import pytest

from analyzer import language
from analyzer.language import languages, spoken
from analyzer.render.words import PHASES
from analyzer.report.languages import dictionary, in_every_language, merged, merged_markup, said_in, told
from analyzer.tables import Phase


def phase() -> str:
    return PHASES[Phase.HANDSHAKE].text


def test_each_language_is_spoken_once_and_then_the_one_before() -> None:
    language.speak("zh")
    assert in_every_language(spoken) == list(languages())
    assert spoken() == "zh"


def test_the_language_is_put_back_after_an_error() -> None:
    language.speak("zh")
    with pytest.raises(ZeroDivisionError):
        in_every_language(lambda: 1 // 0)
    assert spoken() == "zh"


def test_what_differs_stands_side_by_side() -> None:
    both = told(lambda: {"n": 3, "same": "SYN", "list": [phase(), "x"]})
    assert both == {"n": 3, "same": "SYN", "list": [{"en": "handshake", "zh": "建立连接"}, "x"]}


def test_other_shapes_cannot_be_merged() -> None:
    with pytest.raises(ValueError, match="zip"):
        merged([["a"], ["b", "c"]])


def test_a_drawing_has_the_other_texts_beside_its_own() -> None:
    drawing = merged_markup(lambda: f'<text x="1">{phase()}</text><text>SYN &lt;</text><title>{phase()}</title>')
    both = 'data-en="handshake" data-zh="建立连接"'
    assert drawing == (f'<text x="1" {both}>handshake</text><text>SYN &lt;</text><title {both}>handshake</title>')


def test_drawings_of_other_shapes_stand_side_by_side() -> None:
    lines = iter([["two", "lines"], ["one"]])
    drawing = merged_markup(lambda: f"<svg >{''.join(f'<text>{line}</text>' for line in next(lines))}</svg>")
    assert drawing == (
        '<svg data-language="en" ><text>two</text><text>lines</text></svg>'
        '<svg data-language="zh" ><text>one</text></svg>'
    )


def test_a_text_cannot_leave_its_attribute() -> None:
    language_of = iter(["&lt;&quot;a", "&lt;&quot;b"])
    drawing = merged_markup(lambda: f"<text>{next(language_of)}</text>")
    assert drawing == '<text data-en="&lt;&quot;a" data-zh="&lt;&quot;b">&lt;&quot;a</text>'


def test_what_is_said_in_scripts_and_templates() -> None:
    sources = (
        'x.say("one {n}", 1); essay("no"); text("four")',
        '{{ say("two") }} {{ label("title", "three") }} {{ say("two") }}',
    )
    assert said_in(*sources) == ["one {n}", "four", "two", "three"]


def test_the_dictionary_has_what_is_translated() -> None:
    assert dictionary(["handshake", "no such text"]) == {"zh": {"handshake": "建立连接"}}
