"""From what a format found to the declared frames: what all formats do alike."""

from functools import cache
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from earshot.formats import NO_EVENTS, NO_INTERACTIONS, NO_POSTS, Decoded
from earshot.formats._json import picked
from earshot.formats._times import sane
from earshot.model.schema import COUNTERS, EVENT, INTERACTION, POST

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
        outcome=pl.DataFrame([outcome["row"].alias("record"), outcome["class"], outcome["reason"]]),
    )


_FAULTY: Final = pl.col("fault").is_not_null()


def first_of(**classes: pl.Expr) -> pl.Expr:
    """`class`: the first whose condition holds, else quarantined; a null counts as not met."""
    named = pl.coalesce(pl.when(~_FAULTY & holds).then(pl.lit(n)) for n, holds in classes.items())
    return named.fill_null("quarantined").alias("class")


def judged(found: pl.DataFrame, why: pl.Expr, classes: pl.Expr) -> pl.DataFrame:
    """Add `class` and `reason`.

    Args:
        found: With `fault`, where a record could not be read at all.
        why: Says of a record that was read why it is nothing known.
        classes: See `first_of`; made once, since it takes longer to make than to ask.
    """
    class_ = found.select(classes)["class"]
    lost = class_ == "quarantined"
    if not lost.any():
        return found.hstack([class_, _NO_REASON.new_from_index(0, found.height)])
    reason = pl.when(pl.lit(lost)).then(pl.coalesce("fault", why)).alias("reason")
    return found.hstack([class_, found.select(reason)["reason"]])


_NO_REASON: Final = pl.Series("reason", [None], pl.String)


def of_class(found: pl.DataFrame, *names: str) -> pl.DataFrame:
    """Rows of these classes: nearly always all or none, and then nothing is copied."""
    chosen = found["class"] == names[0]
    for name in names[1:]:
        chosen |= found["class"] == name
    if chosen.all():
        return found
    return picked(found, chosen) if chosen.any() else found[:0]


def nested(rows: pl.Series, values: pl.Series, height: int) -> pl.Series:
    """A list column of `height` rows: `values` of each row together, in order; none: empty.

    Args:
        rows: UInt32, ascending: the row of each value.
        values: As long as `rows`.
        height: Rows of the result.
    """
    if not len(values):
        return _no_lists(values.name, values.dtype).new_from_index(0, height)
    ends = np.arange(height + 1, dtype=np.uint32)
    starts = np.searchsorted(rows.to_numpy(), ends, side="left").astype(np.int64)
    offsets = pa.array(starts)
    lists = pa.LargeListArray.from_arrays(offsets, values.to_arrow())
    return pl.Series(values.name, pl.from_arrow(lists))


@cache
def _no_lists(name: str, inner: pl.DataType) -> pl.Series:
    """One empty list of that type."""
    return pl.Series(name, [[]], pl.List(inner))


def opened(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """`frame` with each of these structs as columns `<struct>.<field>`, and without the structs.

    `Expr.struct` would copy every field; this takes them as they are.
    """
    return frame.unnest(*columns, separator=".")


def flat(lists: pl.Series) -> pl.DataFrame:
    """`at` (position in `lists`) and the fields of each struct of a list column."""
    told = items(lists)
    return told.struct.unnest().insert_column(0, places(lists) if len(told) else _NOWHERE)


def items(lists: pl.Series) -> pl.Series:
    """What all the lists hold, one after the other."""
    if lists.null_count() == len(lists):
        return _nothing(lists.dtype)
    return lists.explode(empty_as_null=False, keep_nulls=False)


@cache
def _nothing(lists: pl.DataType) -> pl.Series:
    """No item of such lists."""
    return pl.Series("item", [], lists).explode(empty_as_null=False, keep_nulls=False)


def texts(lists: pl.Series, field: str, name: str) -> pl.Series:
    """A list column `name`: one text of each struct of a list column; nulls are left out."""
    told = items(lists).struct.unnest()[field]
    at = places(lists) if len(told) else _NOWHERE
    if told.null_count():
        some = told.is_not_null()
        told, at = told.filter(some), at.filter(some)
    return nested(at, told.alias(name), len(lists))


def either(first: pl.Series, second: pl.Series) -> pl.Series:
    """`first`, or `second` where it is null: as it is, where that is everywhere."""
    if first.null_count() == len(first):
        return second
    if not first.null_count() or second.null_count() == len(second):
        return first
    return pl.DataFrame([first.alias("first"), second.alias("second")]).select(_EITHER).to_series()


_EITHER: Final = pl.coalesce("first", "second")


def inside(struct: pl.Series, *path: str) -> pl.Series:
    """A field of a struct, or of a struct in it: taken as it is, where `Expr.struct` copies."""
    for name in path:
        struct = struct.struct.unnest()[name]
    return struct


_NOWHERE: Final = pl.Series("at", [], pl.UInt32)


def places(lists: pl.Series) -> pl.Series:
    """`at` (UInt32): the position in `lists` of each of their items."""
    many = lists.alias("lists").to_frame().select(_LENGTHS).to_series().to_numpy()
    return pl.Series("at", np.repeat(np.arange(len(lists), dtype=np.uint32), many))


_LENGTHS: Final = pl.col("lists").list.len().fill_null(0)


_CREATED: Final = sane(pl.col("created_at"))


@cache
def _reckoned(names: frozenset[str], *, shifted: bool) -> list[pl.Expr]:
    """Columns of POST that take more than what a format found; made once for each format.

    Args:
        names: Columns that the format found.
        shifted: Whether there is a column `shift`, by how much a replay moves the clock.
    """
    claim = _CREATED + pl.col("shift") if shifted else _CREATED
    possible = claim <= pl.col("received_at") + _FUTURE
    counted = [pl.col(n).is_not_null() for n in COUNTERS if n in names]
    known = {
        "created_at": _CREATED,
        "edited_at": sane(pl.col("edited_at")),
        "version": pl.col("version").cast(pl.Int64).fill_null(0),
    }
    own = {
        "event_time": pl.when(possible).then(claim).otherwise("received_at"),
        "counters_at": pl.when(pl.any_horizontal(counted)).then("received_at") if counted else None,
        "version": pl.lit(0, pl.Int64),
    }
    exprs = {**own, **{n: e for n, e in known.items() if n in names}}
    return [e.cast(POST[n]).alias(n) for n, e in exprs.items() if e is not None]


def _posts(found: pl.DataFrame | None, records: pl.DataFrame, source: str) -> pl.DataFrame:
    """POST rows, with our times and the raw reference of their records.

    Column by column: a `select` of all takes longer than the work itself.
    """
    if found is None or not found.height:
        return NO_POSTS.clone()
    given = {s.name: s for s in found.get_columns()}
    given |= {s.name: s for s in _ours(found, records, source)}
    shift = _shift(records["headers"])
    if shift is not None:
        given["shift"] = shift.gather(given["row"]).alias("shift")
    asked = [given[n] for n in _ASKED if n in given]
    reckoned = _reckoned(frozenset(given), shifted=shift is not None)
    given |= {s.name: s for s in pl.DataFrame(asked).with_columns(reckoned).get_columns()}
    return _whole([given["row"].alias("record"), given["role"]], given, POST)


def _whole(first: list[pl.Series], given: dict[str, pl.Series], schema: pl.Schema) -> pl.DataFrame:
    """`first`, then the columns of a schema: those given, else null."""
    columns = list(first)
    for name, kind in schema.items():
        column = given.get(name)
        if column is None:
            column = _null(name, kind).new_from_index(0, len(first[0]))
        columns.append(column if column.dtype == kind else column.cast(kind))
    return pl.DataFrame(columns)


@cache
def _null(name: str, kind: pl.DataType) -> pl.Series:
    """A column of one null."""
    return pl.Series(name, [None], kind)


_ASKED: Final = ("created_at", "edited_at", "version", "received_at", "shift", *COUNTERS)


def _ours(found: pl.DataFrame, records: pl.DataFrame, source: str) -> list[pl.Series]:
    """`source`, `received_at`, `offset` of the record of each row found."""
    own = [_source(records["source"], source), records["received_at"], records["offset"]]
    rows = found["row"]
    return own if rows.equals(_count(len(records))) else [column[rows] for column in own]


def _count(many: int) -> pl.Series:
    return pl.Series(np.arange(many, dtype=np.uint32))


def _source(said: pl.Series, source: str) -> pl.Series:
    """The network of each record, the format's where none is said."""
    silent = said == ""
    return said if not silent.any() else said.set(silent, source)


def _shift(headers: pl.Series) -> pl.Series | None:
    """By how much a replay moves the clock: `shift_us` of the headers, else 0; None: nowhere."""
    if not (headers != "").any():
        return None
    return headers.to_frame("headers").select(_SHIFTED).to_series()


_SHIFTED: Final = (
    pl.col("headers")
    .str.extract(r'"shift_us"\s*:\s*(-?\d{1,18})\b')
    .cast(pl.Int64)
    .fill_null(0)
    .cast(pl.Duration("us"))
)


def _filled(
    found: pl.DataFrame | None, schema: pl.Schema, records: pl.DataFrame, source: str
) -> pl.DataFrame:
    """Rows of EVENT or INTERACTION; columns the format did not find are null."""
    if found is None or not found.height:
        return (NO_EVENTS if schema is EVENT else NO_INTERACTIONS).clone()
    given = {s.name: s for s in found.get_columns()}
    if "source" not in given:
        given["source"] = _ours(found, records, source)[0]
    if "at" in given:
        given["at"] = found.select(_AT).to_series()
    return _whole([given["row"].alias("record")], given, schema)


_AT: Final = sane(pl.col("at"))
