"""The product's two processes, quick to start: the engine, and the one that collects.

`earshot up` runs collectors in one process and `earshot engine` in another; so do these, from a
server of forks that has imported everything already.
"""

import asyncio
import dataclasses
import datetime as dt
import multiprocessing
import os
import re
import signal
import threading
import time

import msgspec

from earshot.clock import from_micros
from earshot.engine.collect import Collector
from earshot.engine.home import engine_lock, log_of, open_rooms
from earshot.engine.local import LocalEngine
from earshot.sources.bluesky import Timing, connect

CONNECTION = "bluesky"
LOADED = (
    "tests.faults.parts",
    "earshot.control.sqlite",
    "earshot.lake.file",
    "earshot.log.sqlite",
    "earshot.store.sqlite",
)
HANDOVER_S = 30.0
WITNESSED = re.compile(rb'"witnessedAt":"([^"]+)"|"time_us":(\d+)')

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(list(LOADED))


class StillClock:
    """Always the same moment; seconds pass."""

    def __init__(self, at):
        self.at = at

    def now(self):
        return self.at

    def monotonic(self):
        return time.monotonic()


class AsWitnessed:
    """A Bluesky whose records are received when they were witnessed: in every run the same."""

    def __init__(self, source):
        self._source = source
        self.name, self.capabilities = source.name, source.capabilities

    async def stream(self, cursor):
        async for chunk in self._source.stream(cursor):
            yield dataclasses.replace(chunk, items=tuple(map(as_witnessed, chunk.items)))


def as_witnessed(item):
    """The item, received when its witness says."""
    text, us = WITNESSED.search(item.raw).groups()
    at = from_micros(int(us)) if us else dt.datetime.fromisoformat(text.decode())
    return msgspec.structs.replace(item, received_at=at)


def engine(settings, at):
    """`earshot engine`: until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    clock = StillClock(at)
    with (
        engine_lock(settings, patience_s=HANDOVER_S),
        open_rooms(settings, clock, writable=True) as rooms,
    ):
        LocalEngine(rooms).run(stop)


def collector(settings, at, url, chunk):
    """Collect from a simulator for ever, in small chunks."""
    clock = StillClock(at)
    timing = Timing(linger=0.005, chunk=chunk, base=0.05, cap=0.1)
    with log_of(settings) as log:
        source = AsWitnessed(
            connect(f"bluesky:?host={url}&compress=no", clock=clock, timing=timing)
        )
        asyncio.run(_collect(Collector(source, CONNECTION, log, clock)))


async def _collect(it):
    async with asyncio.TaskGroup() as group:
        group.create_task(it.watch())
        await it.run()


class Part:
    """One process, which can be killed, paused and started again."""

    def __init__(self, body, *arguments):
        self._body, self._arguments = body, arguments
        self.process, self.starts = None, 0

    def start(self):
        self.process = forks.Process(target=self._body, args=self._arguments, daemon=True)
        self.process.start()
        self.starts += 1

    def send(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        self.process.kill()
        self.process.join(30)
        assert self.process.exitcode == -signal.SIGKILL, "it ended before it was killed"

    def end(self):
        """In good order."""
        self.process.terminate()
        self.process.join(120)
        return self.process.exitcode

    def tidy(self):
        if self.process is not None and self.process.is_alive():
            self.process.kill()
            self.process.join(30)
