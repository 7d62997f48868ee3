"""Processes that are measured: how they are started, and how much memory they hold."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from earshot.engine.bench.profile import py_spy
from earshot.errors import EarshotError

MEMORY_EVERY_S: Final = 2.0
"""Asking for the proportional set size costs time itself."""


def child(
    verb: str,
    folder: Path,
    *,
    samples: Path | None = None,
    environment: Mapping[str, str] | None = None,
    **options: object,
) -> dict[str, Any]:
    """Run a part of the benchmarks in a fresh process and return its figures.

    Args:
        verb: One of `earshot.engine.bench.__main__.VERBS`.
        folder: Where the world lies.
        samples: Where to write where its time went; see `profile`.
        environment: Variables that it gets beside this process's own.
        options: Of the verb.

    Raises:
        EarshotError: It failed; what it said stands on standard error.
    """
    command = [sys.executable, "-m", "earshot.engine.bench", verb, str(folder)]
    command.append(msgspec.json.encode(options).decode())
    if samples is not None:
        spy = py_spy(samples)
        command = [*spy, *command] if spy else [*command, str(samples)]
    done = subprocess.run(  # noqa: S603 - our own program
        command,
        check=False,
        stdout=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        msg = f"the measured process ({verb}) failed with exit code {done.returncode}"
        raise EarshotError(msg, hint="what it said stands above")
    figures: dict[str, Any] = next(
        msgspec.json.decode(line)
        for line in reversed(done.stdout.splitlines())
        if line.startswith(b"{")  # a profiler may have the last word
    )
    return figures


def memory_of(process: psutil.Process) -> int:
    """Bytes that a process and all it started hold: their proportional set sizes."""
    held = 0
    for one in (process, *process.children(recursive=True)):
        try:
            info = one.memory_full_info()
        except psutil.Error:  # it ended meanwhile
            continue
        held += getattr(info, "pss", info.rss)
    return held


class Memory:
    """Watches what this process and its children hold, while it is entered."""

    def __init__(self) -> None:
        self.peak = 0
        """Bytes."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            self.peak = max(self.peak, memory_of(process))
            if self._stop.wait(MEMORY_EVERY_S):
                return
