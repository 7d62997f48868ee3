"""Counters as they were seen: the newest wins, and growth is kept by the minute it was seen in."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from earshot.model.changes import State
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
    """`key`, COUNTERS, `counters_at`: how posts end up whose counters were seen or changed."""
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
    silent = all(rows[c].null_count() == rows.height for c in COUNTERS)
    if silent and deltas.is_empty() and state.posts.is_empty():
        return _nothing()
    living = rows.filter(pl.col("alive") & pl.col("dead").is_null())
    telling = living.filter(pl.any_horizontal(pl.col(COUNTERS).is_not_null()))
    steps = _steps(deltas, records, living, state)
    known = _known(state).filter(
        pl.col("key").is_in(living["key"].implode()) | pl.col("key").is_in(steps["key"].implode())
    )
    if telling.is_empty() and steps.is_empty() and known.is_empty():
        return _nothing()
    embedded = pl.when(pl.col("role") == "embedded").then(_EMBEDDED).otherwise(_SEEN)
    seen = telling.select("key", "offset", *COUNTERS, seen_at="received_at", what=embedded)
    before = known.filter(pl.any_horizontal(pl.col(COUNTERS).is_not_null()))
    moments = [_line(part) for part in (before, seen, steps) if part.height]
    if not moments:
        return _nothing()
    line = _values(pl.concat(moments))
    news = line.filter(_is_new(line))
    newest = news.unique("key", keep="last", maintain_order=True)
    return Counted(
        observations=_observations(news, living),
        newest=newest.select("key", *COUNTERS, counters_at="seen_at"),
        stale=_stale(line),
    )


def _nothing() -> Counted:
    return Counted(
        pl.DataFrame(schema={**OBSERVATION, "key": pl.String}),
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


def _known(state: State) -> pl.DataFrame:
    """What was known of the counters of posts before the batch."""
    return state.posts.filter(~pl.col("tombstone")).select(
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
            _known(state).select("key", since="seen_at"),
            living.filter("first").select("key", since="received_at"),
        ]
    )
    return (
        here.join(since, on="key", maintain_order="left")
        .with_columns(seen_at=pl.max_horizontal("seen_at", "since"))
        .drop("since", "record")
    )


def _values(line: pl.DataFrame) -> pl.DataFrame:
    """Turn steps into values: what was seen last plus all steps since; nulls are filled with it."""
    line = line.sort("key", "seen_at", "offset", maintain_order=True)
    begins = pl.col("key").ne_missing(pl.col("key").shift())
    filled = [_filled(pl.col(c), begins).alias(c) for c in COUNTERS]
    if not line["what"].eq(_STEP).any():
        return line.with_columns(filled)
    line = line.with_columns(post=pl.col("key").rle_id())  # numbers are quicker to group by
    turns = [pl.col(c).is_not_null().cum_sum().over("post").alias(f"turn_{c}") for c in RAISED]
    line = line.with_columns(turns).with_columns(filled)
    sums = [
        pl.col(f"by_{c}").fill_null(0).cum_sum().over("post", f"turn_{c}").alias(f"sum_{c}")
        for c in RAISED
    ]
    changed = [
        pl.when(
            pl.col(c).is_not_null() | (pl.col(f"by_{c}").fill_null(0) != 0).cum_max().over("post")
        )
        .then(pl.col(c).fill_null(0) + pl.col(f"sum_{c}"))
        .alias(c)
        for c in RAISED
    ]
    return line.with_columns(sums).with_columns(changed)


_UNKNOWN: Final = -(1 << 63)
"""Stands for null where a group begins, so that nothing is filled across."""


def _filled(value: pl.Expr, begins: pl.Expr) -> pl.Expr:
    """Fill nulls with the value before, within each group: far quicker than a window."""
    ended = pl.when(begins).then(value.fill_null(_UNKNOWN)).otherwise(value).forward_fill()
    return pl.when(ended != _UNKNOWN).then(ended)


def _is_new(line: pl.DataFrame) -> pl.Series:
    """Which moments tell something else than the one before, or are where all began."""
    differs = pl.any_horizontal(pl.col(c).ne_missing(pl.col(c).shift()) for c in ("key", *COUNTERS))
    return line.select(differs | (pl.col("what") == _BEFORE)).to_series()


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
