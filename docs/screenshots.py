"""Write assets/report.webp, the tutorial's picture of a report: ``python docs/screenshots.py``. Needs Chromium."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from tests.report.browser import Browser  # noqa: E402

CAPTURE = "captures/made/loopback-echo-1235.pcap"
WIDTH, HEIGHT = 1200, 860


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Browser(WIDTH, HEIGHT) as browser:
        page = Path(folder, "report.html")
        command = [sys.executable, "-m", "analyzer", "report", CAPTURE, "-o", str(page), "--lang", "en"]
        subprocess.run(command, cwd=ROOT, check=True, env=os.environ | {"TZ": "UTC0"})
        browser.open(page)
        picture = browser.call("Page.captureScreenshot", format="webp", quality=75)["data"]
    (HERE / "assets" / "report.webp").write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    main()
