"""Take archives in: append to the log, and see the engine through to the last record.

Beside a running engine the command only appends and waits; alone it runs an engine in-process.
"""

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from earshot.clock import Clock
from earshot.engine.collect import Collector
from earshot.engine.home import Rooms, engine_lock, engine_runs, open_rooms
from earshot.engine.local import LocalEngine
from earshot.errors import EarshotError
from earshot.model.schema import FLOW_CLASSES
from earshot.settings import Settings
from earshot.sources import Source, open_source
from earshot.store import Store

EMBEDDED = ("embedded_new", "embedded_seen")
POLL_S = 0.1
STALLED_S = 60.0
"""So long a running engine may make no progress before the command gives up waiting."""


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
            return _beside(rooms, Collector(source, connection, rooms.log, clock, on_chunk=progress))
    with engine_lock(settings), open_rooms(settings, clock, writable=True) as rooms:
        return _alone(rooms, Collector(source, connection, rooms.log, clock, on_chunk=progress))


def _alone(rooms: Rooms, collector: Collector) -> Replayed:
    """Collect on one thread, work off on this one."""
    engine = LocalEngine(rooms)
    failed: list[BaseException] = []

    def collect() -> None:
        try:
            asyncio.run(collector.run())
        except BaseException as e:  # noqa: BLE001 - carried over to the calling thread
            failed.append(e)

    began = rooms.clock.monotonic()
    thread = threading.Thread(target=collect, name="collect", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            if engine.step() == 0:
                thread.join(0.01)
            engine.upkeep()
        while engine.step():
            engine.upkeep()
        ended = rooms.clock.monotonic()
    finally:
        engine.close()
    if failed:
        raise failed[0]
    return Replayed(
        engine.pulse.tally.get(collector.health.connection, Counter()),
        ended - began,
        {"append": round(collector.append_s * 1e6), **engine.pulse.stage_us},
    )


def _beside(rooms: Rooms, collector: Collector) -> Replayed:
    """Append, then wait until the engine that runs has passed the last record."""
    connection = collector.health.connection
    before, began = _tally(rooms.store, connection), rooms.clock.monotonic()
    asyncio.run(collector.run())
    if collector.last is not None:
        wait_for(rooms, collector.last)
    ended = rooms.clock.monotonic()
    after = _tally(rooms.store, connection)
    after.subtract(before)
    return Replayed(after, ended - began)


def wait_for(rooms: Rooms, offset: int, *, stalled_s: float = STALLED_S) -> None:
    """Return when the running engine has committed the record at `offset` and noted its counts.

    Raises:
        EarshotError: It made no progress for `stalled_s` seconds.
    """
    seen, since = -1, rooms.clock.monotonic()
    pause = threading.Event()
    while (now := rooms.store.offset()) <= offset:
        if now != seen:
            seen, since = now, rooms.clock.monotonic()
        elif rooms.clock.monotonic() - since > stalled_s:
            msg = f"the engine stands still at offset {now} (waiting for {offset})"
            raise EarshotError(msg, hint="see `earshot doctor`; the records are safe in the log")
        pause.wait(POLL_S)
    pause.wait(1.5)  # the engine notes its counts once a second


def _tally(store: Store, connection: str) -> Counter[str]:
    fact = store.facts("engine").get("engine")
    note = msgspec.json.decode(fact, type=_Note) if fact else _Note()
    return Counter(note.tally.get(connection, {}))


class _Note(msgspec.Struct):
    """The part of the engine's note that is read here."""

    tally: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
