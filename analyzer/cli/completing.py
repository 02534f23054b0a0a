"""What a shell may put in where Tab is pressed: click does it, with what its parameters do not tell it.

A shell's script asks the program itself, with ``VARIABLE`` set. What is a file, a folder or an interface is known by
what help calls it, for every command alike.
"""

from __future__ import annotations

from copy import copy

import click
from click import shell_completion
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

VARIABLE = "_TCPFLOW_VIEW_COMPLETE"
"""Is set by a shell that asks what it may put in."""

PROGRAM = "tcpflow-view"
SHELLS = ("bash", "zsh", "fish")

_FILES = frozenset({"FILE", "LOG", "PATH", "PROGRAM"})
_FOLDERS = frozenset({"DIR"})
_INTERFACES = frozenset({"IFACE"})


class Bash(BashComplete):
    """Bash makes three words of ``--color=always``; click knows what to do with two."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words, incomplete = super().get_completion_args()
        if words and words[-1] == "=":
            words.pop()
        return words, incomplete


class _OneWord(ShellComplete):
    """For other shells it is one word, and what they put in replaces all of it."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        found = super().get_completions(args, incomplete)
        name, equals, _value = incomplete.partition("=")
        if equals and name.startswith("--"):
            for one in found:
                one.value = f"{name}={one.value}"
        return found


class Zsh(_OneWord, ZshComplete):
    """As click has it otherwise."""


class Fish(_OneWord, FishComplete):
    """Click's script would end what it tells of a command at the first comma."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split --max 1 ","')


for _shell in (Bash, Zsh, Fish):
    shell_completion.add_completion_class(_shell)


def script(shell: str, program: click.Command) -> str:
    """What a shell needs to know to complete the program's arguments."""
    made = shell_completion.get_completion_class(shell)
    assert made
    return made(program, {}, PROGRAM, VARIABLE).source()


def completable(command: click.Command) -> click.Command:
    """A copy of the command whose files, folders and interfaces are completed as such."""
    told = copy(command)
    told.params = [_completable(param) for param in command.params]
    return told


def _completable(param: click.Parameter) -> click.Parameter:
    words = (param.metavar or "").split()
    first = words[0] if words else ""
    if first not in _FILES | _FOLDERS | _INTERFACES:
        return param
    told = copy(param)
    told.type = _Interface() if first in _INTERFACES else click.Path(file_okay=first in _FILES)
    return told


class _Interface(click.ParamType):  # type: ignore[type-arg]
    """Where packets can be captured."""

    name = "interface"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        import socket

        names = ["any", *(name for _number, name in socket.if_nameindex())]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
