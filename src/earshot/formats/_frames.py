"""From what a format found to the declared frames: what all formats do alike."""

from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from earshot.formats import Decoded
from earshot.formats._json import Fields
from earshot.formats._times import sane
from earshot.model.schema import COUNTERS, EVENT, INTERACTION, OUTCOME, POST, TIME

RECORD_AND_ROLE: Final[Fields] = {"record": pl.UInt32(), "role": pl.String()}
_FUTURE: Final = pl.duration(minutes=2)
"""How far ahead of our clock a source's claim may be and still be believed."""


def decoded(  # noqa: PLR0913 - the three frames, by name
    records: pl.DataFrame,
    source: str,
    outcome: pl.DataFrame,
    *,
    posts: pl.DataFrame | None = None,
    events: pl.DataFrame | None = None,
    interactions: pl.DataFrame | None = None,
) -> Decoded:
    """Put together what a format found.

    Args:
        records: RECORD rows, as handed to `decode`.
        source: The format's network, where a record names none.
        outcome: `row`, `class`, `reason` for each record, in order, and whatever else.
        posts: `row`, `role` and any columns of POST but source and times of ours.
        events: `row`, `kind` and any columns of EVENT.
        interactions: `row`, `key`, `kind` and any columns of INTERACTION.
    """
    return Decoded(
        posts=_posts(posts, records, source),
        events=_filled(events, EVENT, records, source),
        interactions=_filled(interactions, INTERACTION, records, source),
        outcome=outcome.select(
            pl.col("row").alias("record"), *(pl.col(n) for n in OUTCOME if n != "record")
        ),
    )


def judged(found: pl.DataFrame, why: pl.Expr, **classes: pl.Expr) -> pl.DataFrame:
    """Add `class` and `reason`: the first class whose condition holds, else quarantined.

    Args:
        found: With `fault`, where a record could not be read at all.
        why: Says of a record that was read why it is nothing known.
        classes: Conditions; a null counts as not met.
    """
    faulty = pl.col("fault").is_not_null()
    named = pl.coalesce(pl.when(~faulty & holds).then(pl.lit(n)) for n, holds in classes.items())
    judged_ = found.with_columns(named.fill_null("quarantined").alias("class"))
    if not (judged_["class"] == "quarantined").any():
        return judged_.with_columns(pl.lit(None, pl.String).alias("reason"))
    lost = pl.col("class") == "quarantined"
    return judged_.with_columns(pl.when(lost).then(pl.coalesce("fault", why)).alias("reason"))


def nested(rows: pl.Series, values: pl.Series, height: int) -> pl.Series:
    """A list column of `height` rows: `values` of each row together, in order; none: empty.

    Args:
        rows: UInt32, ascending: the row of each value.
        values: As long as `rows`.
        height: Rows of the result.
    """
    ends = np.arange(height + 1, dtype=np.uint32)
    starts = np.searchsorted(rows.to_numpy(), ends, side="left").astype(np.int64)
    offsets = pa.array(starts)
    lists = pa.LargeListArray.from_arrays(offsets, values.to_arrow())
    return pl.Series(values.name, pl.from_arrow(lists))


def opened(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """`frame` with each of these structs as columns `<struct>.<field>`, and without the structs.

    `Expr.struct` would copy every field; this takes them as they are.
    """
    return frame.unnest(*columns, separator=".")


def flat(lists: pl.Series) -> pl.DataFrame:
    """`at` (position in `lists`) and the fields of each struct of a list column."""
    numbered = lists.alias("item").to_frame().with_row_index("at")
    return numbered.filter(pl.col("item").list.len() > 0).explode("item").unnest("item")


def _posts(found: pl.DataFrame | None, records: pl.DataFrame, source: str) -> pl.DataFrame:
    """POST rows, with our times and the raw reference of their records."""
    if found is None or not found.height:
        return pl.DataFrame(schema=pl.Schema({**RECORD_AND_ROLE, **POST}))
    whole = pl.concat([found, _ours(found, records, source)], how="horizontal")
    counters = [pl.col(c).is_not_null() for c in COUNTERS if c in found.columns]
    counted = pl.any_horizontal(pl.lit(value=False), *counters)
    dates = (sane(pl.col(n)) for n in ("created_at", "edited_at") if n in found.columns)
    absent = (e for n, e in _NULL.items() if n not in whole.columns)
    cleaned = whole.with_columns(*dates, *absent)
    claim = pl.col("created_at") + pl.duration(microseconds=pl.col("shift"))
    possible = claim <= pl.col("received_at") + _FUTURE
    return cleaned.select(
        pl.col("row").alias("record"),
        "role",
        *_CAST,
        event_time=pl.when(possible).then(claim).otherwise("received_at"),
        counters_at=pl.when(counted).then("received_at"),
        version=pl.col("version").fill_null(0),
    ).select(*RECORD_AND_ROLE, *POST)


_OWN: Final = ("event_time", "counters_at", "version")
_NULL: Final = {
    n: pl.lit(None, t).alias(n) for n, t in POST.items() if n not in {"event_time", "counters_at"}
}
_CAST: Final = [pl.col(n).cast(t) for n, t in POST.items() if n not in _OWN]


def _ours(found: pl.DataFrame, records: pl.DataFrame, source: str) -> pl.DataFrame:
    """`source`, `received_at`, `offset` and `shift` (µs) of the record of each row found."""
    own = records.select(
        pl.when(pl.col("source") == "").then(pl.lit(source)).otherwise("source").alias("source"),
        "received_at",
        "offset",
        _shift(records["headers"]),
    )
    return own[found["row"]]


def _shift(headers: pl.Series) -> pl.Series:
    """µs by which a replay moves the clock: `shift_us` of the headers, else 0."""
    if not (headers != "").any():
        return pl.zeros(len(headers), pl.Int64, eager=True).alias("shift")
    written = headers.str.extract(r'"shift_us"\s*:\s*(-?\d{1,18})\b').cast(pl.Int64)
    return written.fill_null(0).alias("shift")


def _filled(
    found: pl.DataFrame | None, schema: pl.Schema, records: pl.DataFrame, source: str
) -> pl.DataFrame:
    """Rows of EVENT or INTERACTION; columns the format did not find are null."""
    if found is None or not found.height:
        return pl.DataFrame(schema=pl.Schema({"record": pl.UInt32(), **schema}))
    whole = found
    if "source" not in found.columns:
        ours = _ours(found, records, source).select("source")
        whole = pl.concat([found, ours], how="horizontal")
    absent = (pl.lit(None, t).alias(n) for n, t in schema.items() if n not in whole.columns)
    filled = whole.with_columns(*absent).select(
        pl.col("row").alias("record"), *(pl.col(n).cast(t) for n, t in schema.items())
    )
    return filled.with_columns(sane(pl.col("at")).cast(TIME))
