"""The user's file of defaults: TOML, read only where it exists.

``lang``, ``color`` and ``pager`` stand at its top; a table with a command's name has options of this command, without
their dashes. What stands on the command line wins, then the environment, then the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from analyzer.errors import UsageError
from analyzer.language import _, languages, reason
from analyzer.render.screen import FORCE_COLOR, NO_COLOR
from analyzer.render.untrusted import visible

VARIABLE = "TCPFLOW_VIEW_CONFIG"
COLORS = ("auto", "always", "never")

_NOT_FROM_A_FILE = frozenset({"help", "lang", "no-pager", "version"})
"""Options that ask for something now; two of them have another name at the file's top."""


class Settings(NamedTuple):
    """What a file says."""

    path: str = ""
    """Empty where there is no file."""
    lang: str | None = None
    color: str | None = None
    pager: bool | str | None = None
    """A command, or whether there shall be one."""
    tables: Mapping[str, Mapping[str, object]] = {}
    """Options of commands, as the file has them."""
    source: str = ""


def place() -> str:
    """Where the file is, or would be; empty where there shall be none, and for a user who has no home."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return given
    base = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        folder = Path(base) if os.path.isabs(base) else Path("~/.config").expanduser()
    except RuntimeError:  # neither HOME nor the list of users tells
        return ""
    return str(folder / "tcpflow-view" / "config.toml")


def read(commands: Collection[str]) -> Settings:
    """The user's settings, empty without a file. Raises UsageError for what cannot be understood.

    Options in the tables are looked at by ``defaults``, when their command is known.
    """
    path = place()
    if not path:
        return Settings()
    try:
        octets = Path(path).read_bytes()
    except OSError as error:
        # Of another user's home, which sudo and containers leave in HOME, nothing is wanted.
        if VARIABLE not in os.environ and isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
            return Settings()
        told = _("{path}: {reason}").format(path=visible(path), reason=reason(error))
        raise UsageError(f"{VARIABLE}={told}" if VARIABLE in os.environ else told) from None
    import tomllib

    try:
        source = octets.decode()
        found = tomllib.loads(source)
    except UnicodeDecodeError as error:
        line = octets[: error.start].count(b"\n") + 1
        raise _fault(path, line, _("this is not UTF-8")) from None
    except tomllib.TOMLDecodeError as error:
        problem, _at, position = str(error).rstrip(")").partition(" (at ")
        at = re.match(r"line (\d+)", position)
        line = int(at[1]) if at else source.count("\n") + 1
        raise _fault(path, line, _("this is not TOML: {problem}").format(problem=visible(problem))) from None
    return _checked(path, found, source, commands)


def defaults(command: click.Command, name: str, settings: Settings) -> dict[str, object]:
    """The values of the command's parameters that the file has for it. Raises UsageError.

    A colour for all commands gives way to NO_COLOR and FORCE_COLOR.
    """
    options = {
        spelled.lstrip("-"): param
        for param in command.params
        if isinstance(param, click.Option)
        for spelled in param.opts
        if spelled.lstrip("-") not in _NOT_FROM_A_FILE
    }
    values: dict[str, object] = {}
    if "color" in options and settings.color and not os.environ.get(NO_COLOR) and not os.environ.get(FORCE_COLOR):
        values["color"] = settings.color
    context = click.Context(command, info_name=name)
    for key, value in settings.tables.get(name, {}).items():
        line = line_of(settings.source, key, name)
        if key not in options:
            told = _("{command} has no option {option}").format(command=name, option=visible(_dashed(key)))
            raise _fault(settings.path, line, told + _meant(key, options))
        param = options[key]
        if kind := _fits_not(param, value):
            told = _("{option} needs {kind}").format(option=f"[{name}] {key}", kind=kind)
            raise _fault(settings.path, line, told)
        try:
            param.type_cast_value(context, value)
        except click.BadParameter as error:
            raise _fault(settings.path, line, f"[{name}] {key}: {visible(error.message)}") from None
        values[param.name or key] = value
    return values


def line_of(source: str, key: str, table: str = "") -> int:
    """The number of the line where a key stands, 0 where it is not found. tomllib does not tell."""
    inside, pattern = "", re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""")
    for number, line in enumerate(source.splitlines(), 1):
        if header := re.match(r"""\s*\[+\s*["']?([^"'\]]+?)["']?\s*\]""", line):
            inside = header[1]
            if not table and inside.split(".")[0].strip() == key:
                return number
        elif inside == table and pattern.match(line):
            return number
    return 0


def _checked(path: str, found: dict[str, Any], source: str, commands: Collection[str]) -> Settings:
    """What the file says, where it may say so."""
    top = {key: found.pop(key) for key in ("lang", "color", "pager") if key in found}
    for key, choices in (("lang", languages()), ("color", COLORS)):
        if key in top and top[key] not in choices:
            told = _("{key} is one of {choices}").format(key=key, choices=", ".join(choices))
            raise _fault(path, line_of(source, key), told)
    if not isinstance(top.get("pager", True), bool | str):
        told = _("{option} needs {kind}").format(option="pager", kind=_("a command in quotes, true or false"))
        raise _fault(path, line_of(source, "pager"), told)
    for key, table in found.items():
        if key not in commands:
            told = _("there is no setting and no command {name}").format(name=visible(key))
            raise _fault(path, line_of(source, key), told + _meant(key, [*commands, "lang", "color", "pager"]))
        if not isinstance(table, dict):
            told = _("{name} is a command: its options stand below a line [{name}]").format(name=key)
            raise _fault(path, line_of(source, key), told)
    return Settings(path, **top, tables=found, source=source)


def _fits_not(param: click.Option, value: object) -> str:
    """What kind of value an option needs that this is not; empty where it fits."""
    if param.multiple and isinstance(value, list):
        return next(filter(None, (_kind_missed(param.type, one) for one in value)), "")
    if param.multiple:
        return _("a list")
    if param.count:
        return _kind_missed(click.INT, value)
    return _kind_missed(click.BOOL if param.is_flag else param.type, value)


def _kind_missed(wanted: click.ParamType[Any], value: object) -> str:
    is_bool = isinstance(value, bool)
    if isinstance(wanted, type(click.BOOL)):
        return "" if is_bool else _("true or false")
    if isinstance(wanted, type(click.INT)):
        return "" if isinstance(value, int) and not is_bool else _("a whole number")
    if isinstance(wanted, type(click.FLOAT)):
        return "" if isinstance(value, int | float) and not is_bool else _("a number")
    return "" if isinstance(value, str) else _("a text in quotes")


def _dashed(key: str) -> str:
    return f"-{key}" if len(key) == 1 else f"--{key}"


def _meant(key: str, known: Collection[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(key, known, 1)
    return _(" (did you mean {name}?)").format(name=close[0]) if close else ""


def _fault(path: str, line: int, problem: str) -> UsageError:
    where = _("{path}, line {line}: {problem}") if line else _("{path}: {problem}")
    return UsageError(where.format(path=visible(path), line=line, problem=problem))
