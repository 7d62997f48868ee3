"""X's record second, handed to the real collector beside a real engine process."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl

from earshot.clock import Clock, SystemClock
from earshot.engine.bench.child import child
from earshot.engine.bench.pipeline import add_rules
from earshot.engine.bench.profile import write
from earshot.engine.bench.world import RULES, WORLD, Canned, batches
from earshot.engine.collect import Collector
from earshot.engine.home import Rooms, engine_runs, open_rooms
from earshot.engine.tallies import tally_of
from earshot.errors import EarshotError
from earshot.model.schema import FLOW_CLASSES
from earshot.settings import Settings
from earshot.sources import RECORDS, Capabilities, Chunk

RECORD_SECOND: Final = 143_199
WARM: Final = 8192
"""Records before the burst: the engine has run for a while, as it will have."""
CHUNK: Final = 1024
POLL_S: Final = 0.02
PATIENCE_S: Final = 300.0
STARTS_S: Final = 180.0


class Burst:
    """A live source that hands over all it has within one second, and stays open."""

    name = "demo"
    capabilities = Capabilities(live=True, resumable=False)

    def __init__(self, records: pl.DataFrame, clock: Clock, *, within_s: float = 1.0) -> None:
        self._records, self._clock, self._within = records, clock, within_s
        self.began = self.ended = 0.0
        """When the first record was handed over, and when the last was taken."""
        self.closed = False

    async def stream(self, cursor: str | None) -> AsyncGenerator[Chunk, None]:
        """See `Source.stream`: what is due waits here for the collector, as in a socket."""
        del cursor
        self.began = self._clock.monotonic()
        done, every = 0, self._records.height
        try:
            while done < every:
                passed = (self._clock.monotonic() - self.began) / self._within
                due = min(every, round(every * passed) + CHUNK)
                if due <= done:
                    await asyncio.sleep(0.001)
                    continue
                frame, done = self._records[done:due], due
                yield Chunk(frame=frame)
                self.ended = self._clock.monotonic()
            await asyncio.Event().wait()
        finally:
            self.closed = True


def measure_burst(
    posts: int = RECORD_SECOND, rules: int = 1000, *, seed: int = 7, profile: Path | None = None
) -> dict[str, Any]:
    """Make a world, then hand `posts` records of it to a collector within one second."""
    with tempfile.TemporaryDirectory(prefix="earshot-bench-") as name:
        folder = Path(name)
        child("make", folder, posts=posts + WARM, seed=seed)
        child("rules", folder, rules=rules, seed=seed)
        samples = profile / "burst.raw" if profile else None
        figures = child("burst", folder, posts=posts, samples=samples)
        if profile and samples:
            write(samples, profile / "burst.txt")
            figures["profile"] = str(profile / "burst.txt")
    return figures


def run(folder: Path, *, posts: int) -> dict[str, Any]:
    """The burst; runs in the process of the collector."""
    settings, clock = Settings(home=folder / "home"), SystemClock()
    with open_rooms(settings, clock, writable=False) as rooms:
        add_rules(rooms, folder / RULES)
    with engine_of(settings), open_rooms(settings, clock, writable=False) as rooms:
        return asyncio.run(_burst(rooms, folder / WORLD, posts))


@contextlib.contextmanager
def engine_of(settings: Settings) -> Iterator[None]:
    """A process that works off the log of this home, as `earshot up` starts it."""
    command = [sys.executable, "-m", "earshot.cli", "--home", str(settings.home), "engine"]
    command += ["--parent", str(os.getpid())]
    with subprocess.Popen(command, stdout=sys.stderr) as engine:  # noqa: S603 - our own program
        try:
            _running(settings, engine)
            yield
        finally:
            engine.terminate()


def _running(settings: Settings, engine: "subprocess.Popen[bytes]") -> None:
    """Wait until it holds the home's engine."""
    clock, pause = SystemClock(), threading.Event()
    late = clock.monotonic() + STARTS_S
    while not engine_runs(settings):
        if engine.poll() is not None or clock.monotonic() > late:
            msg = "the engine did not start"
            raise EarshotError(msg, hint="what it said stands above")
        pause.wait(0.1)


async def _burst(rooms: Rooms, world: Path, posts: int) -> dict[str, Any]:
    clock = rooms.clock
    await Collector(Canned(world, count=WARM), "warm", rooms.log, clock).run()
    await _until(rooms, rooms.store.offset, rooms.log.head())
    first = rooms.log.head()
    records = pl.concat(batches(world, start=WARM, count=posts))
    records = records.with_columns(received_at=pl.lit(None, RECORDS["received_at"]))
    source = Burst(records, clock)
    collector = Collector(source, "burst", rooms.log, clock)
    collecting = asyncio.create_task(collector.run())
    most = 0

    def lag() -> int:
        nonlocal most
        most = max(most, rooms.log.head() - rooms.store.offset())
        return rooms.log.head()

    in_log = await _until(rooms, lag, first + posts)
    drained = await _until(rooms, rooms.store.offset, first + posts)
    tally = tally_of(rooms.store, "burst")
    consumed = sum(tally.get(c, 0) for c in FLOW_CLASSES)
    still_open = not source.closed and not collecting.done()
    collecting.cancel()
    await asyncio.gather(collecting, return_exceptions=True)
    accepted = rooms.log.head() - first
    return {
        "handed": posts,
        "handed_seconds": round(source.ended - source.began, 3),
        "accepted": accepted,
        "in_log_seconds": round(in_log - source.began, 3),
        "drained_seconds": round(drained - source.began, 3),
        "lost": posts - consumed,
        "source_stayed_open": still_open,
        "restarts": collector.health.restarts,
        "most_lag_records": most,
        "rules": len(rooms.control.rules()),
        "engine": engine_runs(rooms.settings),
    }


async def _until(rooms: Rooms, place: Callable[[], int], wanted: int) -> float:
    """Wait until `place` says `wanted`; returns when it did."""
    late = rooms.clock.monotonic() + PATIENCE_S
    while await asyncio.to_thread(place) < wanted:
        if rooms.clock.monotonic() > late or not engine_runs(rooms.settings):
            msg = f"the engine stopped, or took more than {PATIENCE_S:.0f} s"
            raise EarshotError(msg)
        await asyncio.sleep(POLL_S)
    return rooms.clock.monotonic()
