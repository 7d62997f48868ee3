"""Keeps the windows right: makes dirty minutes again, and the roll-ups above them.

What this process has seen whole is counted as it comes (`engine.minutes`); everything else is read
back from the store. The list of dirty minutes lies in the store, so nothing is lost by a crash.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import polars as pl

from earshot.engine.minutes import Minute, OpenMinutes
from earshot.engine.rollups import PARTS, Key, RollUps, blocks_of
from earshot.engine.spans import series_of, top_of
from earshot.model.changes import DIRTY, DIRTY_AT, KEY, Changes
from earshot.model.schema import STORED
from earshot.model.tokens import Tokens
from earshot.pipeline.score import Weights
from earshot.pipeline.top import totals
from earshot.pipeline.window import COLUMNS, MINUTE, Windows, roll, unobserved, window
from earshot.store import Store

__all__ = ["Flushed", "WindowKeeper", "series_of", "top_of"]

LIMIT: Final = 1000
"""Dirty minutes, and roll-ups of each width, that one flush makes at most."""
READ_COST: Final = dt.timedelta(microseconds=200)
"""A minute read back from the store rests this long for each of its rows before it is made again:
ten times what reading and counting a row takes."""
COUNT_COST: Final = dt.timedelta(microseconds=100)
"""The same for each post counted from memory, so that a minute that fills is never more than a
tenth of the work, however often windows are asked for."""
LAG_COST: Final = 5 * COUNT_COST
"""The same while the engine lags: an edit of an old post may wait until the newest are stored."""
SETTLE: Final = dt.timedelta(minutes=2)
"""How far behind the newest post a minute must have begun to be made while the engine lags."""
MOST_OWED: Final = 2000
"""Roll-ups that wait at most while the engine lags: narrower windows answer meanwhile."""
PATIENCE: Final = dt.timedelta(seconds=10)
"""How long a minute waits at most: for that, or for what was committed to be noted."""

_ON: Final = DIRTY.names()
_NOTHING: Final = pl.DataFrame(schema={**STORED, "rules": pl.List(pl.Int64)})


class Flowed(Protocol):
    """What the pipeline made of a batch."""

    @property
    def changes(self) -> Changes:
        """What was committed."""

    @property
    def tokens(self) -> Tokens:
        """Of all its posts."""

    @property
    def written(self) -> pl.Series:
        """Which of its posts those of `changes` are, in the same order."""


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a flush did."""

    minutes: int
    """Dirty minutes made again, …"""
    from_store: int
    """… of which so many needed the store: all of their posts, or those that were taken back."""
    rolled: int
    """Roll-ups made."""
    left: int
    """Dirty minutes that wait for the next flush."""


class WindowKeeper:
    """Makes and remakes the windows of one store; the only one to do so.

    Args:
        store: Opened to write.
        weights: What counters are worth: the fields of `pipeline.score.Weights`.
    """

    def __init__(self, store: Store, weights: Weights | Mapping[str, float]) -> None:
        self._store = store
        self._weights = weights if isinstance(weights, Weights) else Weights(**weights)
        self._noted = store.offset()
        self._open = OpenMinutes(store, self._weights)
        self._rollups = RollUps(store)
        self._resting: dict[Minute, dt.datetime] = {}
        self._waiting: dict[Minute, dt.datetime] = {}

    def note(self, flowed: Flowed, *, offset: int) -> None:
        """Count a batch that was committed; every committed batch has to be noted, in order.

        Args:
            flowed: The batch.
            offset: What it was committed with.
        """
        self._open.note(flowed.changes, flowed.tokens, flowed.written)
        self._noted = max(self._noted, offset)

    def flush(
        self, now: dt.datetime, *, everything: bool, lagging: bool = False, limit: int = LIMIT
    ) -> Flushed:
        """Make dirty minutes and what rests of the roll-ups; all of them if `everything`.

        Batches may be committed meanwhile: a minute that one of them dirtied is made as far as it
        was noted, and stays dirty.

        Args:
            now: The present, for pacing and the change feed.
            everything: Do not stop at `limit`, and owe no roll-up afterwards.
            lagging: Leave minutes that still fill alone until event time has gone on, and roll-ups
                until the engine has caught up, as long as not too many are owed.
            limit: Most minutes, and most roll-ups of each width, where not everything is made.
        """
        dirty = self._store.dirty()
        ready = dirty if everything else self._ready(dirty, now, lagging=lagging).head(limit)
        from_store, cost = 0, LAG_COST if lagging else COUNT_COST
        for some in ready.iter_slices(limit):
            from_store += self._make(some, dirty, now, cost)
            dirty = self._store.dirty()
        rolled = 0
        if everything or not lagging or len(self._rollups) > MOST_OWED:
            rolled = self._roll(now, dirty, everything=everything, limit=limit)
        return Flushed(ready.height, from_store, rolled, dirty.height)

    def _ready(self, dirty: pl.DataFrame, now: dt.datetime, *, lagging: bool) -> pl.DataFrame:
        """Without minutes that cost so much that they rest for a while, or wait for more posts."""
        self._resting = {m: until for m, until in self._resting.items() if until > now}
        early = dirty.filter(pl.col("offset") > self._noted).select(_ON).rows()
        early += self._filling(dirty) if lagging else []
        since = {m: self._waiting.get(m, now) for m in early}
        self._waiting = {m: s for m, s in since.items() if now < s + PATIENCE}
        still = pl.DataFrame(list(self._resting.keys() | self._waiting.keys()), DIRTY, orient="row")
        return dirty.join(still, on=_ON, how="anti", maintain_order="left")

    def _filling(self, dirty: pl.DataFrame) -> list[Minute]:
        """Those of these minutes that event time has not left behind, as far as it is known."""
        newest = self._open.newest()
        minutes: list[Minute] = dirty.select(_ON).rows()
        return [m for m in minutes if m[1] not in newest or newest[m[1]] < m[0] + SETTLE]

    def _make(
        self, minutes: pl.DataFrame, dirty: pl.DataFrame, now: dt.datetime, cost: dt.timedelta
    ) -> int:
        """Make these minutes again, in one transaction; returns how many needed the store.

        Args:
            minutes: DIRTY_AT.
            dirty: All that are dirty: what of it is not made now stays in memory.
            now: The present.
            cost: How long minutes rest afterwards, for each post.
        """
        clean = minutes.with_columns(pl.min_horizontal("offset", pl.lit(self._noted)))
        minutes = minutes.select(_ON)
        posts_known, scores_known = self._open.known(minutes)
        unknown = minutes.filter(~posts_known)
        posts_back, scores_back = self._open.taken_back(minutes)
        parts = self._open.counted(minutes)
        self._rest(parts, now, cost)
        parts += self._read(unknown, minutes.filter(~scores_known), now)
        parts += self._read_some(posts_back, scores_back)
        made = roll(parts, MINUTE)
        changed = pl.concat([f.select(_ON) for f in (unknown, posts_back, scores_back)])
        old = self._store.windows_there(MINUTE, changed.select(start="minute", source="source"))
        blocks = blocks_of(made, MINUTE, instead_of=old)
        blocks += self._rollups.owe(minutes, now)
        self._store.put_windows(blocks, clean=clean, at=now)
        waiting = dirty.select(_ON).join(minutes, on=_ON, how="anti")
        self._open.forget(but=set(waiting.iter_rows()))
        return unknown.height + posts_back.select(_ON).n_unique()

    def _rest(self, counted: list[Windows], now: dt.datetime, cost: dt.timedelta) -> None:
        """Let minutes that were counted from memory rest by what that took."""
        for windows in counted:
            posts = windows.keys.with_columns(totals(windows.blocks)["posts"]).filter(rule=0)
            for start, source, n in posts.select("start", "source", "posts").iter_rows():
                self._resting[start, source] = now + n * cost

    def _read(self, posts: pl.DataFrame, observed: pl.DataFrame, now: dt.datetime) -> list[Windows]:
        """Count what the store has of these minutes, page by page."""
        parts, sizes = [], dict.fromkeys(posts.iter_rows(), 0)
        if posts.height:
            for page in self._store.by_minutes(posts, columns=COLUMNS):
                parts.append(window(page, unobserved(page), self._weights))
                _tally(sizes, page.select(pl.col("event_time").dt.truncate("1m"), "source"))
        if observed.height:
            for page in self._store.observed_in(observed, columns=COLUMNS):
                parts.append(window(_NOTHING, page, self._weights))
                _tally(sizes, page.select("minute", "source"))
        self._resting |= {m: now + n * READ_COST for m, n in sizes.items()}
        return parts

    def _read_some(self, posts: pl.DataFrame, observed: pl.DataFrame) -> list[Windows]:
        """Count what the store has of single posts (KEY) in some minutes."""
        parts, keys = list[Windows](), KEY.names()
        if posts.height:
            some = self._store.by_minutes(posts, columns=COLUMNS, keys=posts.select(keys))
            parts += [window(page, unobserved(page), self._weights) for page in some]
        if observed.height:
            some = self._store.observed_in(observed, columns=COLUMNS, keys=observed.select(keys))
            parts += [window(_NOTHING, page, self._weights) for page in some]
        return parts

    def _roll(self, now: dt.datetime, dirty: pl.DataFrame, *, everything: bool, limit: int) -> int:
        """Make the roll-ups that are due; of each width in transactions of bounded size."""
        rolled = 0
        for width in PARTS:
            found = self._rollups.due(now, dirty, self._open.newest(), everything=everything)
            due = [k for k in found if k[0] == width]
            chunk = max(1, limit * MINUTE // width)
            for first in range(0, len(due) if everything else min(len(due), chunk), chunk):
                rolled += self._put(due[first : first + chunk], now)
        self._rollups.settle()
        return rolled

    def _put(self, keys: list[Key], now: dt.datetime) -> int:
        for blocks in self._rollups.make(keys, now):
            if blocks:
                self._store.put_windows(blocks, clean=pl.DataFrame(schema=DIRTY_AT), at=now)
        return len(keys)


def _tally(sizes: dict[Minute, int], rows: pl.DataFrame) -> None:
    for minute, source, n in rows.group_by(rows.columns).len().iter_rows():
        sizes[minute, source] = sizes.get((minute, source), 0) + n
