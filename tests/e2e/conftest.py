"""A whole Earshot in its own process group, and a browser to look at it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Running:
    """An Earshot that was started with `earshot up`."""

    process: subprocess.Popen
    home: Path
    lines: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    def wait_for(self, pattern: str, *, seconds: float = 90) -> re.Match:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for line in list(self.lines):
                if found := re.search(pattern, line):
                    return found
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        pytest.fail(f"no {pattern!r} in:\n" + "\n".join(self.lines[-60:]))

    @property
    def link(self) -> str:
        return self.wait_for(r"(http://localhost:\d+/setup\?code=\S+)")[1]

    @property
    def base(self) -> str:
        return self.link.partition("/setup")[0]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        return self.process.returncode


def start(home: Path, *arguments: str) -> Running:
    process = subprocess.Popen(
        [sys.executable, "-m", "earshot.cli", "--home", str(home), "up", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
    )
    running = Running(process, home)

    def follow():
        for line in process.stdout:
            running.lines.append(line.rstrip())

    running.reader = threading.Thread(target=follow, daemon=True)
    running.reader.start()
    return running


@pytest.fixture(scope="module")
def earshot(tmp_path_factory):
    """An Earshot that shows the demo world."""
    running = start(
        tmp_path_factory.mktemp("home"), "--source", "demo:?seed=7&rate=12&backfill=0.2"
    )
    try:
        running.link  # noqa: B018 - waits until it listens
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def signed_in(earshot):
    """A client of the API with the first administrator's session."""
    base, _, code = earshot.link.partition("/setup?code=")
    with httpx2.Client(base_url=base, headers={"Origin": base}) as client:
        made = client.post("/api/v1/setup", json={"code": code, "name": "ada"})
        assert made.status_code < 300, made.text
        yield client


@pytest.fixture(scope="module")
def browser():
    """A browser; not for the whole session, since its event loop runs in the tests' own thread."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
