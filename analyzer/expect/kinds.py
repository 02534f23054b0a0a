"""Kinds of values that a file of expectations has: each says what is wrong with a value, and what JSON Schema it is.

The two agree: a value is faultless just where JSON Schema takes it (``format`` asserted). Draft 4 can read the schemas,
for editors know no later one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from analyzer.errors import UsageError
from analyzer.expect.vocabulary import MOST, known, regex_of
from analyzer.language import _

Path = tuple[str | int, ...]
"""Keys, and places in arrays from 0 on."""
Schema = dict[str, Any]


class Problem(NamedTuple):
    """A value that cannot be."""

    path: Path
    text: str


class Kind(Protocol):
    """What a value may be."""

    def schema(self) -> Schema:
        """Its JSON Schema."""
        ...

    def problems(self, value: object, path: Path) -> Iterator[Problem]:
        """What is wrong with a value that stands at a path."""
        ...


@dataclass(frozen=True)
class Text:
    """Any text."""

    is_regex: bool = False

    def schema(self) -> Schema:
        return {"type": "string", "format": "regex"} if self.is_regex else {"type": "string"}

    def problems(self, value: object, path: Path) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield Problem(path, _("this should be a text"))
        elif self.is_regex:
            try:
                regex_of(value)
            except UsageError as error:
                yield Problem(path, str(error))


@dataclass(frozen=True)
class Notation:
    """A text that matches a pattern; ``read`` raises UsageError for one that does not."""

    pattern: str
    read: Callable[[str], object]

    def schema(self) -> Schema:
        return {"type": "string", "pattern": self.pattern}

    def problems(self, value: object, path: Path) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield Problem(path, _("this should be a text"))
            return
        if re.search(self.pattern, value):
            return
        try:
            self.read(value)
        except UsageError as error:
            yield Problem(path, str(error))
        else:
            yield Problem(path, _("this cannot be read"))


@dataclass(frozen=True)
class Word:
    """One of some words."""

    words: tuple[str, ...]
    what: str
    """What it is, marked for the catalogues."""

    def schema(self) -> Schema:
        return {"enum": list(self.words)}

    def problems(self, value: object, path: Path) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield Problem(path, _("this should be a text"))
            return
        try:
            known(value, self.words, _(self.what))
        except UsageError as error:
            yield Problem(path, str(error))


@dataclass(frozen=True)
class Whole:
    """A whole number, not below ``least`` and not above ``most``."""

    least: int = 0
    most: int = MOST

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def problems(self, value: object, path: Path) -> Iterator[Problem]:
        is_number = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not is_number:
            yield Problem(path, _("this should be a whole number"))
        elif isinstance(value, int | float) and value < self.least:
            yield Problem(path, _("this should be {n} at least").format(n=self.least))
        elif isinstance(value, int | float) and value > self.most:
            yield Problem(path, _("this should be {n} at most").format(n=self.most))


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def schema(self) -> Schema:
        return {"type": "boolean"}

    def problems(self, value: object, path: Path) -> Iterator[Problem]:
        if not isinstance(value, bool):
            yield Problem(path, _("this should be true or false"))


@dataclass(frozen=True)
class Several:
    """An array."""

    of: Kind

    def schema(self) -> Schema:
        return {"type": "array", "items": self.of.schema()}

    def problems(self, value: object, path: Path) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield Problem(path, _("this should be an array: […]"))
            return
        for place, one in enumerate(value):
            yield from self.of.problems(one, (*path, place))


class Key(NamedTuple):
    """A key of a table."""

    kind: Kind
    about: str
    """For editors, in English."""


@dataclass(frozen=True)
class Table:
    """A table that has none but these keys."""

    keys: Mapping[str, Key]

    def schema(self) -> Schema:
        properties = {name: key.kind.schema() | {"description": key.about} for name, key in self.keys.items()}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def problems(self, value: object, path: Path) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield Problem(path, _("this should be a table"))
            return
        for name, one in value.items():
            if name in self.keys:
                yield from self.keys[name].kind.problems(one, (*path, name))
                continue
            try:
                known(name, self.keys, _("key"))
            except UsageError as error:
                yield Problem((*path, name), str(error))


@dataclass(frozen=True)
class Either:
    """A value of one of these kinds, the likeliest of which is named where it is of none."""

    kinds: tuple[Kind, ...] = field(default=())

    def schema(self) -> Schema:
        return {"anyOf": [kind.schema() for kind in self.kinds]}

    def problems(self, value: object, path: Path) -> Iterator[Problem]:
        found = [list(kind.problems(value, path)) for kind in self.kinds]
        if all(found):
            yield from self._likeliest(value, found)

    def _likeliest(self, value: object, found: list[list[Problem]]) -> list[Problem]:
        """What is wrong by the kind that the value's own type speaks for."""
        for kind, problems in zip(self.kinds, found, strict=True):
            is_it = {
                Table: isinstance(value, dict),
                Whole: isinstance(value, int | float) and not isinstance(value, bool),
            }.get(type(kind), isinstance(value, str))
            if is_it:
                return problems
        return found[0]
