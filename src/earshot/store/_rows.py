"""Frames into SQL rows and back, in columns; a stored post comes back exactly as it went in."""
# ruff: noqa: S608 - SQL is put together from names of our own only

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import apsw
import numpy as np
import polars as pl

from earshot.disk import rows
from earshot.model.schema import STORED, TIME
from earshot.store._keys import I64
from earshot.store._schema import COLUMNS, FLAGS, LISTS, PLAIN

ROW: Final = pl.Schema([*STORED.items(), ("rules", pl.List(pl.Int64()))])
"""What `select`, `get` and their like give."""
SPOTTED: Final = pl.Schema([("spot", pl.Int64()), *STORED.items()])

SHORT: Final = dict(zip(LISTS, "hmcld", strict=True))
"""Names of the lists within their JSON text."""
LISTED: Final = pl.Struct({SHORT[c]: STORED[c] for c in LISTS})


AT_SPOTS: Final = "spot IN (SELECT value FROM carray(?))"
"""An SQL condition; its value is `numbers` of the spots."""


NOTHING: Final = np.array([-(1 << 63)], np.int64)
"""SQLite takes no empty array; nothing lies here."""


def numbers(array: I64) -> Any:  # noqa: ANN401 - apsw gives its type no name
    """An array as a value of `carray(?)`; sorted, so that the file is read in order."""
    return apsw.carray(np.sort(array) if len(array) else NOTHING)


def encoded(posts: pl.DataFrame) -> pl.DataFrame:
    """Turn STORED columns into those of the table `posts`, without those that are all null."""
    empty = pl.all_horizontal(pl.col(c).list.len().eq_missing(0) for c in LISTS)
    lists = pl.struct(pl.col(c).alias(SHORT[c]) for c in LISTS).struct.json_encode()
    flags = pl.sum_horizontal(
        pl.col(c).fill_null(value=False).cast(pl.Int64) * (1 << bit) for bit, c in enumerate(FLAGS)
    )
    table = posts.select(
        *(_as_sql(c) for c in PLAIN),
        flags=flags,
        lists=pl.when(~empty).then(lists),
    )
    return table.select(s for s in table if s.null_count() < len(s))


def _as_sql(column: str) -> pl.Expr:
    if STORED[column] == TIME:
        return pl.col(column).to_physical()
    if STORED[column] == pl.UInt64:
        return pl.col(column).reinterpret(signed=True)
    return pl.col(column)


def merged(columns: Iterable[str], *, newer: str) -> str:
    """The assignments of an upsert in which the newest known value of each column wins."""
    new, old = "coalesce(excluded.{0}, {0})", "coalesce({0}, excluded.{0})"
    case = f"{{0}} = CASE WHEN {newer} THEN {new} ELSE {old} END"
    return ", ".join(case.format(c) for c in columns)


def insert(db: apsw.Connection, statement: str, table: str, columns: pl.DataFrame) -> None:
    """Write a frame's columns into a table; `statement` is e.g. `INSERT OR IGNORE`."""
    names = ", ".join(f'"{c}"' for c in columns.columns)
    marks = ", ".join("?" * columns.width)
    values = [s.to_list() for s in columns.iter_columns()]
    db.executemany(
        f"{statement} INTO {table} ({names}) VALUES ({marks})", zip(*values, strict=True)
    )


def frame(found: Sequence[tuple[Any, ...]], schema: pl.Schema) -> pl.DataFrame:
    """SQL rows as a frame; times are microseconds, booleans 0 and 1."""
    columns = zip(*found, strict=True) if found else iter([()] * len(schema))
    return pl.DataFrame(
        [
            _column(name, values, dtype)
            for (name, dtype), values in zip(schema.items(), columns, strict=True)
        ]
    )


def _column(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    if dtype in {TIME, pl.Boolean()}:
        return pl.Series(name, values, pl.Int64).cast(dtype)
    if dtype == pl.UInt64:
        return pl.Series(name, values, pl.Int64).reinterpret(signed=False)
    return pl.Series(name, values, dtype)


def reading(columns: Collection[str] | None) -> tuple[str, ...]:
    """The SQL columns, `spot` first, that these columns of STORED are made of (None: all)."""
    if columns is None:
        return ("spot", *COLUMNS)
    shared = [c for c, parts in (("flags", FLAGS), ("lists", LISTS)) if {*parts} & {*columns}]
    return ("spot", *(c for c in PLAIN if c in columns), *shared)


def as_sql(columns: Iterable[str]) -> str:
    """Columns to name in a SELECT."""
    return ", ".join(f'"{c}"' for c in columns)


def decoded(
    found: Sequence[tuple[Any, ...]], columns: Collection[str] | None = None
) -> pl.DataFrame:
    """SPOTTED rows of what was read of `reading(columns)`; only these columns, where given."""
    wanted = [c for c in SPOTTED if columns is None or c == "spot" or c in columns]
    if not found:
        return pl.DataFrame(schema={c: SPOTTED[c] for c in wanted})
    read = dict(zip(reading(columns), zip(*found, strict=True), strict=True))
    frame = pl.DataFrame([_column(c, read[c], SPOTTED[c]) for c in read if c in SPOTTED])
    if "flags" in read:
        flags = pl.lit(pl.Series(read["flags"], dtype=pl.Int64))
        bits = ((flags // (1 << bit) % 2 == 1).alias(c) for bit, c in enumerate(FLAGS))
        frame = frame.with_columns(bits)
    if "lists" in read:
        frame = frame.with_columns(_lists(pl.Series("lists", read["lists"], pl.String)))
    return frame.select(wanted)


def _lists(text: pl.Series) -> list[pl.Series]:
    """The list columns of their JSON text; without one, all of them are empty."""
    if text.null_count() == len(text):
        return [pl.Series(c, [[]], STORED[c]).new_from_index(0, len(text)) for c in LISTS]
    blank = "{" + ",".join(f'"{short}":[]' for short in SHORT.values()) + "}"
    read = text.fill_null(blank).str.json_decode(LISTED).struct.unnest()
    return [read[SHORT[c]].alias(c) for c in LISTS]


def read_spots(
    db: apsw.Connection, spots: I64, columns: Collection[str] | None = None
) -> pl.DataFrame:
    """SPOTTED rows of these spots, in order of spot; only these columns, where given."""
    if len(spots) == 0:
        return decoded([], columns)
    statement = f"SELECT {as_sql(reading(columns))} FROM posts WHERE {AT_SPOTS} ORDER BY spot"
    return decoded(rows(db, statement, (numbers(spots),)), columns)


def with_rules(db: apsw.Connection, posts: pl.DataFrame) -> pl.DataFrame:
    """SPOTTED rows with the rules that matched each, as ROW, as far as they have its columns."""
    none = pl.col("rules").fill_null(pl.lit([], pl.List(pl.Int64)))
    wanted = [c for c in ROW if c in posts.columns or c == "rules"]
    if posts.height == 0:
        return pl.DataFrame(schema={c: ROW[c] for c in wanted})
    found = rows(
        db,
        "SELECT spot, rule FROM hits WHERE spot IN (SELECT value FROM carray(?)) ORDER BY 1, 2",
        (numbers(posts["spot"].to_numpy()),),
    )
    hits = frame(found, pl.Schema({"spot": pl.Int64, "rules": pl.Int64}))
    lists = hits.group_by("spot").agg("rules")
    joined = posts.join(lists, on="spot", how="left", maintain_order="left")
    return joined.with_columns(none).select(wanted)
