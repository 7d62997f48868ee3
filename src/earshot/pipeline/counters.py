"""Counters as they were seen: the newest wins, and growth is kept by the minute it was seen in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl
from numba import njit

from earshot.formats import Decoded
from earshot.model.hashing import Array
from earshot.model.schema import COUNTERS, TIME
from earshot.pipeline.hashes import I64, MINUTE_US, begins, ends
from earshot.pipeline.interactions import RAISED, Acts
from earshot.pipeline.keys import Numbers
from earshot.pipeline.sights import ALWAYS, NEVER, Flags, Known, Sights

NULL: Final = -(1 << 63)
"""Stands for null in arrays of counters."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of posts' counters: values that were seen, or steps by which they changed."""

    key: I64
    """Number of the post."""
    seen_at: I64
    offset: I64
    """ALWAYS: what was known before the batch."""
    values: I64
    """(COUNTERS, moments), NULL: not told."""
    steps: I64
    """(COUNTERS, moments)."""

    def __getitem__(self, chosen: I64 | Flags) -> Self:
        return type(self)(
            self.key[chosen],
            self.seen_at[chosen],
            self.offset[chosen],
            self.values[:, chosen],
            self.steps[:, chosen],
        )

    @property
    def tells(self) -> Flags:
        """Some counter was told."""
        found: Flags = (self.values != NULL).any(axis=0)
        return found

    @property
    def zero(self) -> Flags:
        """None was told that is not 0."""
        found: Flags = ((self.values == NULL) | (self.values == 0)).all(axis=0)
        return found


@dataclass(frozen=True, slots=True)
class Counted:
    """What a batch saw of counters."""

    observations: pl.DataFrame
    """OBSERVATION with `key` (number)."""
    newest: Moments
    """How posts end up of which there is more than one sight."""
    stale: pl.DataFrame
    """`source`, `minute`: minutes whose growth changes because of an older observation."""


def counted(  # noqa: PLR0913, PLR0917 - what a batch says, and what was known
    seen: Sights, decoded: Decoded, acts: Acts, records: pl.DataFrame, before: Known, keys: Numbers
) -> Counted:
    """Note what was seen of counters.

    The newest observation wins. One that equals what was seen last says nothing new and is left
    out. A post that is first seen embedded in another starts from a base that scores nothing; any
    other starts from 0.
    """
    sights = _sights(seen, decoded)
    living = seen.alive & seen.stays
    telling = living & sights.tells
    several = np.zeros(len(before.row), np.bool_)  # by number: more than one moment to compare
    several[acts.key] = True
    several[seen.key[living & seen.often]] = True
    met = several[seen.key]

    known = _known(before, several)
    begun = living & seen.first
    since = np.full(len(several), NEVER)
    since[known.key] = known.seen_at
    since[seen.key[begun]] = seen.received_at[begun]
    steps = _steps(acts, records, since)
    line = _in_order(_together([known[known.tells], sights[telling & met], steps]))
    news = line[_follow(line.key, line.values, line.steps) | (line.offset == ALWAYS)]
    newest = news[ends(news.key)]

    # the last moment of each minute; a post that starts at 0 needs none
    fresh, embedded = np.zeros_like(several), np.zeros_like(several)
    fresh[seen.key[begun & telling]] = True
    embedded[seen.key[begun & telling & seen.embedded]] = True
    news = _together([news, sights[telling & ~met]])
    base = embedded[news.key] & (_minute(news.seen_at) == _minute(since[news.key]))
    needless = begins(news.key) & fresh[news.key] & ~embedded[news.key] & news.zero
    kept = np.flatnonzero((news.offset != ALWAYS) & ~needless)
    kept = kept[ends(news.key[kept], _minute(news.seen_at[kept]))]
    return Counted(
        observations=_observations(news[kept], base[kept], keys),
        newest=newest,
        stale=_stale(line, keys),
    )


def _sights(seen: Sights, decoded: Decoded) -> Moments:
    """What each sight tells."""
    values = _values(decoded.posts)[:, seen.row]
    return Moments(seen.key, seen.received_at, seen.offset, values, np.zeros_like(values))


def _known(before: Known, asked: Flags) -> Moments:
    """What was known of the counters of these posts before the batch."""
    rows = np.flatnonzero(asked[before.key])
    posts = before.posts[rows]
    seen_at = pl.coalesce("counters_at", "received_at").to_physical()
    values = _values(posts)
    return Moments(
        key=before.key[rows],
        seen_at=posts.select(seen_at).to_series().to_numpy(),
        offset=np.full(len(rows), ALWAYS),
        values=values,
        steps=np.zeros_like(values),
    )


def _steps(acts: Acts, records: pl.DataFrame, since: I64) -> Moments:
    """What interactions did, never before the counters that they change were seen."""
    chosen = since[acts.key] != NEVER
    key, record = acts.key[chosen], acts.record[chosen]
    seen_at = records["received_at"].to_physical().to_numpy()[record]
    steps = np.zeros((len(COUNTERS), len(key)), np.int64)
    steps[[COUNTERS.index(c) for c in RAISED]] = acts.steps[:, chosen]
    return Moments(
        key=key,
        seen_at=np.maximum(seen_at, since[key]),
        offset=records["offset"].to_numpy()[record],
        values=np.full_like(steps, NULL),
        steps=steps,
    )


def _values(posts: pl.DataFrame) -> I64:
    return posts.select(pl.col(COUNTERS).fill_null(NULL)).to_numpy(order="fortran").T


def _together(parts: Sequence[Moments]) -> Moments:
    return Moments(
        key=np.concatenate([p.key for p in parts]),
        seen_at=np.concatenate([p.seen_at for p in parts]),
        offset=np.concatenate([p.offset for p in parts]),
        values=np.concatenate([p.values for p in parts], axis=1),
        steps=np.concatenate([p.steps for p in parts], axis=1),
    )


def _in_order(moments: Moments) -> Moments:
    """The moments of each post after one another, as they were seen."""
    return moments[np.lexsort((moments.offset, moments.seen_at, moments.key))]


@njit(cache=True, nogil=True)
def _follow(key: Array, values: Array, steps: Array) -> Array:
    """Turn steps into values, and nulls into what was seen last; returns what is new.

    Args:
        key: The post of each moment, those of a post in order.
        values: (counters, moments), as seen, or NULL; changed.
        steps: By how much the counter changed, beside what was seen.
    """
    new = np.zeros(len(key), np.bool_)
    for c in range(len(values)):
        last = NULL
        for i in range(len(key)):
            if i == 0 or key[i] != key[i - 1]:
                last = NULL
                new[i] = True
            now = values[c, i] if values[c, i] != NULL else last
            if steps[c, i] != 0:
                now = (now if now != NULL else 0) + steps[c, i]
            new[i] |= now != last
            values[c, i] = last = now
    return new


def _minute(micros: I64) -> I64:
    return micros - micros % MINUTE_US


def _observations(moments: Moments, base: Flags, keys: Numbers) -> pl.DataFrame:
    """OBSERVATION with `key`."""
    columns = {
        "minute": _minute(moments.seen_at),
        "seen_at": moments.seen_at,
        "base": base,
        **dict(zip(COUNTERS, moments.values, strict=True)),
        "key": moments.key,
    }
    told = (pl.when(pl.col(c) != NULL).then(c) for c in COUNTERS)
    return (
        keys.names[moments.key]
        .hstack(pl.DataFrame(columns))
        .with_columns(*told, pl.col("minute", "seen_at").cast(TIME))
    )


def _stale(line: Moments, keys: Numbers) -> pl.DataFrame:
    """Minutes of what was seen last before the batch, where something older came in now."""
    older = line[(line.offset == ALWAYS) & ~begins(line.key)]
    minute = pl.Series("minute", _minute(older.seen_at)).cast(TIME)
    return pl.DataFrame({"minute": minute, "source": keys.names["source"][older.key]})
