"""``tcpflow-view completion``: what makes a shell complete our commands, options and files."""

from __future__ import annotations

import click

from analyzer.cli.completing import SHELLS, script

_EXAMPLES = """\b
Examples:
  eval "$(tcpflow-view completion bash)"  # a line of ~/.bashrc
  eval "$(tcpflow-view completion zsh)"   # a line of ~/.zshrc, after compinit
  tcpflow-view completion fish > ~/.config/fish/completions/tcpflow-view.fish
"""


@click.command("completion", epilog=_EXAMPLES)
@click.argument("shell", type=click.Choice(SHELLS), metavar=f"[{'|'.join(SHELLS)}]")
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands, options, their values, files and interfaces.

    To have it always, put the line for bash or zsh into ~/.bashrc or ~/.zshrc, or type the one for fish once.
    """
    click.echo(script(shell, context.find_root().command))
