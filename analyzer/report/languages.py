"""Every language in one page: what is made for people is made once in each, and what differs stands side by side.

Who makes a text here knows nothing of it: ``in_every_language`` calls a maker once a language, and ``merged`` folds the
results into one. A text that is the same everywhere stays a string, one that differs becomes ``{"en": …, "zh": …}``; of
drawings ``merged_markup`` gives one whose texts have the other languages' beside them, as ``data-`` attributes, or one
for each language where they differ in more than texts.

The page's own words are found where they stand in its template and scripts: ``say("…")`` says one, ``text("…")`` marks
one that is said later, ``label("title", "…")`` is an attribute.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape, unescape
from typing import Any

from analyzer.language import _, languages, speak, spoken

_SAID = re.compile(r"""\b(?:say|text)\(\s*"((?:[^"\\]|\\.)*)\"|\blabel\("[\w-]+", "([^"]+)"\)""")
_TEXT = re.compile(r">([^<>]+)</(text|tspan|title)>")


def in_every_language(make: Callable[[], Any]) -> list[Any]:
    """What ``make`` gives in each of ``languages()``."""
    before = spoken()
    try:
        return [_in(language, make) for language in languages()]
    finally:
        speak(before)


def _in(language: str, make: Callable[[], Any]) -> Any:
    speak(language)
    return make()


def told(make: Callable[[], Any]) -> Any:
    """What ``make`` gives, with each text in every language."""
    return merged(in_every_language(make))


def merged(same: list[Any]) -> Any:
    """One of values for JSON that differ in nothing but texts."""
    first = same[0]
    if all(value == first for value in same):
        return first
    if isinstance(first, dict):
        return {key: merged([value[key] for value in same]) for key in first}
    if isinstance(first, list):
        return [merged(list(values)) for values in zip(*same, strict=True)]
    return dict(zip(languages(), same, strict=True))


def merged_markup(make: Callable[[], str]) -> str:
    """A drawing in the first language; a text that is another one in others has ``data-en``, ``data-zh``, …

    Where texts need more lines in one language than in another there is a drawing for each, with ``data-language``.
    """
    first, *others = drawings = in_every_language(make)
    if len({_TEXT.sub(r"></\2>", drawing) for drawing in drawings}) > 1:
        spoken_in = zip(languages(), drawings, strict=True)
        return "".join(drawing.replace("<svg ", f'<svg data-language="{name}" ', 1) for name, drawing in spoken_in)
    found = [_TEXT.findall(drawing) for drawing in others]
    queue = zip(*([said for said, _tag in of_one] for of_one in found), strict=True)

    def beside(match: re.Match[str]) -> str:
        said = (match[1], *next(queue))
        if all(text == said[0] for text in said):
            return match[0]
        beside = "".join(
            f' data-{language}="{escape(unescape(text))}"' for language, text in zip(languages(), said, strict=True)
        )
        return f"{beside}{match[0]}"

    return _TEXT.sub(beside, first)


def said_in(*sources: str) -> list[str]:
    """The texts that templates and scripts say, in order."""
    found = ((match[1] or match[2]).replace('\\"', '"') for source in sources for match in _SAID.finditer(source))
    return list(dict.fromkeys(found))


def dictionary(texts: list[str]) -> dict[str, dict[str, str]]:
    """For every language but English what it says for each text, where that is not the English one."""
    tables = in_every_language(lambda: {text: _(text) for text in texts})
    return {
        language: {text: said for text, said in table.items() if said != text}
        for language, table in zip(languages()[1:], tables[1:], strict=True)
    }
