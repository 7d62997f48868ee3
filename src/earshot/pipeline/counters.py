"""Counters as they were seen: the newest wins, and growth is kept by the minute it was seen in."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numba import njit

from earshot.model.changes import State
from earshot.model.hashing import Array
from earshot.model.schema import COUNTERS, OBSERVATION, TIME
from earshot.pipeline.interactions import RAISED
from earshot.pipeline.keys import id_of, key, source_of

_LINE: Final = pl.Schema(
    [
        ("key", pl.String()),
        ("seen_at", TIME),
        ("offset", pl.Int64()),
        ("what", pl.Int8()),
        *((c, pl.Int64()) for c in COUNTERS),
        *((f"by_{c}", pl.Int64()) for c in RAISED),
    ]
)
"""One moment of a post's counters: values that were seen, or steps by which they changed."""
_BEFORE, _SEEN, _EMBEDDED, _STEP = range(4)
NOTHING: Final = -1
"""The offset of what was so before the batch."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What a batch saw of counters."""

    observations: pl.DataFrame
    """OBSERVATION with `key`."""
    newest: pl.DataFrame
    """`key`, COUNTERS, `counters_at`: how posts end up of which there is more than one sight."""
    stale: pl.DataFrame
    """`source`, `minute`: minutes whose growth changes because of an older observation."""


def counted(
    rows: pl.DataFrame, deltas: pl.DataFrame, records: pl.DataFrame, state: State
) -> Counted:
    """Note what was seen of counters.

    The newest observation wins. One that equals what was seen last says nothing new and is left
    out. A post that is first seen embedded in another starts from a base that scores nothing; any
    other starts from 0.

    Args:
        rows: Sights.
        deltas: DELTA, what interactions did.
        records: RECORD rows of the batch.
        state: What was known before.
    """
    living = rows.filter(pl.col("alive") & pl.col("dead").is_null())
    telling = pl.any_horizontal(pl.col(COUNTERS).is_not_null())
    meets = pl.col("often")
    if deltas.height:
        meets |= pl.col("key").is_in(deltas["key"].implode())
    plain = _first_sights(living.filter(telling & ~meets))
    steps = _steps(deltas, records, living, state)
    living = living.filter(meets)
    known = _known(state, pl.concat([living["key"], steps["key"]]))
    seen = living.filter(telling).with_columns(
        seen_at="received_at",
        what=pl.when(pl.col("role") == "embedded").then(_EMBEDDED).otherwise(_SEEN),
    )
    before = known.filter(telling)
    moments = [_line(part) for part in (before, seen, steps) if part.height]
    if not moments:
        return Counted(plain, *_nothing())
    line, new = _values(pl.concat(moments))
    news = line.filter(new)
    newest = news.unique("key", keep="last", maintain_order=True)
    return Counted(
        observations=pl.concat([plain, _observations(news, living)]),
        newest=newest.select("key", *COUNTERS, counters_at="seen_at"),
        stale=_stale(line),
    )


def _first_sights(telling: pl.DataFrame) -> pl.DataFrame:
    """OBSERVATION with `key` of posts that are seen once and were not known: as `_observations`."""
    starts = pl.any_horizontal(pl.col(COUNTERS) != 0)
    embedded = pl.col("role") == "embedded"
    return telling.filter(embedded | starts).select(
        "source",
        "id",
        pl.col("received_at").dt.truncate("1m").alias("minute"),
        pl.col("received_at").alias("seen_at"),
        embedded.alias("base"),
        *COUNTERS,
        "key",
    )


def _nothing() -> tuple[pl.DataFrame, pl.DataFrame]:
    """`newest` and `stale` without rows."""
    return (
        pl.DataFrame(
            schema={"key": pl.String, **dict.fromkeys(COUNTERS, pl.Int64), "counters_at": TIME}
        ),
        pl.DataFrame(schema={"source": pl.String, "minute": TIME}),
    )


def _line(parts: pl.DataFrame) -> pl.DataFrame:
    return parts.select(
        pl.col(c).cast(dtype) if c in parts.columns else pl.lit(None, dtype).alias(c)
        for c, dtype in _LINE.items()
    )


def _known(state: State, keys: pl.Series) -> pl.DataFrame:
    """What was known of the counters of these posts before the batch."""
    return state.posts.filter(~pl.col("tombstone") & key().is_in(keys.implode())).select(
        *COUNTERS,
        key=key(),
        seen_at=pl.coalesce("counters_at", "received_at"),
        offset=pl.lit(NOTHING, pl.Int64),
        what=pl.lit(_BEFORE),
    )


def _steps(
    deltas: pl.DataFrame, records: pl.DataFrame, living: pl.DataFrame, state: State
) -> pl.DataFrame:
    """What interactions did, never before the counters that they change were seen."""
    if deltas.is_empty():
        return pl.DataFrame(schema=_LINE)
    here = deltas.with_columns(
        records["received_at"].gather(deltas["record"]).alias("seen_at"),
        records["offset"].gather(deltas["record"]).alias("offset"),
        what=pl.lit(_STEP),
    ).rename({c: f"by_{c}" for c in RAISED})
    since = pl.concat(
        [
            _known(state, deltas["key"]).select("key", since="seen_at"),
            living.filter("first").select("key", since="received_at"),
        ]
    )
    return (
        here.join(since, on="key", maintain_order="left")
        .with_columns(seen_at=pl.max_horizontal("seen_at", "since"))
        .drop("since", "record")
    )


_UNKNOWN: Final = -(1 << 63)
"""Stands for null in the kernel."""


def _values(line: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Turn steps into values, and nulls into what was seen last.

    Returns:
        The moments of each post in order, and which of them tell something else than the one
        before, or are where all began.
    """
    line = line.sort("key", "seen_at", "offset", maintain_order=True)
    begins = line["key"].ne_missing(line["key"].shift()).to_numpy(writable=True)
    values = np.stack([line[c].fill_null(_UNKNOWN).to_numpy() for c in COUNTERS])
    steps = np.zeros_like(values)
    for place, c in enumerate(COUNTERS):
        if c in RAISED:
            steps[place] = line[f"by_{c}"].fill_null(0).to_numpy()
    new = pl.Series(_follow(begins, values, steps))
    seen = pl.DataFrame(dict(zip(COUNTERS, values, strict=True)))
    seen = seen.select(pl.when(pl.col(c) != _UNKNOWN).then(c).alias(c) for c in COUNTERS)
    return line.with_columns(seen.get_columns()), new | (line["what"] == _BEFORE)


@njit(cache=True, nogil=True)
def _follow(begins: Array, values: Array, steps: Array) -> Array:
    """Complete `values` (counters, moments) moment by moment; returns which are new.

    Args:
        begins: Where the moments of another post begin.
        values: As seen, or _UNKNOWN; changed.
        steps: By how much the counter changed, beside what was seen.
    """
    new = begins.copy()
    for c in range(len(values)):
        last = _UNKNOWN
        for i in range(len(begins)):
            if begins[i]:
                last = _UNKNOWN
            now = values[c, i] if values[c, i] != _UNKNOWN else last
            if steps[c, i] != 0:
                now = (now if now != _UNKNOWN else 0) + steps[c, i]
            new[i] |= now != last
            values[c, i] = last = now
    return new


def _observations(news: pl.DataFrame, living: pl.DataFrame) -> pl.DataFrame:
    """The last moment of each minute; a post that starts at 0 needs none."""
    said = pl.any_horizontal(pl.col(COUNTERS).is_not_null())
    new = living.filter(pl.col("first") & said).select(
        "key",
        base_at=pl.when(pl.col("role") == "embedded").then("received_at"),
        new=pl.lit(value=True),
    )
    zero = pl.all_horizontal(pl.col(c).fill_null(0) == 0 for c in COUNTERS)
    starts = pl.col("key").is_first_distinct() & pl.col("new").fill_null(value=False)
    minute = pl.col("seen_at").dt.truncate("1m")
    return (
        news.join(new, on="key", how="left", maintain_order="left")
        .filter((pl.col("what") != _BEFORE) & ~(starts & zero & pl.col("base_at").is_null()))
        .with_columns(
            minute=minute,
            base=(minute == pl.col("base_at").dt.truncate("1m")).fill_null(value=False),
        )
        .unique(["key", "minute"], keep="last", maintain_order=True)
        .with_columns(source=source_of(), id=id_of())
        .select(*OBSERVATION, "key")
    )


def _stale(line: pl.DataFrame) -> pl.DataFrame:
    """Minutes of what was seen last before the batch, where something older came in now."""
    late = (
        line.filter(pl.col("what") != _BEFORE)
        .select("key", first=pl.col("seen_at"))
        .group_by("key")
        .agg(pl.col("first").min())
    )
    return (
        line.filter(pl.col("what") == _BEFORE)
        .join(late, on="key")
        .filter(pl.col("first") < pl.col("seen_at"))
        .select(source=source_of(), minute=pl.col("seen_at").dt.truncate("1m"))
        .unique()
    )
