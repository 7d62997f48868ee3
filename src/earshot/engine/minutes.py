"""Minutes that this process has seen whole, counted as they came: they need no reading back.

A minute may be counted here when nothing of it was stored before this process began. Posts are
counted batch by batch; batches of a minute merge exactly. Whatever would have to be taken back (an
edit, a delete, a post that comes twice) spoils its minute, which is then made from the store.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from earshot.clock import from_micros, micros
from earshot.model.changes import DIRTY, KEY, Changes
from earshot.model.hashing import key_hash
from earshot.model.schema import COUNTERS
from earshot.pipeline.hashes import I64, U64
from earshot.pipeline.score import Weights
from earshot.pipeline.window import COLUMNS, MINUTE, Windows, chosen, roll, unobserved, window
from earshot.store import Store

MOST_PAIRS: Final = 4_000_000
"""(value, author) pairs that are kept at most; beyond, the older half of the minutes goes."""
MOST_KEYS: Final = 2_000_000
MOST_SPENT: Final = 100_000
_ON: Final = DIRTY.names()

Minute = tuple[dt.datetime, str]
"""Start of a minute, and the source."""


class OpenMinutes:
    """Counts what is committed, minute by minute, as long as nothing has to be taken back."""

    def __init__(self, store: Store, weights: Weights) -> None:
        self._store, self._weights = store, weights
        bounds = store.bounds()
        self._after = bounds[1] if bounds else from_micros(0)
        """Minutes that begin at or before this may hold posts of an earlier process."""
        self._posts, self._scores = _Part(), _Part()
        self._posts.spent |= set(store.dirty().iter_rows())
        self._keys = _Keys()

    def note(self, changes: Changes) -> None:
        """Count a batch that was just committed. Every batch has to be noted, in order."""
        posts = _with_rules(changes)
        minutes = posts.select(minute=_minute("event_time"), source="source")
        for minute in minutes.unique().iter_rows():
            if minute[0] > self._after and self._posts.may_start(minute):
                self._posts.open.add(minute)
        self._spoil(changes, posts, minutes)
        whole = _is_in(minutes, self._posts.open)
        fresh = posts if whole.all() else posts.filter(whole)
        self._posts.add(window(fresh, unobserved(posts), self._weights))
        self._note_scores(changes.observations, fresh)
        self._bound()

    def known(self, minutes: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Of these DIRTY rows: whether all posts, and whether all scores, were counted here."""
        return _is_in(minutes, self._posts.open), _is_in(minutes, self._scores.open)

    def counted(self, minutes: pl.DataFrame) -> list[Windows]:
        """What was counted in these DIRTY rows, of posts and of scores, where it is `known`."""
        return [self._posts.take(minutes), self._scores.take(minutes)]

    def forget(self, before: Mapping[str, dt.datetime]) -> None:
        """Give up the minutes of each source that begin before this; they are not opened again."""
        for part in (self._posts, self._scores):
            part.give_up({m for m in part.open if m[0] < before.get(m[1], m[0])})

    def _spoil(self, changes: Changes, posts: pl.DataFrame, minutes: pl.DataFrame) -> None:
        """Give up minutes of which something is taken back or comes a second time."""
        keys = key_hash(posts["source"], posts["id"])
        event, seen = self._keys.put(keys, minutes["minute"].dt.epoch("us").to_numpy())
        self._give_up(event, seen, minutes["source"])
        if (event >= 0).any():
            self._posts.give_up(set(minutes.filter(pl.Series(event >= 0)).iter_rows()))
        taken_back = (changes.tombstones, changes.scrubbed, changes.flags, changes.promoted)
        touched = pl.concat([frame.select(KEY.names()) for frame in taken_back])
        if touched.is_empty():
            return
        event, seen = self._keys.find(key_hash(touched["source"], touched["id"]))
        self._give_up(event, seen, touched["source"])
        shown = changes.flags.filter(~pl.col("hidden"))
        rising = pl.concat([shown.select(KEY.names()), changes.promoted.select(KEY.names())])
        event, _ = self._keys.find(key_hash(rising["source"], rising["id"]))
        if (event < 0).any():
            # They count from now on, and lay hidden since before this process began.
            dirty = set(changes.dirty.iter_rows())
            self._posts.give_up(dirty)
            self._scores.give_up(dirty)

    def _give_up(self, event: I64, seen: I64, source: pl.Series) -> None:
        self._posts.give_up(_minutes_at(event, source))
        self._give_up_seen(seen, source)

    def _give_up_seen(self, seen: I64, source: pl.Series) -> None:
        self._scores.give_up(_minutes_at(seen, source))

    def _note_scores(self, observations: pl.DataFrame, fresh: pl.DataFrame) -> None:
        """Count the scores of posts seen for the first time; others need what was seen before."""
        if observations.height == 0:
            return
        _, seen = self._keys.find(key_hash(observations["source"], observations["id"]))
        self._give_up_seen(seen, observations["source"])  # these may have another "before" now
        once = observations.filter(pl.struct(KEY.names()).is_unique())
        first = fresh.join(
            once.rename({c: f"seen_{c}" for c in COUNTERS}), on=KEY.names(), how="inner"
        ).with_columns(pl.lit(None, pl.Int64).alias(f"before_{c}") for c in COUNTERS)
        self._start_scores(observations, first)
        first = first.filter(_is_in(first, self._scores.open))
        keys = key_hash(first["source"], first["id"])
        self._keys.note_seen(keys, first["minute"].dt.epoch("us").to_numpy())
        self._scores.add(window(fresh.clear(), first, self._weights))

    def _start_scores(self, observations: pl.DataFrame, first: pl.DataFrame) -> None:
        """Open the minutes in which only these `first` sights were seen; give up all others."""
        sizes = observations.group_by(_ON).len("all")
        sizes = sizes.join(first.group_by(_ON).len("mine"), on=_ON, how="left").fill_null(0)
        for start, source, total, mine in sizes.select(*_ON, "all", "mine").iter_rows():
            minute = (start, source)
            if total == mine and self._scores.may_start(minute) and self._only(minute, total):
                self._scores.open.add(minute)
            elif total != mine or minute not in self._scores.open:
                self._scores.give_up({minute})
                self._scores.spent.add(minute)

    def _only(self, minute: Minute, size: int) -> bool:
        """Whether as many posts, and no more, are known to be observed in this minute."""
        stored = 0
        for page in self._store.observed_in(pl.DataFrame([minute], DIRTY, orient="row")):
            stored += page.height
            if stored > size:
                break
        return stored == size

    def _bound(self) -> None:
        """Keep memory within its limits: the oldest minutes are made from the store instead."""
        for part in (self._posts, self._scores):
            if part.pairs() > MOST_PAIRS or len(self._keys) > MOST_KEYS:
                oldest = sorted(part.open)
                part.give_up(set(oldest[: len(oldest) // 2 + 1]))
                part.trim()
            if len(part.spent) > MOST_SPENT:
                self._after = max(self._after, *(start for start, _ in part.spent))
                part.spent.clear()
        if len(self._keys) > MOST_KEYS or self._keys.crowded:
            self._keys.keep({micros(m) for p in (self._posts, self._scores) for m, _ in p.open})


class _Part:
    """What was counted of posts, or of scores, in the minutes that are whole."""

    def __init__(self) -> None:
        self.open: set[Minute] = set()
        self.spent: set[Minute] = set()
        """Minutes that are not whole, or not any more."""
        self._windows: list[Windows] = []

    def may_start(self, minute: Minute) -> bool:
        return minute not in self.open and minute not in self.spent

    def give_up(self, minutes: set[Minute]) -> None:
        self.spent |= minutes & self.open
        self.open -= minutes

    def add(self, windows: Windows) -> None:
        if windows.keys.height:
            self._windows.append(windows)

    def pairs(self) -> int:
        return sum(len(w.blocks.pair) for w in self._windows)

    def take(self, minutes: pl.DataFrame) -> Windows:
        """Merge what was counted in these minutes; it stays known while they are open."""
        self.trim()
        wanted = self.open & set(minutes.iter_rows())
        whole, rest = [], []
        for part in self._windows:
            keep = _is_in(_minutes_of(part), wanted)
            whole += _some(part, keep)
            rest += _some(part, ~keep)
        merged = roll(whole, MINUTE)
        self._windows = rest
        self.add(merged)
        return merged

    def trim(self) -> None:
        """Let go of what is not open any more."""
        parts = self._windows
        self._windows = [k for p in parts for k in _some(p, _is_in(_minutes_of(p), self.open))]


class _Keys:
    """Posts of open minutes by the hash of their key: minute of the event, minute seen."""

    def __init__(self) -> None:
        self._table = np.zeros(1 << 14, np.uint64)
        self._minutes = np.empty((1 << 14, 2), np.int64)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    @property
    def crowded(self) -> bool:
        return 4 * self._used > len(self._table)

    def put(self, keys: U64, event: I64) -> tuple[I64, I64]:
        """Note the minute of each key; returns the minutes noted before (-1: none)."""
        self._room(len(keys))
        before, new = _put(self._table, self._minutes, keys, event)
        self._used += new
        return before[:, 0], before[:, 1]

    def find(self, keys: U64) -> tuple[I64, I64]:
        """Minutes noted for these keys (-1: none)."""
        places = _find(self._table, keys)
        known = np.where(places[:, None] >= 0, self._minutes[places], -1)
        return known[:, 0], known[:, 1]

    def note_seen(self, keys: U64, seen: I64) -> None:
        """Note the minute in which these keys, all known, were observed."""
        self._minutes[_find(self._table, keys), 1] = seen

    def keep(self, minutes: set[int]) -> None:
        """Forget the keys of all other minutes."""
        live = self._table != 0
        live &= np.isin(self._minutes, list(minutes)).any(axis=1)
        self._rebuild(live, 8 * int(live.sum()))

    def _room(self, more: int) -> None:
        if 2 * (self._used + more) > len(self._table):
            self._rebuild(self._table != 0, 8 * (self._used + more))

    def _rebuild(self, live: Any, size: int) -> None:  # noqa: ANN401 - a Boolean array
        keys, minutes = self._table[live], self._minutes[live]
        size = 1 << max(14, (size - 1).bit_length())
        self._table, self._minutes = np.zeros(size, np.uint64), np.empty((size, 2), np.int64)
        _put(self._table, self._minutes, keys, minutes[:, 0])
        self.note_seen(keys, minutes[:, 1])
        self._used = len(keys)


@njit(cache=True, nogil=True)
def _put(table: U64, minutes: I64, keys: U64, event: I64) -> tuple[I64, int]:
    before = np.full((len(keys), 2), -1, np.int64)
    last, new = np.uint64(len(table) - 1), 0
    for i in range(len(keys)):
        at = keys[i] & last
        while table[at] != 0 and table[at] != keys[i]:
            at = (at + np.uint64(1)) & last
        if table[at] == keys[i]:
            before[i] = minutes[at]
        else:
            table[at] = keys[i]
            minutes[at, 1] = -1
            new += 1
        minutes[at, 0] = event[i]
    return before, new


@njit(cache=True, nogil=True)
def _find(table: U64, keys: U64) -> I64:
    out = np.full(len(keys), -1, np.int64)
    last = np.uint64(len(table) - 1)
    for i in range(len(keys)):
        at = keys[i] & last
        while table[at] != 0 and table[at] != keys[i]:
            at = (at + np.uint64(1)) & last
        if table[at] == keys[i]:
            out[i] = np.int64(at)
    return out


def _with_rules(changes: Changes) -> pl.DataFrame:
    """The posts of a batch, as far as counting looks at them, with the rules that they hit."""
    hits = changes.hits.group_by(KEY.names()).agg(rules="rule")
    posts = changes.posts.select("id", *(c for c in COLUMNS if c != "rules"))
    none = pl.lit([], pl.List(pl.Int64))
    return posts.join(hits, on=KEY.names(), how="left", maintain_order="left").with_columns(
        pl.col("rules").fill_null(none)
    )


def _minutes_at(when: I64, source: pl.Series) -> set[Minute]:
    """Those of these minutes, in microseconds, that are any (not below 0)."""
    if not (when >= 0).any():
        return set()
    rows = pl.DataFrame({"minute": pl.Series(when), "source": source}).filter(pl.col("minute") >= 0)
    return {(from_micros(t), s) for t, s in rows.unique().iter_rows()}


def _minute(column: str) -> pl.Expr:
    return pl.col(column).dt.truncate("1m")


def _minutes_of(windows: Windows) -> pl.DataFrame:
    return windows.keys.select(minute="start", source="source")


def _some(windows: Windows, keep: pl.Series) -> list[Windows]:
    if not keep.any():
        return []
    return [windows] if keep.all() else [chosen(windows, keep)]


def _is_in(frame: pl.DataFrame, minutes: Iterable[Minute]) -> pl.Series:
    """Whether each row's `minute` and `source` are among these."""
    known = pl.DataFrame(list(minutes), DIRTY, orient="row").with_columns(known=pl.lit(value=True))
    found = frame.select(_ON).join(known, on=_ON, how="left", maintain_order="left")
    return found["known"].fill_null(value=False)
