"""Minutes that this process has seen whole, counted as they came: they need no reading back.

A minute may be counted here when nothing of it was stored before this process began. Posts are
counted batch by batch; batches of a minute merge exactly. Whatever would have to be taken back (an
edit, a delete, a post that comes twice) spoils its minute, which is then made from the store.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from earshot.clock import micros
from earshot.model.changes import DIRTY, KEY, Changes
from earshot.model.hashing import key_hash
from earshot.model.schema import COUNTERS
from earshot.pipeline.block import tidy
from earshot.pipeline.hashes import I64, U64
from earshot.pipeline.score import Weights
from earshot.pipeline.window import Windows, chosen, roll, window
from earshot.store import Store

MOST_PAIRS: Final = 4_000_000
"""(value, author) pairs that are kept at most; beyond, the oldest minutes are given up."""
_MINUTE_US: Final = 60_000_000

Minute = tuple[int, str]
"""Microseconds of the start, and the source."""


class OpenMinutes:
    """Counts what is committed, minute by minute, as long as nothing has to be taken back."""

    def __init__(self, store: Store, weights: Weights) -> None:
        self._store, self._weights = store, weights
        bounds = store.bounds()
        self._after = micros(bounds[1]) if bounds else -1
        """Minutes that begin at or before this may hold posts of an earlier process."""
        self._posts = _Part()
        self._scores = _Part()
        self._spent: set[Minute] = set(_pairs(store.dirty()))
        self._keys = _KeyTable()

    def note(self, changes: Changes) -> None:
        """Count a batch that was just committed. Every batch has to be noted."""
        posts = _with_rules(changes)
        keys = key_hash(posts["source"], posts["id"])
        minutes = _minute_of(posts)
        self._open(minutes)
        self._spoil(changes, keys, minutes)
        whole = _is_in(minutes, self._posts.open)
        self._score(changes.observations, posts.filter(whole))
        nothing = posts.clear().with_columns(_NOT_OBSERVED)
        self._posts.add(window(posts.filter(whole), nothing, self._weights))
        self._bound()

    def known(self, minutes: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Of these DIRTY rows: whether all posts, and whether all scores, were counted here."""
        return _is_in(minutes, self._posts.open), _is_in(minutes, self._scores.open)

    def counted(self, minutes: pl.DataFrame) -> list[Windows]:
        """What was counted of these DIRTY rows; posts and scores where they are known."""
        wanted = set(_pairs(minutes))
        return [self._posts.take(wanted), self._scores.take(wanted)]

    def forget(self, before: dict[str, int]) -> None:
        """Give up the minutes of each source that begin before these microseconds."""
        for part in (self._posts, self._scores):
            self._give_up({m for m in part.open if m[0] < before.get(m[1], m[0])})

    def _open(self, minutes: pl.DataFrame) -> None:
        for minute in _pairs(minutes.unique()):
            if minute[0] > self._after and minute not in self._spent:
                self._posts.open.add(minute)

    def _spoil(self, changes: Changes, keys: U64, minutes: pl.DataFrame) -> None:
        """Give up minutes of which something is taken back or comes a second time."""
        twice = self._keys.put(keys, minutes["minute"].dt.epoch("us").to_numpy())
        touched = pl.concat(
            [changes.tombstones.select(KEY.names()), changes.flags.select(KEY.names()),
             changes.scrubbed.select(KEY.names())]
        )  # fmt: skip
        found = self._keys.find(key_hash(touched["source"], touched["id"]))
        sources = pl.concat([minutes["source"], touched["source"]]).to_list()
        when = np.concatenate([twice, found]).tolist()
        bad = {(t, s) for t, s in zip(when, sources, strict=True) if t >= 0}
        shown = (~changes.flags["hidden"]).to_numpy()
        first = changes.tombstones.height
        if (shown & (found[first : first + len(shown)] < 0)).any():
            bad |= set(_pairs(changes.dirty))  # posts that were hidden before this process began
        self._give_up(bad)

    def _score(self, observations: pl.DataFrame, fresh: pl.DataFrame) -> None:
        """Count the scores of posts seen for the first time; others need what was seen before."""
        if observations.height == 0:
            return
        seen = observations.rename({c: f"seen_{c}" for c in COUNTERS})
        seen = fresh.join(seen, on=KEY.names(), how="inner").with_columns(
            pl.lit(None, pl.Int64).alias(f"before_{c}") for c in COUNTERS
        )
        sizes = observations.group_by("minute", "source").len()
        mine = seen.group_by("minute", "source").agg(mine=pl.len())
        sizes = sizes.join(mine, on=["minute", "source"], how="left").fill_null(0)
        for start, source, size, own in sizes.iter_rows():
            minute = (micros(start), source)
            if minute in self._spent_scores:
                continue
            first = minute not in self._scores.open
            if size != own or (first and not self._is_first(start, source, size)):
                self._scores.give_up({minute})
                self._spent_scores.add(minute)
            else:
                self._scores.open.add(minute)
        seen = seen.filter(_is_in(seen, self._scores.open))
        self._scores.add(window(fresh.clear(), seen, self._weights))

    @property
    def _spent_scores(self) -> set[Minute]:
        return self._scores.spent

    def _is_first(self, start: dt.datetime, source: str, size: int) -> bool:
        """Whether nothing was observed in this minute but what was just committed."""
        minute = pl.DataFrame({"minute": [start], "source": [source]}, schema=DIRTY)
        stored = 0
        for page in self._store.observed_in(minute):
            stored += page.height
            if stored > size:
                return False
        return True

    def _give_up(self, minutes: set[Minute]) -> None:
        self._spent |= minutes & self._posts.open
        self._scores.spent |= minutes & self._scores.open
        self._posts.give_up(minutes)
        self._scores.give_up(minutes)
        if len(self._spent) > 200_000:
            self._after = max(self._after, *(start for start, _ in self._spent))
            self._spent.clear()

    def _bound(self) -> None:
        if self._posts.pairs() + self._scores.pairs() > MOST_PAIRS:
            starts = sorted(self._posts.open | self._scores.open)
            self._give_up(set(starts[: len(starts) // 2 + 1]))
        self._keys.shrink({start for start, _ in self._posts.open})
