"""Take archives in: append to the log, and see the engine through to the last record.

Beside a running engine the command only appends and waits; alone it runs an engine in-process.
The thread that calls only waits, so that Ctrl-C and SIGTERM never strike in the middle of a batch.
"""

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from earshot.clock import Clock
from earshot.engine.collect import Collector
from earshot.engine.home import Rooms, engine_lock, engine_runs, open_rooms
from earshot.engine.local import LocalEngine
from earshot.engine.tallies import EMBEDDED, tally_of
from earshot.errors import EarshotError
from earshot.model.schema import FLOW_CLASSES
from earshot.settings import Settings
from earshot.sources import Source, open_source

POLL_S: Final = 0.05
STALLED_S: Final = 60.0
"""So long a running engine may make no progress before the command gives up waiting."""
PATIENCE_S: Final = 5.0
"""How long a stopped collector may take to end; one that waits for a pipe never does."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay brought; `classes` has every flow class and the embedded counters."""

    classes: Mapping[str, int]
    seconds: float
    """From the first append to the last commit."""
    stage_us: Mapping[str, int] = field(default_factory=dict)
    """Microseconds spent in each stage; empty beside a running engine."""

    def flat(self) -> dict[str, int | float]:
        """The fixed interface of `earshot replay --json`."""
        consumed = sum(self.classes.get(c, 0) for c in FLOW_CLASSES)
        creates = self.classes.get("unique", 0) + self.classes.get("duplicate", 0)
        return {
            "consumed": consumed,
            **{c: self.classes.get(c, 0) for c in (*FLOW_CLASSES, *EMBEDDED)},
            "seconds": round(self.seconds, 3),
            "posts_per_second": round(creates / self.seconds, 1) if self.seconds > 0 else 0.0,
        }


def connection_of(paths: Sequence[str]) -> str:
    """Name of the connection under which these paths are replayed; the same on every run."""
    whole = "\0".join(p if p == "-" else str(Path(p).resolve()) for p in paths)
    return f"archive:{hashlib.sha256(whole.encode()).hexdigest()[:12]}"


def replay(
    settings: Settings,
    clock: Clock,
    paths: Sequence[str],
    *,
    options: Mapping[str, object],
    on_progress: Callable[[Source, int], None] | None = None,
) -> Replayed:
    """Replay `paths` into the home and return when all of it is stored.

    Args:
        settings: Of the home.
        clock: Stamps the records.
        paths: Files, folders, or "-" for standard input.
        options: `speed`, `shift`, `format` of the archive source.
        on_progress: Told of the source and of how many records were just logged.

    Raises:
        EarshotError: A path that is not there or holds no payloads; an engine that stands still.
            What was appended until then is stored.
    """
    source = open_source("archive:", clock=clock, options={"paths": list(paths), **options})
    return take_in(settings, clock, source, connection_of(paths), on_progress=on_progress)


def take_in(
    settings: Settings,
    clock: Clock,
    source: Source,
    connection: str,
    *,
    on_progress: Callable[[Source, int], None] | None = None,
) -> Replayed:
    """Collect a source that ends, whole, and see every record of it into the store."""

    def progress(n: int) -> None:
        if on_progress:
            on_progress(source, n)

    if engine_runs(settings):
        with open_rooms(settings, clock, writable=False) as rooms:
            return _beside(
                rooms, Collector(source, connection, rooms.log, clock, on_chunk=progress)
            )
    with engine_lock(settings), open_rooms(settings, clock, writable=True) as rooms:
        return _alone(rooms, Collector(source, connection, rooms.log, clock, on_chunk=progress))


def _alone(rooms: Rooms, collector: Collector) -> Replayed:
    """Collect on one thread, work off on another."""
    engine = LocalEngine(rooms)
    connection = collector.health.connection
    before, began = tally_of(rooms.store, connection), rooms.clock.monotonic()
    collecting = _Collecting(collector)
    working = _Working(engine, collecting)
    try:
        working.wait()
    finally:
        collecting.stop()
        working.stop()
    collecting.raise_failure()
    collector.conclude()
    stages = {"append": round(collector.append_s * 1e6), **engine.pulse.stage_us}
    return Replayed(_grown(rooms, connection, before), working.ended - began, stages)


def _beside(rooms: Rooms, collector: Collector) -> Replayed:
    """Append, then wait until the engine that runs has passed the last record."""
    connection = collector.health.connection
    before, began = tally_of(rooms.store, connection), rooms.clock.monotonic()
    collecting = _Collecting(collector)
    try:
        collecting.wait()
    finally:
        collecting.stop()
    wait_for(rooms, rooms.log.head() - 1 if collector.last is None else collector.last)
    collecting.raise_failure()
    collector.conclude()
    return Replayed(_grown(rooms, connection, before), rooms.clock.monotonic() - began)


def _grown(rooms: Rooms, connection: str, before: Counter[str]) -> Counter[str]:
    after = tally_of(rooms.store, connection)
    after.subtract(before)
    return after


def wait_for(rooms: Rooms, offset: int, *, stalled_s: float = STALLED_S) -> None:
    """Return when the running engine has committed the record at `offset`.

    Raises:
        EarshotError: It made no progress for `stalled_s` seconds.
    """
    wait_until(rooms, rooms.store.offset, offset, stalled_s=stalled_s)


def wait_until(
    rooms: Rooms, place: Callable[[], int], offset: int, *, stalled_s: float = STALLED_S
) -> None:
    """Return when the running engine has brought `place` past `offset`; raises as `wait_for`."""
    seen, since = -1, rooms.clock.monotonic()
    pause = threading.Event()
    while (now := place()) <= offset:
        if now != seen:
            seen, since = now, rooms.clock.monotonic()
        elif rooms.clock.monotonic() - since > stalled_s:
            msg = f"the engine stands still at offset {now} (waiting for {offset})"
            raise EarshotError(msg, hint="see `earshot doctor`; the records are safe in the log")
        pause.wait(POLL_S)


class _Collecting:
    """A collector on a thread of its own, which can be stopped."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collect", daemon=True)
        self._thread.start()

    @property
    def goes_on(self) -> bool:
        """Whether more may come."""
        return self._thread.is_alive()

    def wait(self) -> None:
        """Return when it ended, however it did."""
        while self._thread.is_alive():
            self._thread.join(POLL_S)  # with a limit, so that signals get through

    def stop(self) -> None:
        """End it after what it appends just now; nothing, where it ended by itself."""
        self._ready.wait(PATIENCE_S)
        if self._thread.is_alive() and self._ready.is_set():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(PATIENCE_S)

    def raise_failure(self) -> None:
        """Raise what ended it, if anything did."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._collect())
        except BaseException as e:  # noqa: BLE001 - carried over to the calling thread
            self._failure = e
        finally:
            self._ready.set()

    async def _collect(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._collector.run())
        self._ready.set()
        await self._task


class _Working:
    """The engine on a thread of its own, until nothing comes and the log is empty."""

    def __init__(self, engine: LocalEngine, collecting: _Collecting) -> None:
        self._engine, self._collecting = engine, collecting
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self.ended = 0.0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when all is stored; raises what the engine failed with."""
        while self._thread.is_alive():
            self._thread.join(POLL_S)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End it after the batch in hand, tidily."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
            self.ended = self._engine.now()
            if not self._stop.is_set():
                self._engine.drain()
            self._engine.close()
        except BaseException as e:  # noqa: BLE001 - carried over to the calling thread
            self._engine.abandon()
            self._failure = e

    def _work(self) -> None:
        while not self._stop.is_set():
            over = not self._collecting.goes_on  # asked before: what it appended last is seen
            worked = self._engine.step()
            self._engine.upkeep()
            if worked == 0 and over:
                return
            if worked == 0:
                self._stop.wait(0.01)
