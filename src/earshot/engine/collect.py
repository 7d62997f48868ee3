"""Collectors: each pulls one source into the log, is watched, and starts again when it fails."""

import asyncio
import datetime as dt
import statistics
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import msgspec
import polars as pl
import structlog

from earshot.clock import Clock
from earshot.engine.rate import Rate
from earshot.errors import EarshotError, LogFullError, RetryableError, UsageError
from earshot.log import Log
from earshot.model.schema import GAP, RECORD, empty
from earshot.sources import Chunk, GapReport, Item, Source

say = structlog.get_logger(__name__)

REPORT_EVERY_S = 1.0
BUSY_S = 1.0
"""How long a log that cannot be written is left alone."""
BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
RHYTHM = 60
"""Chunks whose spacing teaches the watchdog what is usual."""
QUIET_AT_LEAST_S = 30.0
ENDED = "yes"
"""Cursor of "<connection> ended": a source that ends was read whole, and not yet concluded. Who was
killed in between goes on with what the log has, instead of reading everything a second time."""
LISTENING = ("live", "catching_up", "connecting")
"""States in which silence is odd; in the others it is explained."""
STEADY_S = 60.0
"""A source that ran this long starts its back-off anew."""
UNREADABLE = "unreadable"
"""Format of an item that cannot be a record; decode quarantines it with the reason it carries."""

Sleep = Callable[[float], Awaitable[Any]]


@dataclass(slots=True)
class Health:
    """State of one collector, as it is shown."""

    source: str
    connection: str
    state: str = "connecting"
    detail: str = ""
    records: int = 0
    last_at: float | None = None
    """Monotonic seconds of the newest chunk with records."""
    last_received_at: str = ""
    restarts: int = 0
    spacing: deque[float] = field(default_factory=lambda: deque(maxlen=RHYTHM))
    rate: Rate = field(default_factory=Rate)

    def saw(self, at: float, now: dt.datetime, n: int) -> None:
        """Note that `n` records came."""
        if self.last_at is not None:
            self.spacing.append(at - self.last_at)
        self.last_at, self.last_received_at = at, now.isoformat()
        self.records += n
        self.rate.add(at, n)

    def quiet(self, at: float) -> bool:
        """Whether nothing came for much longer than this source's own rhythm leads to expect."""
        if self.last_at is None or len(self.spacing) < 5 or self.state not in LISTENING:
            return False
        usual = statistics.quantiles(self.spacing, n=20)[-1]
        return at - self.last_at > max(QUIET_AT_LEAST_S, 10 * usual)

    def report(self, at: float) -> str:
        """JSON for `Log.report`."""
        return msgspec.json.encode(
            {
                "source": self.source,
                "connection": self.connection,
                "state": "quiet" if self.quiet(at) else self.state,
                "detail": self.detail,
                "records": self.records,
                "per_second": self.rate.value(at),
                "last_received_at": self.last_received_at,
                "silent_seconds": None if self.last_at is None else round(at - self.last_at, 1),
                "restarts": self.restarts,
            }
        ).decode()


class Collector:
    """Pulls one source into the log, for ever or until it ends.

    What a source yields is logged before the next chunk is asked for, so back-pressure reaches the
    network: a full log holds the source, nothing piles up here.
    """

    def __init__(  # noqa: PLR0913 - who, where to, and what a test hands in
        self,
        source: Source,
        connection: str,
        log: Log,
        clock: Clock,
        *,
        on_chunk: Callable[[int], None] | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._source, self._log, self._clock = source, log, clock
        self._connection, self._on_chunk = connection, on_chunk
        self._ended = f"{connection} ended"
        self._sleep = sleep
        self.health = Health(source.name, connection)
        self.append_s = 0.0
        """Seconds spent in appending to the log."""
        self.first: int | None = None
        self.last: int | None = None
        """Offsets of the first and last record this run appended."""

    async def run(self) -> None:
        """Collect until the source ends or the task is cancelled; failures restart a live one.

        Raises:
            EarshotError: What a source that ends failed with, or wrong use: no restart mends it.
        """
        tries = 0
        while True:
            began = self._clock.monotonic()
            try:
                await self._collect()
            except asyncio.CancelledError:
                self._say_state("stopped", "")
                raise
            except Exception as e:
                if not self._source.capabilities.live or isinstance(e, UsageError):
                    await self._tell("failed", str(e))
                    raise
                self.health.restarts += 1
                tries = 0 if self._clock.monotonic() - began > STEADY_S else tries
                wait = BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]
                tries += 1
                known = isinstance(e, (EarshotError, OSError))
                say.warning(
                    "source failed", connection=self._connection, exc_info=None if known else e
                )
                await self._tell("waiting", f"failed ({e}); tries again in {wait:.0f} s")
                await self._sleep(wait)
            else:
                await self._tell("done", self.health.detail if self.health.state == "done" else "")
                return

    async def watch(self) -> None:
        """Report the state each second, also while nothing comes."""
        while True:
            await asyncio.to_thread(self._report)
            await self._sleep(REPORT_EVERY_S)

    def conclude(self) -> None:
        """Note that all that was collected is stored: the next run collects everything anew."""
        if self._log.cursor(self._ended) == ENDED:
            self._log.append(empty(RECORD), cursors={self._ended: ""})

    async def _collect(self) -> None:
        if await asyncio.to_thread(self._log.cursor, self._ended) == ENDED:
            return
        cursor = await asyncio.to_thread(self._log.cursor, self._connection)
        async with aclosing(self._source.stream(cursor)) as chunks:  # type: ignore[type-var]  # the protocol promises an iterator; all of ours are generators
            async for chunk in chunks:
                await self._take(chunk)

    async def _take(self, chunk: Chunk) -> None:
        if chunk.state:
            await self._tell(chunk.state, chunk.detail)
        now = self._clock.now()
        records = records_of(chunk, self._connection, now)
        gaps = _gaps(chunk.gaps, self._source.name, self._connection)
        if records.height == 0 and chunk.cursor is None and gaps.height == 0:
            return
        cursors = {} if chunk.cursor is None else {self._connection: chunk.cursor}
        if chunk.state == "done" and not self._source.capabilities.live:
            cursors[self._ended] = ENDED
        offsets = await self._append(records, cursors, gaps)
        if records.height:
            self.first = offsets.start if self.first is None else self.first
            self.last = offsets.stop - 1
            self.health.saw(self._clock.monotonic(), now, records.height)
            if self._on_chunk:
                self._on_chunk(records.height)

    async def _append(
        self, records: pl.DataFrame, cursors: dict[str, str], gaps: pl.DataFrame
    ) -> range:
        """Log it, waiting as long as the log is full or cannot be written: the source waits too.

        Raises:
            RetryableError: The log cannot be written, and the source is not a live one.
        """
        before = (self.health.state, self.health.detail)
        while True:
            began = self._clock.monotonic()
            try:
                offsets = await asyncio.to_thread(
                    self._log.append, records, cursors=cursors, gaps=gaps
                )
            except LogFullError as e:
                await self._tell("held", f"{e}; the engine has to catch up")
                await self._sleep(e.retry_after)
            except RetryableError as e:
                if not self._source.capabilities.live:
                    raise
                await self._tell("held", str(e))
                await self._sleep(BUSY_S)
            else:
                self.append_s += self._clock.monotonic() - began
                if self.health.state == "held":
                    await self._tell(*before)
                return offsets

    async def _tell(self, state: str, detail: str) -> None:
        await asyncio.to_thread(self._say_state, state, detail)

    def _say_state(self, state: str, detail: str) -> None:
        if (state, detail) != (self.health.state, self.health.detail):
            say.info("source", connection=self._connection, state=state, detail=detail)
        self.health.state, self.health.detail = state, detail
        self._report()

    def _report(self) -> None:
        """Keep the state where it is looked up; that it cannot be kept stops no collector."""
        try:
            self._log.report(self._connection, self.health.report(self._clock.monotonic()))
        except EarshotError as e:
            say.warning("state not kept", connection=self._connection, why=str(e))


def records_of(chunk: Chunk, connection: str, now: dt.datetime) -> pl.DataFrame:
    """RECORD rows of a chunk, and of what in it cannot be a record."""
    if chunk.quarantine:
        odd = Chunk(items=tuple(_unreadable(item, why) for item, why in chunk.quarantine))
        parts = [chunk.records(connection, now), odd.records(connection, now)]
    else:
        parts = [chunk.records(connection, now)]
    return pl.concat(parts).with_columns(offset=pl.lit(0, pl.Int64)).select(RECORD.names())


def _unreadable(item: Item, reason: str) -> Item:
    headers = msgspec.json.encode({"reason": reason}).decode()
    return Item(item.source, UNREADABLE, item.raw, item.key, headers, item.received_at)


def _gaps(gaps: tuple[GapReport, ...], source: str, connection: str) -> pl.DataFrame:
    return pl.DataFrame(
        [(source, connection, 0, g.since, g.until, g.reason, g.detail) for g in gaps],
        schema=GAP,
        orient="row",
    )
