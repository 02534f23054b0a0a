"""JSON Lines: one object a row, without spaces, in which names with dots nest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache, partial

from analyzer.export.row_text import Notation


@cache
def json_lines(head: str) -> Notation:
    """The notation; ``head`` is what every object begins with, as in ``"schema":1``."""
    return Notation(
        partial(texts_before, head), json_word, null=b"null", empty=b"", text_mark='"', list_marks="[]", separator=","
    )


def json_word(word: str) -> bytes:
    """A word as a string of JSON."""
    return json.dumps(word).encode()


def texts_before(head: str, names: Sequence[str]) -> list[bytes]:
    """What stands before each value, and at the end: braces and keys, from names in which dots nest."""
    above: list[str] = []
    text = "{" + head
    befores = []
    for name in names:
        *path, key = name.split(".")
        common = 0
        while common < min(len(path), len(above)) and path[common] == above[common]:
            common += 1
        text += "}" * (len(above) - common) + ","
        text += "".join(json.dumps(outer) + ":{" for outer in path[common:])
        befores.append((text + json.dumps(key) + ":").encode())
        above, text = path, ""
    return [*befores, ("}" * len(above) + "}\n").encode()]
