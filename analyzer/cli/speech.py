"""The language of the command line: ``--lang``, and help in it.

``--lang`` may stand anywhere before ``--``, and it is taken out before click sees the arguments: a command's texts are
made when its module is imported, and by then the language is chosen. What click itself says goes through gettext's
functions by the names ``_`` and ``ngettext``; its modules get ours. Help is translated paragraph by paragraph.
"""

from __future__ import annotations

import inspect
import locale
import sys
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import TypeVar

import click

from analyzer.errors import UsageError
from analyzer.language import _, counted, languages, speak, text
from analyzer.render.screen import cells, ljust
from analyzer.render.untrusted import visible
from analyzer.render.wrapping import wrap

OPTION = "--lang"
_HELP = text("Language of what people read; without it the locale decides.")

_Command = TypeVar("_Command", bound=click.Command)


def hear_the_locale() -> None:
    """Choose the language of the locale."""
    speak(None if _locale_is_utf8() else "en")


def choose(arguments: Sequence[str], usual: str | None = None) -> list[str]:
    """Choose the language that the arguments ask for, else the usual one or the locale's; gives the other arguments.

    Raises UsageError, in the language that it would be otherwise, for one that is not known.
    """
    if usual:
        speak(usual)
    else:
        hear_the_locale()
    end = arguments.index("--") if "--" in arguments else len(arguments)
    words, rest = iter(arguments[:end]), list[str]()
    for word in words:
        if word != OPTION and not word.startswith(f"{OPTION}="):
            rest.append(word)
            continue
        wanted = next(words, "") if word == OPTION else word.partition("=")[2]
        if wanted not in languages():
            told = (
                _("--lang {language}: it knows {languages}") if wanted else _("--lang: one of {languages} must follow")
            )
            raise UsageError(told.format(language=visible(wanted), languages=", ".join(languages())))
        speak(wanted)
    return [*rest, *arguments[end:]]


def _locale_is_utf8() -> bool:
    """Whether other letters than English ones can be shown."""
    return locale.getpreferredencoding(False).upper().replace("-", "") == "UTF8"


def let_click_speak() -> None:
    """Have click say what it says in the language that is chosen then."""
    for name, module in list(sys.modules.items()):
        if name.startswith("click."):
            for theirs, ours in (("_", _), ("ngettext", counted)):
                if hasattr(module, theirs):
                    setattr(module, theirs, ours)


def spoken(command: _Command) -> _Command:
    """A copy of the command that helps in the language chosen, and has ``--lang`` among its options."""
    told = copy(command)
    vars(told)["_help_option"] = None  # click keeps the first that was made
    told.help, told.epilog = _paragraphs(told.help, _), _paragraphs(told.epilog, _)
    told.params = [_spoken_option(param) for param in told.params]
    told.params.append(click.Option([OPTION], type=click.Choice(languages()), expose_value=False, help=_(_HELP)))
    return told


def texts_of(command: click.Command) -> Iterator[str]:
    """The English texts of a command's help."""
    texts: list[str] = []

    def note(paragraph: str) -> str:
        texts.append(paragraph)
        return paragraph

    _paragraphs(command.help, note)
    _paragraphs(command.epilog, note)
    yield from texts
    yield from (param.help for param in command.params if isinstance(param, click.Option) and param.help)


def _spoken_option(param: click.Parameter) -> click.Parameter:
    if not isinstance(param, click.Option) or not param.help:
        return param
    told = copy(param)
    told.help = _(param.help)
    return told


def _paragraphs(given: str | None, translate: Callable[[str], str]) -> str | None:
    """The text with each paragraph translated; of a block of examples the heading."""
    if not given:
        return given
    return "\n\n".join(_paragraph(paragraph, translate) for paragraph in inspect.cleandoc(given).split("\n\n"))


def _paragraph(paragraph: str, translate: Callable[[str], str]) -> str:
    if paragraph.startswith("\b\n"):
        mark, heading, examples = paragraph.split("\n", 2)
        return f"{mark}\n{translate(heading)}\n{examples}"
    return translate(" ".join(paragraph.split()))


class Formatter(click.HelpFormatter):
    """Help in columns of a terminal, which other letters than English ones may take two of."""

    def write_text(self, text: str) -> None:
        """Write paragraphs, each in lines of the width; a block after ``\\b`` as it is."""
        indent = " " * self.current_indent
        for index, paragraph in enumerate(text.split("\n\n")):
            self.write("\n" if index else "")
            if paragraph.startswith("\b\n"):
                lines = [indent + line for line in paragraph.splitlines()[1:]]
            else:
                lines = wrap(paragraph, self.width, indent, indent)
            self.write("".join(f"{line}\n" for line in lines))

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:  # type: ignore[override]
        """Write names and what they are, side by side; a long name has a line of its own."""
        rows = list(rows)
        column = min(max(cells(name) for name, _about in rows), col_max) + col_spacing
        indent = " " * self.current_indent
        for name, about in rows:
            lines = wrap(about, max(self.width - column - 2, 10)) or [""]
            beside = cells(name) <= column - col_spacing
            if beside:
                name = ljust(name, column) + lines.pop(0)
            self.write(f"{indent}{name}".rstrip() + "\n")
            self.write("".join(f"{indent}{' ' * column}{line}\n" for line in lines))


click.Context.formatter_class = Formatter
