"""Keeps the windows right: makes dirty minutes again, and the roll-ups above them.

What this process has seen whole is counted as it comes (`engine.minutes`); everything else is read
back from the store. The list of dirty minutes lies in the store, so nothing is lost by a crash.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import polars as pl

from earshot.engine.minutes import OpenMinutes
from earshot.engine.rollups import PARTS, Key, RollUps, blocks_of
from earshot.engine.spans import series_of, top_of
from earshot.model.changes import DIRTY, KEY, Changes
from earshot.model.schema import STORED
from earshot.pipeline.score import Weights
from earshot.pipeline.window import COLUMNS, MINUTE, Windows, roll, unobserved, window
from earshot.store import Store

__all__ = ["Flushed", "WindowKeeper", "series_of", "top_of"]

LIMIT: Final = 1000
"""Dirty minutes, and roll-ups of each width, that one flush makes at most."""
COST: Final = dt.timedelta(microseconds=200)
"""A minute read back from the store rests this long for each of its rows before it is read again:
ten times what reading and counting a row takes."""

_NOTHING: Final = pl.DataFrame(schema={**STORED, "rules": pl.List(pl.Int64)})


class Flowed(Protocol):
    """What the pipeline made of a batch."""

    @property
    def changes(self) -> Changes:
        """What was committed."""


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
        self._open = OpenMinutes(store, self._weights)
        self._rollups = RollUps(store)
        self._resting: dict[tuple[dt.datetime, str], dt.datetime] = {}

    def note(self, flowed: Flowed) -> None:
        """Count a batch that was just committed; every committed batch has to be noted."""
        self._open.note(flowed.changes)

    def flush(self, now: dt.datetime, *, everything: bool, limit: int = LIMIT) -> Flushed:
        """Make dirty minutes and what rests of the roll-ups; all of them if `everything`.

        Args:
            now: The present, for pacing and the change feed.
            everything: Do not stop at `limit`, and owe no roll-up afterwards.
            limit: Most minutes, and most roll-ups of each width, where not everything is made.
        """
        minutes, from_store = 0, 0
        while True:
            dirty = self._store.dirty()
            ready = dirty if everything else self._ready(dirty, now)
            if ready.is_empty():
                break
            from_store += self._make(ready.head(limit), dirty, now)
            minutes += min(limit, ready.height)
            if not everything:
                dirty = self._store.dirty()
                break
        rolled = self._roll(now, dirty, everything=everything, limit=limit)
        return Flushed(minutes, from_store, rolled, dirty.height)

    def _ready(self, dirty: pl.DataFrame, now: dt.datetime) -> pl.DataFrame:
        """Without the minutes that cost so much that they rest for a while."""
        self._resting = {m: until for m, until in self._resting.items() if until > now}
        resting = pl.DataFrame(list(self._resting), DIRTY, orient="row")
        return dirty.join(resting, on=DIRTY.names(), how="anti", maintain_order="left")

    def _make(self, minutes: pl.DataFrame, dirty: pl.DataFrame, now: dt.datetime) -> int:
        """Make these minutes again, in one transaction; returns how many needed the store.

        Args:
            minutes: DIRTY.
            dirty: All that are dirty: what of it is not made now stays in memory.
            now: The present.
        """
        posts_known, scores_known = self._open.known(minutes)
        unknown = minutes.filter(~posts_known)
        posts_back, scores_back = self._open.taken_back(minutes)
        parts = self._open.counted(minutes)
        parts += self._read(unknown, minutes.filter(~scores_known), now)
        parts += self._read_some(posts_back, scores_back)
        made = roll(parts, MINUTE)
        changed = pl.concat([f.select(DIRTY.names()) for f in (unknown, posts_back, scores_back)])
        old = self._store.windows_there(MINUTE, changed.select(start="minute", source="source"))
        blocks = blocks_of(made, MINUTE, instead_of=old)
        blocks += self._rollups.owe(made, minutes, now)
        self._store.put_windows(blocks, clean=minutes, at=now)
        waiting = dirty.join(minutes, on=DIRTY.names(), how="anti")
        self._open.forget(but=set(waiting.iter_rows()))
        return unknown.height + posts_back.select(DIRTY.names()).n_unique()

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
        self._resting |= {m: now + n * COST for m, n in sizes.items()}
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
            due = [k for k in self._rollups.due(now, dirty, everything=everything) if k[0] == width]
            chunk = max(1, limit * MINUTE // width)
            for first in range(0, len(due) if everything else min(len(due), chunk), chunk):
                rolled += self._put(due[first : first + chunk], now)
        self._rollups.settle()
        return rolled

    def _put(self, keys: list[Key], now: dt.datetime) -> int:
        blocks = self._rollups.make(keys, now)
        self._store.put_windows(blocks, clean=pl.DataFrame(schema=DIRTY), at=now)
        return len(keys)


def _tally(sizes: dict[tuple[dt.datetime, str], int], rows: pl.DataFrame) -> None:
    for minute, source, n in rows.group_by(rows.columns).len().iter_rows():
        sizes[minute, source] = sizes.get((minute, source), 0) + n
