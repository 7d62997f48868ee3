"""Make docs/images/overview.png: the overview of the demo world, a while after a first start.

`python tools/screenshot.py`; needs a Chromium on the machine. Shows invented people only.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

TARGET: Final = Path(__file__).resolve().parents[1] / "docs" / "images" / "overview.png"
CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome")
SECONDS: Final = 90
"""How long the world is watched: the chart counts by the minute."""


def main() -> int:
    """Start an Earshot of its own, look at it, stop it."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        sys.stderr.write("no Chromium on this machine\n")
        return 1
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "earshot.cli", "--home", home, "up", "--port", "0"]
        command += ["--source", "demo:?seed=7&rate=25"]
        with subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                links = (re.search(r"http://\S+/setup\?code=\S+", line) for line in process.stdout)
                link = next(filter(None, links))
                _look(program, link[0])
            finally:
                process.terminate()
    return 0


def _look(program: str, link: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(link)
        page.fill("#name", "ada")
        page.click("button")
        page.wait_for_timeout(SECONDS * 1000)
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(TARGET))
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
