"""Demo: a synthetic world, the same for the same seed, in the native formats of the networks.

`demo:?seed=7&rate=20&people=3000` goes on in real time; with `limit=N` it ends after N records and
is as fast as it can be made (`speed=max`), for load. Nobody and nothing in it is real.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import msgspec
import numpy as np
import polars as pl

from earshot.clock import Clock, from_micros, micros
from earshot.errors import ConfigError
from earshot.sources import RECORDS, Capabilities, Chunk
from earshot.sources._world import noise
from earshot.sources._world.plot import MICROS, Law
from earshot.sources._world.records import records
from earshot.sources._world.truth import Truth
from earshot.sources._world.truth import truth as _truth

START: Final = dt.datetime(2025, 6, 2, 8, 0, tzinfo=dt.UTC)
"""When the world begins where it does not follow the clock."""
LIVE: Final = 15.0
"""Posts a second of a world that is looked at."""
LOAD: Final = 1000.0
"""Posts a second of event time of a world that makes load."""
_TICK: Final = 0.25
"""Seconds of records that are handed over together when live."""
_CHUNK: Final = 4096
_SPARSE: Final = 0.3
"""Density at the beginning of what is filled in before a live start."""
_DENSE: Final = 20 * 60
"""Seconds before now from which on what is filled in is as dense as what follows."""
_ARCHIVE: Final = '{"archive":true}'

Sleep = Callable[[float], Awaitable[Any]]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the URL may say."""

    seed: int = 7
    rate: float | None = None
    """Posts a second, on the average of a day; None: `LIVE`, or `LOAD` where there is a limit."""
    people: int = 3000
    start: dt.datetime | None = None
    """When the world begins; None: now, or `START` where there is a limit."""
    limit: int | None = None
    """Records after which it ends; None: it goes on in real time."""
    speed: str = "max"
    """With a limit: `max`, or a factor of the world's own time."""
    backfill: float = 1.5
    """Hours before a live start that are filled in, thinner the longer ago."""


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where to go on: a record of a step."""

    step: int
    done: int = 0
    """Records of the step handed over."""
    items: int = 0
    """Records handed over in all."""
    live_from: int = 0
    """µs: what happened before was filled in."""
    ended: bool = False


class Demo:
    """The world, as a source. See `Source`."""

    name = "demo"

    def __init__(self, options: Options, clock: Clock, sleep: Sleep) -> None:
        self.options, self._clock, self._sleep = options, clock, sleep
        usual = LIVE if options.limit is None else LOAD
        self.law = Law(options.seed, options.rate or usual, options.people)
        self.capabilities = Capabilities(live=options.limit is None, resumable=True)
        self.items_done = 0
        """Records handed over; of `options.limit`, where there is one."""

    async def stream(self, cursor: str | None) -> AsyncIterator[Chunk]:
        """See `Source.stream`: the same records in the same order for the same law and cursor."""
        at = msgspec.json.decode(cursor, type=Cursor) if cursor else None
        chunks = self._live(at) if self.options.limit is None else self._load(at)
        async for chunk in chunks:
            yield chunk

    async def _load(self, at: Cursor | None) -> AsyncIterator[Chunk]:
        """So many records, then the end; run again, all of it again.

        Steps are made in a thread: one may take a tenth of a second, and others share the loop.
        """
        limit = self.options.limit or 0
        start = micros(self.options.start or START)
        if at is None or at.ended:
            at = Cursor(start // self.law.step)
        yield Chunk(state="catching_up", detail=f"making {limit:,} records of the demo world")
        began, first = self._clock.monotonic(), at.step * self.law.step
        speed = _speed(self.options.speed)
        while at.items < limit:
            frame = await asyncio.to_thread(records, self.law, at.step)
            wanted = min(frame.height, at.done + limit - at.items)
            for low, high in _ranges(frame["at"].to_numpy(), at.done, wanted, speed):
                if speed:
                    due = began + (int(frame["at"][high - 1]) - first) / MICROS / speed
                    await self._sleep(max(0.0, due - self._clock.monotonic()))
                else:
                    await self._sleep(0)
                at = msgspec.structs.replace(at, done=high, items=at.items + high - low)
                yield self._chunk(frame[low:high], at, archive=True)
            if at.done >= frame.height:
                at = msgspec.structs.replace(at, step=at.step + 1, done=0)
        end = msgspec.structs.replace(at, ended=True)
        yield Chunk(cursor=_encode(end), state="done", detail=f"{at.items:,} records made")

    async def _live(self, at: Cursor | None) -> AsyncIterator[Chunk]:
        """Fill in what was before, then go on with the clock."""
        now = micros(self._clock.now())
        oldest = now - round(self.options.backfill * 3600 * MICROS)
        if at is None or (at.step + 1) * self.law.step < oldest:
            at = Cursor(oldest // self.law.step, live_from=now)
        state = ""
        while True:
            frame = await asyncio.to_thread(records, self.law, at.step)
            if (at.step + 1) * self.law.step <= micros(self._clock.now()):
                if state != "catching_up":
                    state = "catching_up"
                    yield Chunk(state=state, detail="filling in the last hours of the demo world")
                yield self._filled(frame, at)
                await self._sleep(0)
            else:
                if state != "live":
                    state, over = "live", _happened(frame, self._clock.now())
                    if over > at.done:
                        done, at = at.done, self._after(at, over)
                        yield self._chunk(frame[done:over], at, archive=True)
                    yield Chunk(state=state, detail=_describe(self.law))
                async for chunk, after in self._paced(frame, at):
                    at = after
                    yield chunk
            at = msgspec.structs.replace(at, step=at.step + 1, done=0, items=self.items_done)

    def _filled(self, frame: pl.DataFrame, at: Cursor) -> Chunk:
        """What is left of a step that is over, at once; thinned before a live start."""
        rest = frame[at.done :]
        when = rest["at"].to_numpy()
        span = self.options.backfill * 3600 - _DENSE
        gone = (at.live_from - when) / MICROS - _DENSE
        density = np.clip(1 - (1 - _SPARSE) * gone / max(1.0, span), _SPARSE, 1.0)
        # By row, so that what comes twice is kept or left out twice.
        key = rest["row"].to_numpy() + (at.step << 20)
        kept = (when >= at.live_from) | noise.chance(key, self.law.seed, density)
        after = Cursor(at.step + 1, items=self.items_done + int(kept.sum()), live_from=at.live_from)
        return self._chunk(rest.filter(pl.Series(kept)), after, archive=True)

    async def _paced(self, frame: pl.DataFrame, at: Cursor) -> AsyncIterator[tuple[Chunk, Cursor]]:
        """The rest of a step, each record when it happens."""
        when = frame["at"].to_numpy()
        low = at.done
        while low < len(when):
            now = micros(self._clock.now())
            high = _happened(frame, self._clock.now())
            if high <= low:
                await self._sleep(max(_TICK, (int(when[low]) - now) / MICROS))
                continue
            high = min(high, low + _CHUNK)
            at = self._after(at, high)
            yield self._chunk(frame[low:high], at, archive=False), at
            low = high

    def _after(self, at: Cursor, done: int) -> Cursor:
        """The cursor when so many records of its step are handed over."""
        return msgspec.structs.replace(at, done=done, items=self.items_done + done - at.done)

    def _chunk(self, frame: pl.DataFrame, after: Cursor, *, archive: bool) -> Chunk:
        """Records with their cursor."""
        self.items_done = after.items
        columns = frame.select(
            "source",
            pl.lit("").alias("connection"),
            "format",
            pl.lit(self._clock.now()).cast(RECORDS["received_at"]).alias("received_at"),
            pl.lit("").alias("key"),
            pl.lit(_ARCHIVE if archive else "").alias("headers"),
            "raw",
        )
        return Chunk(frame=columns, cursor=_encode(after))


def _happened(frame: pl.DataFrame, now: dt.datetime) -> int:
    """How many records of a step have happened."""
    return int(np.searchsorted(frame["at"].to_numpy(), micros(now), side="right"))


def _ranges(when: noise.I64, low: int, high: int, speed: float | None) -> "list[tuple[int, int]]":
    """Ranges that are handed over together: by number, or by time where it is kept."""
    if low >= high:
        return []
    if speed is None:
        starts = list(range(low, high, _CHUNK))
    else:
        tick = (when[low:high] / (_TICK * MICROS * speed)).astype(np.int64)
        starts = [low, *(low + 1 + np.flatnonzero(np.diff(tick))).tolist()]
    return list(zip(starts, [*starts[1:], high], strict=True))


def _encode(cursor: Cursor) -> str:
    """A cursor as others keep it."""
    return msgspec.json.encode(cursor).decode()


def _describe(law: Law) -> str:
    """What people are told."""
    return f"a made-up world of {law.people:,} people (seed {law.seed})"


def _speed(text: str) -> float | None:
    """`max` is None, `10x` and `10` are 10."""
    if text == "max":
        return None
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        msg = f"demo: speed '{text}' is no speed"
        raise ConfigError(msg, hint="max, or a factor such as 1x or 1000x")
    return speed


def connect(
    url: str,
    *,
    clock: Clock,
    sleep: Sleep = asyncio.sleep,
    **options: Any,  # noqa: ANN401 - the same names as in the URL's query, checked here
) -> Demo:
    """Open `demo:?seed=7&rate=20&people=3000&limit=100000`; see `Options` for all.

    Raises:
        ConfigError: An option is unknown or makes no sense.
    """
    given = {**dict(parse_qsl(url.partition("?")[2])), **options}
    try:
        checked = msgspec.convert(given, Options, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(Options.__struct_fields__)
        msg = f"demo: {error} (known options: {known})"
        raise ConfigError(msg) from error
    _speed(checked.speed)
    rate = LIVE if checked.rate is None else checked.rate
    if rate <= 0 or checked.people < 100 or checked.backfill < 0:
        msg = "demo: rate must be above 0, people at least 100, backfill not below 0"
        raise ConfigError(msg)
    if checked.start and checked.start.tzinfo is None:
        checked = msgspec.structs.replace(checked, start=checked.start.replace(tzinfo=dt.UTC))
    return Demo(checked, clock, sleep)


def truth(
    seed: int, since: dt.datetime, until: dt.datetime, *, rate: float = LIVE, people: int = 3000
) -> Truth:
    """What was planted in a world between two moments: bursts, communities, copied texts."""
    return _truth(Law(seed, rate, people), micros(since), micros(until))


def write(
    folder: Path, n: int, seed: int, *, rate: float = LOAD, people: int = 3000
) -> dict[str, int]:
    """Write `n` records of a world as one file a format, and what was planted as truth.json.

    Args:
        folder: Is made if it is not there.
        n: How many records.
        seed: Of the world, which begins at `START`.
        rate: Posts a second of event time.
        people: How many live there.

    Returns:
        How many records went into the file of each format, `<format>.jsonl`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    law = Law(seed, rate, people)
    step, left, counts = micros(START) // law.step, n, dict[str, int]()
    first = step
    while left:
        frame = records(law, step).head(left)
        left, step = left - frame.height, step + 1
        for (name,), part in frame.group_by("format", maintain_order=True):
            file = str(name)
            counts[file] = counts.get(file, 0) + part.height
            with (folder / f"{file}.jsonl").open("ab" if counts[file] > part.height else "wb") as f:
                f.write(b"\n".join(cast("list[bytes]", part["raw"].to_list())) + b"\n")
    planted = _truth(law, first * law.step, step * law.step)
    span = {"since": from_micros(first * law.step), "until": from_micros(step * law.step)}
    told = {"seed": seed, "records": n, **span, **planted.to_json()}
    (folder / "truth.json").write_bytes(msgspec.json.encode(told))
    return counts


def contract_url(folder: Path) -> str:
    """For the contract test: a small world that ends."""
    del folder
    return "demo:?seed=3&limit=120&people=300"
