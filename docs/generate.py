"""Write what is made of the code: pages of the documentation, the manual page, the JSON Schema of expectations.

python docs/generate.py            write them
python docs/generate.py --check    say which are stale, exit status 1 when any is
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from pages import api, causes, columns, commands, expectations, man, state_table

from analyzer.expect.description import schema_text

HERE = Path(__file__).parent

PAGES = {
    "state-table.md": state_table.page,
    "columns.md": columns.page,
    "causes.md": partial(causes.page, "en"),
    "causes.zh.md": partial(causes.page, "zh"),
    "expectations.md": expectations.page,
    "reference/commands.md": partial(commands.page, "en"),
    "reference/commands.zh.md": partial(commands.page, "zh"),
    "reference/api.md": api.page,
    "tcpflow-view.1": man.page,
    "../analyzer/expect/expectations.schema.json": schema_text,
}


def main() -> None:
    stale = []
    for name, page in PAGES.items():
        file = HERE / name
        if "--check" not in sys.argv:
            file.write_text(page(), encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != page():
            stale.append(name)
    if stale:
        sys.exit(f"stale: {', '.join(stale)}; run python docs/generate.py")


if __name__ == "__main__":
    main()
