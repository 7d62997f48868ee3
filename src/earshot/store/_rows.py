"""Frames into SQL rows and back, in columns; a stored post comes back exactly as it went in."""
# ruff: noqa: S608 - SQL is put together from names of our own only

from collections.abc import Iterable, Sequence
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
_READ = "spot, " + ", ".join(f'"{c}"' for c in COLUMNS)


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


def decoded(found: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """SPOTTED rows of what `SELECT spot, COLUMNS` gave."""
    if not found:
        return pl.DataFrame(schema=SPOTTED)
    columns = dict(zip(("spot", *COLUMNS), zip(*found, strict=True), strict=True))
    spot = pl.Series("spot", columns["spot"], pl.Int64)
    plain = [_column(c, columns[c], STORED[c]) for c in PLAIN]
    flags = pl.Series("flags", columns["flags"], pl.Int64)
    lists = pl.Series("lists", columns["lists"], pl.String)
    both = pl.DataFrame([spot, *plain, flags, lists]).with_columns(
        *((pl.col("flags") // (1 << bit) % 2 == 1).alias(c) for bit, c in enumerate(FLAGS)),
        *_lists(lists),
    )
    return both.select(SPOTTED.names())


def _lists(text: pl.Series) -> list[pl.Series]:
    """The list columns of their JSON text; without one, all of them are empty."""
    if text.null_count() == len(text):
        return [pl.Series(c, [[]], STORED[c]).new_from_index(0, len(text)) for c in LISTS]
    blank = "{" + ",".join(f'"{short}":[]' for short in SHORT.values()) + "}"
    read = text.fill_null(blank).str.json_decode(LISTED).struct.unnest()
    return [read[SHORT[c]].alias(c) for c in LISTS]


def read_posts(db: apsw.Connection, where: str, values: Sequence[Any]) -> pl.DataFrame:
    """SPOTTED rows of the posts that an SQL condition names, in order of spot."""
    statement = f"SELECT {_READ} FROM posts WHERE {where} ORDER BY spot"
    return decoded(rows(db, statement, values))


def read_spots(db: apsw.Connection, spots: I64) -> pl.DataFrame:
    """SPOTTED rows of these spots, in order of spot."""
    if len(spots) == 0:
        return pl.DataFrame(schema=SPOTTED)
    return read_posts(db, AT_SPOTS, (numbers(spots),))


def with_rules(db: apsw.Connection, posts: pl.DataFrame) -> pl.DataFrame:
    """SPOTTED rows with the rules that matched each, as ROW; keeps their order."""
    none = pl.col("rules").fill_null(pl.lit([], pl.List(pl.Int64)))
    if posts.height == 0:
        return pl.DataFrame(schema=ROW)
    found = rows(
        db,
        "SELECT spot, rule FROM hits WHERE spot IN (SELECT value FROM carray(?)) ORDER BY 1, 2",
        (numbers(posts["spot"].to_numpy()),),
    )
    hits = frame(found, pl.Schema({"spot": pl.Int64, "rules": pl.Int64}))
    lists = hits.group_by("spot").agg("rules")
    joined = posts.join(lists, on="spot", how="left", maintain_order="left")
    return joined.with_columns(none).select(ROW.names())
