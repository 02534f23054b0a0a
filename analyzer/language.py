"""The language that a person reads: English, or what ``locale/`` has a catalogue for.

Every text for a person goes through ``_``, or ``counted`` where a number decides its form; a text in a table that is
made before the language is chosen is marked with ``text``, and translated by ``_`` where it is shown. Numbers and names
come in by ``.format``, never before: ``_("{packets} packets lost").format(packets=3)``. Codes of records, names of
protocols, states and flags are no texts.

The catalogues are gettext's (``locale/<language>/LC_MESSAGES/tcpflow-view.po``), kept by ``docs/translate.py``.
"""

from __future__ import annotations

import gettext
import os
from pathlib import Path

DOMAIN = "tcpflow-view"
LOCALE = Path(__file__).parent / "locale"

_chosen: gettext.NullTranslations = gettext.NullTranslations()
_name = "en"


def languages() -> tuple[str, ...]:
    """What ``speak`` takes: English, and each language of a catalogue."""
    return "en", *sorted(path.parents[1].name for path in LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))


def speak(language: str | None) -> None:
    """Choose the language of all texts from now on.

    ``None`` takes the user's: the first that is set of LANGUAGE, LC_ALL, LC_MESSAGES and LANG, as gettext does. English
    where there is no catalogue for it.
    """
    global _chosen, _name
    wanted = [language] if language else _of_the_locale()
    _chosen = gettext.translation(DOMAIN, LOCALE, wanted, fallback=True)
    _name = _chosen.info().get("language", "en")


def spoken() -> str:
    """The language chosen: one of ``languages``."""
    return _name


def _of_the_locale() -> list[str]:
    """The languages that the environment asks for, in its order, up to English.

    LANGUAGE does not count where the locale is the C one, which asks for the texts of the sources.
    """
    locale = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    if locale in ("C", "POSIX"):
        return []
    for variable in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(variable):
            names = value.split(":")
            english = (i for i, name in enumerate(names) if name.split("_")[0].split(".")[0] in ("en", "C", "POSIX"))
            return names[: next(english, len(names))]
    return []


def _(message: str) -> str:
    """A text in the language chosen."""
    return _chosen.gettext(message) if message else ""  # of the empty text catalogues keep their own description


def counted(one: str, many: str, n: int) -> str:
    """A text about ``n`` things in the form that this number asks for; ``{n}`` is filled in by the caller."""
    return _chosen.ngettext(one, many, n)


def text(message: str) -> str:
    """The text as it is, marked for the catalogues: it is translated where it is shown."""
    return message


def reason(error: OSError) -> str:
    """What the system says went wrong; ``docs/translate.py`` has the commonest of its words catalogued."""
    return _(error.strerror or str(error))
