"""Minutes that this process has seen whole, counted from memory: they need no reading back.

A minute may be counted here when nothing of it was stored before this process began. Posts are
kept with what they are counted under until their minute is made. Single posts can be taken back:
one that is edited, deleted, hidden, or in whatever way seen again is counted from the store from
then on, while the others of its minute are still counted from memory.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from earshot.clock import from_micros, micros
from earshot.model.changes import DIRTY, KEY, Changes
from earshot.model.hashing import key_hash
from earshot.model.schema import COUNTERS, TIME
from earshot.model.tokens import Tokens
from earshot.pipeline.hashes import I64, U64
from earshot.pipeline.score import Weights
from earshot.pipeline.window import (
    COLUMNS,
    Carried,
    Windows,
    carry,
    count,
    gather,
    kept,
    unobserved,
)
from earshot.store import Store

MOST_PAIRS: Final = 8_000_000
"""(post, value) pairs that are kept at most; beyond, the older half of the minutes goes."""
OPEN_FOR: Final = dt.timedelta(minutes=5)
"""How far behind the newest post of its source a minute is still kept in memory."""
MOST_KEYS: Final = 2_000_000
MOST_SPENT: Final = 100_000
_ON: Final = DIRTY.names()
_HASHED: Final = pl.Schema([*KEY.items(), ("key", pl.UInt64())])
_AGAIN: Final = pl.Schema([*_HASHED.items(), ("minute", TIME)])
POSTS, SCORES = 1, 2
"""What of a key is counted from the store: bits."""

Minute = tuple[dt.datetime, str]
"""Start of a minute, and the source."""


class OpenMinutes:
    """Counts what is committed, minute by minute."""

    def __init__(self, store: Store, weights: Weights) -> None:
        self._weights = weights
        bounds, dirty = store.bounds(), set(store.dirty().select(_ON).iter_rows())
        self._posts = _Part(bounds[1] if bounds else None, dirty)
        self._scores = _Part(store.last_observed(), dirty)
        self._keys = _Keys()

    def note(self, changes: Changes, tokens: Tokens, written: pl.Series) -> None:
        """Take in a batch that was just committed. Every batch has to be noted, in order.

        Args:
            changes: What was committed.
            tokens: Of its posts and of others.
            written: Boolean: of which these are its posts.
        """
        posts = _hashed(_with_rules(changes)).with_columns(
            _minute("event_time").alias("minute"), row=written.arg_true()
        )
        seen = _hashed(changes.observations)
        self._posts.start(posts)
        self._scores.start(seen)
        known = pl.Series(self._keys.state(posts["key"].to_numpy())[0])
        again = known | posts["key"].is_duplicated()
        if changes.replaced.height:  # also what an earlier process saw, and may have scored
            again |= posts["key"].is_in(_hashed(changes.replaced)["key"].implode())
        self._take_back(posts.filter(again), POSTS | SCORES)
        self._posts.put_again(posts.filter(again))
        fresh = posts.filter(~again)
        self._keys.put(fresh["key"].to_numpy(), _us(fresh["minute"]))
        fresh = fresh.filter(_is_in(fresh, self._posts.open))
        self._posts.add(carry(fresh, unobserved(fresh), self._weights, tokens))
        self._note_scores(seen, fresh, tokens)
        self._note_taken_back(changes)
        self._bound()

    def newest(self) -> dict[str, dt.datetime]:
        """The newest minute of each source that a post of it was noted in."""
        return self._posts.newest

    def known(self, minutes: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Of these DIRTY rows: whether posts, and whether scores, are counted here."""
        return _is_in(minutes, self._posts.open), _is_in(minutes, self._scores.open)

    def taken_back(self, minutes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """KEY and `minute` in these DIRTY rows of what is not counted here where it is `known`.

        Posts to be counted from the store, and posts whose scores are.
        """
        return self._posts.again_in(minutes), self._scores.again_in(minutes)

    def counted(self, minutes: pl.DataFrame) -> list[Windows]:
        """What was counted in these DIRTY rows, of posts and of scores, where it is `known`."""
        return [
            part.take(minutes, self._dead(part, bit))
            for part, bit in ((self._posts, POSTS), (self._scores, SCORES))
        ]

    def forget(self, *, but: set[Minute]) -> None:
        """Give up the minutes far behind the newest of their source, and not among `but`."""
        for part in (self._posts, self._scores):
            part.give_up(part.old() - but)

    def _dead(self, part: "_Part", bit: int) -> pl.Series:
        return pl.Series(self._keys.state(part.keys().to_numpy())[1] & bit != 0)

    def _take_back(self, posts: pl.DataFrame, bits: int) -> None:
        """Count these posts (_HASHED), or their scores, from the store from now on."""
        if posts.is_empty():
            return
        posts = posts.select(_HASHED.names()).unique("key")
        keys = posts["key"].to_numpy()
        _, had, event, seen = self._keys.state(keys)
        for part, bit, minute in ((self._posts, POSTS, event), (self._scores, SCORES, seen)):
            of_part = (minute >= 0) & (had & bit == 0) & bool(bits & bit)
            times = pl.Series("minute", minute).cast(TIME)
            part.put_again(posts.with_columns(times).filter(pl.Series(of_part)))
        self._keys.mark(keys, bits)

    def _note_taken_back(self, changes: Changes) -> None:
        """Take back what was deleted, hidden, shown, or changed where it lies."""
        taken_back = (changes.tombstones, changes.scrubbed, changes.flags, changes.promoted)
        touched = _hashed(pl.concat([frame.select(KEY.names()) for frame in taken_back]))
        known = pl.Series(self._keys.state(touched["key"].to_numpy())[0])
        self._take_back(touched.filter(known), POSTS | SCORES)
        shown = changes.flags.filter(~pl.col("hidden"))
        rising = pl.concat([shown.select(KEY.names()), changes.promoted.select(KEY.names())])
        rising = rising.join(touched.filter(known), on=KEY.names(), how="anti")
        if rising.height:
            # They count from now on, lay hidden since before this process began, and may lie in
            # any of the minutes that became dirty.
            hidden = _hashed(rising)
            self._take_back(hidden, POSTS | SCORES)
            places = hidden.join(changes.dirty, on="source")
            self._posts.put_again(places)
            self._scores.put_again(places)

    def _note_scores(self, seen: pl.DataFrame, fresh: pl.DataFrame, tokens: Tokens) -> None:
        """Carry the scores of posts seen for the first time; others need what was seen before."""
        if seen.is_empty():
            return
        once = seen.filter(pl.col("key").is_unique()).join(
            fresh.select("key"), on="key", how="semi"
        )
        more = seen.join(once, on="key", how="anti")
        self._take_back(more, SCORES)
        self._scores.put_again(more)
        once = once.filter(_is_in(once, self._scores.open))
        self._keys.note_seen(once["key"].to_numpy(), _us(once["minute"]))
        counters = once.select(
            "key", "minute", "base", *(pl.col(c).alias(f"seen_{c}") for c in COUNTERS)
        )
        first = fresh.drop("minute").join(counters, on="key", how="inner")
        first = first.with_columns(pl.lit(None, pl.Int64).alias(f"before_{c}") for c in COUNTERS)
        self._scores.add(carry(fresh.clear(), first, self._weights, tokens))

    def _bound(self) -> None:
        """Keep memory within its limits: the oldest minutes are made from the store instead."""
        for part, bit in ((self._posts, POSTS), (self._scores, SCORES)):
            if part.pairs() > MOST_PAIRS or len(self._keys) > MOST_KEYS:
                oldest = sorted(part.open)
                part.give_up(set(oldest[: len(oldest) // 2 + 1]))
                part.trim(self._dead(part, bit))
            part.bound()
        if len(self._keys) > MOST_KEYS or self._keys.crowded:
            parts = (self._posts, self._scores)
            taken_back = np.concatenate([part.again()["key"].to_numpy() for part in parts])
            self._keys.keep({micros(m) for part in parts for m, _ in part.open}, taken_back)


class _Part:
    """What is carried of posts, or of scores, in the minutes that are whole."""

    def __init__(self, after: dt.datetime | None, spent: set[Minute]) -> None:
        self.open: set[Minute] = set()
        self._after = after or from_micros(0)
        """Minutes that begin at or before this may hold something of an earlier process."""
        self._spent = set(spent)
        """Minutes that are not whole, or not any more."""
        self._carried: list[Carried] = []
        self._again: list[pl.DataFrame] = []
        self.newest: dict[str, dt.datetime] = {}

    def start(self, rows: pl.DataFrame) -> None:
        """Open the minutes of these rows that may be whole."""
        for minute in rows.select(_ON).unique().iter_rows():
            start, source = minute
            self.newest[source] = max(start, self.newest.get(source, start))
            if start > self._after and minute not in self._spent:
                self.open.add(minute)

    def old(self) -> set[Minute]:
        """The open minutes so far behind the newest of their source that little comes any more.

        Posts and scores have each their own: an archive is seen long after it was written.
        """
        return {m for m in self.open if m[0] < self.newest[m[1]] - OPEN_FOR}

    def give_up(self, minutes: set[Minute]) -> None:
        """Leave these minutes to the store, for good."""
        self._spent |= minutes & self.open
        self.open -= minutes

    def bound(self) -> None:
        """Do not remember too many minutes that are not whole."""
        if len(self._spent) > MOST_SPENT:
            self._after = max(self._after, *(start for start, _ in self._spent))
            self._spent.clear()

    def add(self, carried: Carried) -> None:
        """Take in what was carried for open minutes."""
        if carried.rows.height:
            self._carried.append(carried)

    def put_again(self, rows: pl.DataFrame) -> None:
        """Remember that these keys are counted from the store in these minutes (_AGAIN)."""
        rows = rows.select(_AGAIN.names())
        if rows.height and (here := _is_in(rows, self.open)).any():
            self._again.append(rows.filter(here))

    def again(self) -> pl.DataFrame:
        """_AGAIN of the open minutes, each once."""
        if self._again:
            rows = pl.concat(self._again).unique(["key", *_ON])
            self._again = [rows.filter(_is_in(rows, self.open))]
        return self._again[0] if self._again else pl.DataFrame(schema=_AGAIN)

    def again_in(self, minutes: pl.DataFrame) -> pl.DataFrame:
        """Those of `again` in these minutes."""
        return self.again().join(minutes, on=_ON, how="semi")

    def keys(self) -> pl.Series:
        """Hashes of the keys of all that is carried."""
        self._carried = [gather(self._carried)]
        return self._carried[0].rows["key"]

    def pairs(self) -> int:
        """How much is carried."""
        return sum(len(c.facets.value) for c in self._carried)

    def take(self, minutes: pl.DataFrame, dead: pl.Series) -> Windows:
        """Count these minutes; they stay known while they are open."""
        carried = self.trim(dead)
        wanted = self.open & set(minutes.iter_rows())
        return count(kept(carried, _is_in(_minutes_of(carried), wanted)))

    def trim(self, dead: pl.Series) -> Carried:
        """Let go of what is not open any more, and of what was taken back."""
        (carried,) = self._carried
        alive = kept(carried, _is_in(_minutes_of(carried), self.open) & ~dead)
        self._carried = [alive]
        return alive


class _Keys:
    """Posts of open minutes by the hash of their key: minute of the event, minute seen, bits."""

    def __init__(self) -> None:
        self._table = np.zeros(1 << 14, np.uint64)
        self._known = np.empty((1 << 14, 3), np.int64)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    @property
    def crowded(self) -> bool:
        return 4 * self._used > len(self._table)

    def put(self, keys: U64, event: I64) -> None:
        """Note keys that are new, with the minute of each."""
        if 2 * (self._used + len(keys)) > len(self._table):
            self._rebuild(self._table != 0, 8 * (self._used + len(keys)))
        self._used += _put(self._table, self._known, keys, event)

    def state(self, keys: U64) -> tuple[Any, I64, I64, I64]:
        """Whether each key is known; its bits, minute of the event, minute seen (-1: none)."""
        places = _find(self._table, keys)
        there = places >= 0
        known = np.where(there[:, None], self._known[places], -1)
        return there, np.where(there, known[:, 2], 0), known[:, 0], known[:, 1]

    def note_seen(self, keys: U64, seen: I64) -> None:
        """Note the minute in which these keys, all known, were observed."""
        self._known[_find(self._table, keys), 1] = seen

    def mark(self, keys: U64, bits: int) -> None:
        """Set bits of these keys, no two alike; those unknown are known from now on."""
        new = keys[_find(self._table, keys) < 0]
        self.put(new, np.full(len(new), -1, np.int64))
        self._known[_find(self._table, keys), 2] |= bits

    def keep(self, minutes: set[int], keys: U64) -> None:
        """Forget all but these keys, and those of these minutes."""
        live = _of_minutes(self._table, self._known, np.sort(np.array([*minutes], np.int64)))
        live[_find(self._table, keys[_find(self._table, keys) >= 0])] = True
        self._rebuild(live, 8 * int(live.sum()))

    def _rebuild(self, live: Any, size: int) -> None:  # noqa: ANN401 - a Boolean array
        keys, known = self._table[live], self._known[live]
        size = 1 << max(14, (size - 1).bit_length())
        self._table, self._known = np.zeros(size, np.uint64), np.empty((size, 3), np.int64)
        self._used = _put(self._table, self._known, keys, known[:, 0].copy())
        self._known[_find(self._table, keys)] = known


@njit(cache=True, nogil=True)
def _put(table: U64, known: I64, keys: U64, event: I64) -> int:
    """Add keys that are not there; returns how many were added."""
    last, new = np.uint64(len(table) - 1), 0
    for i in range(len(keys)):
        at = keys[i] & last
        while table[at] != 0 and table[at] != keys[i]:
            at = (at + np.uint64(1)) & last
        if table[at] == 0:
            table[at] = keys[i]
            known[at, 0], known[at, 1], known[at, 2] = event[i], -1, 0
            new += 1
    return new


@njit(cache=True, nogil=True)
def _of_minutes(table: U64, known: I64, minutes: I64) -> Any:  # noqa: ANN401 - a Boolean array
    """Which places hold a key of these minutes, ascending, by its event or where it was seen."""
    out = np.zeros(len(table), np.bool_)
    for at in range(len(table)):
        if table[at] != 0:
            for c in range(2):
                m = np.searchsorted(minutes, known[at, c])
                out[at] |= m < len(minutes) and minutes[m] == known[at, c]
    return out


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


def _hashed(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `key`: the hash of each KEY."""
    return rows.with_columns(key=pl.Series(key_hash(rows["source"], rows["id"])))


def _us(times: pl.Series) -> I64:
    return times.dt.epoch("us").to_numpy()


def _minute(column: str) -> pl.Expr:
    return pl.col(column).dt.truncate("1m")


def _minutes_of(carried: Carried) -> pl.DataFrame:
    start = pl.duration(minutes="minute") + from_micros(0)
    return carried.rows.select(start.cast(TIME).alias("minute"), "source")


def _is_in(frame: pl.DataFrame, minutes: Iterable[Minute]) -> pl.Series:
    """Whether each row's `minute` and `source` are among these."""
    known = pl.DataFrame(list(minutes), DIRTY, orient="row").with_columns(known=pl.lit(value=True))
    found = frame.select(_ON).join(known, on=_ON, how="left", maintain_order="left")
    return found["known"].fill_null(value=False)
