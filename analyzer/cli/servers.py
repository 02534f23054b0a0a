"""The option ``--server``: who is said to be a server, where the SYN was not captured."""

from __future__ import annotations

import click

option = click.option(
    "--server", "server_ends", metavar="END", multiple=True,
    help="Where no SYN tells: this end is the server; ADDRESS[/BITS], PORT, or ADDRESS:PORT. May be repeated.",
)  # fmt: skip
