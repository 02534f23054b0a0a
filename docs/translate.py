"""Keep the catalogues of translations: ``python docs/translate.py`` brings each .po up to the sources and compiles it.

Texts that are new come in untranslated, texts that nobody shows any more go. ``--check`` writes nothing and fails where
a text has no translation, names other placeholders than its English, or a compiled catalogue is stale.
"""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from analyzer.cli.main import COMMANDS, tcpflow_view  # noqa: E402
from analyzer.cli.speech import texts_of  # noqa: E402
from analyzer.report.page import texts as texts_of_the_page  # noqa: E402
from analyzer.tables import Event  # noqa: E402

PACKAGE = ROOT / "analyzer"
KEYWORDS = {"_": None, "text": None, "counted": (1, 2)}
NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)
OF_CLICK = (
    "Usage:", "Options", "Commands", "Missing command.", "Missing argument", "Missing option",
    "Show this message and exit.", "Show the version and exit.", "default: {default}",
    "No such option {name!r}.", "No such option: {name}", "No such command {name!r}.",
    "Option {name!r} does not take a value.", "Choose from:\n\t{choices}",
    "Invalid value: {message}", "Invalid value for {param_hint}: {message}",
    "{value!r} is not a valid {number_type}.", "{value} is not in the range {range}.",
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    ("Possible options: {possibilities}", "(Possible options: {possibilities})"),
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
)  # fmt: skip
"""What click says to who uses our commands."""

OF_THE_SYSTEM = (
    errno.EACCES, errno.EBADF, errno.EEXIST, errno.EFBIG, errno.EINVAL, errno.EIO, errno.EISDIR, errno.EMFILE,
    errno.ENAMETOOLONG, errno.ENETDOWN, errno.ENODEV, errno.ENOENT, errno.ENOMEM, errno.ENOSPC, errno.ENOTDIR,
    errno.EPERM, errno.EPIPE, errno.EROFS,
)  # fmt: skip
"""Errors of the system that a capture or a file may meet."""

PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def texts() -> Catalog:
    """Every text of the package that is marked for translation, and those that are not the sources' own."""
    catalog = Catalog()
    found = extract_from_dir(str(PACKAGE), [("**.py", "python")], {}, KEYWORDS)
    for _path, _line, message, _comments, _context in found:
        catalog.add(message)
    for message in unmarked():
        catalog.add(message)
    return catalog


def unmarked() -> Iterator[str | tuple[str, str]]:
    """Help, codes that are words on screens, what the report's page, click and the system say."""
    yield from texts_of(tcpflow_view)
    for name, about in COMMANDS.items():
        yield about
        yield from texts_of(import_module(f"analyzer.cli.{name}").command)
    yield from (event.name.lower() for event in Event)
    yield from texts_of_the_page()
    yield from OF_CLICK
    yield from (os.strerror(number) for number in OF_THE_SYSTEM)


def catalogues() -> list[Path]:
    return sorted(PACKAGE.glob("locale/*/LC_MESSAGES/*.po"))


def brought_up_to_date(path: Path, source: Catalog) -> Catalog:
    """The catalogue with the texts of the sources, in their order."""
    with path.open("rb") as file:
        catalog = read_po(file, locale=path.parents[1].name)
    catalog.update(source, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    # Dates of the header would make every run write another file.
    catalog.creation_date = catalog.revision_date = NO_DATE
    return catalog


def faults(catalog: Catalog) -> list[str]:
    """What keeps a catalogue from being whole."""
    told = []
    for message in catalog:
        if not message.id:
            continue
        forms = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
        if not all(forms):
            told.append(f"no translation: {message.id!r}")
        elif any(placeholders(form) != placeholders(english(message)) for form in forms):
            told.append(f"other placeholders than the English text: {message.id!r}")
    return told


def english(message: Message) -> str:
    return str(message.id[-1] if isinstance(message.id, (tuple, list)) else message.id)


def placeholders(text: str) -> set[str]:
    return set(PLACEHOLDER.findall(text))


def compiled(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def main() -> int:
    check = "--check" in sys.argv[1:]
    source = texts()
    told = []
    for path in catalogues():
        catalog = brought_up_to_date(path, source)
        told += [f"{path.relative_to(ROOT)}: {fault}" for fault in faults(catalog)]
        machine = path.with_suffix(".mo")
        if check:
            if not machine.exists() or machine.read_bytes() != compiled(catalog):
                told.append(f"{machine.relative_to(ROOT)} is stale: python docs/translate.py")
            continue
        with path.open("wb") as file:
            write_po(file, catalog, width=120, no_location=True)
        machine.write_bytes(compiled(catalog))
    sys.stderr.writelines(f"{line}\n" for line in told)
    return int(bool(told) and check)


if __name__ == "__main__":
    sys.exit(main())
