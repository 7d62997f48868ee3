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
SPOTTED: Final = pl.Schema([("spot", pl.Int64()), *ROW.items()])

SHORT: Final = dict(zip(LISTS, "hmcld", strict=True))
"""Names of the lists within their JSON text."""
LISTED: Final = pl.Struct({SHORT[c]: STORED[c] for c in LISTS})
_FIELDS: Final = ("url", "expanded", "canonical", "domain", "kind", "alt")
_LONG: Final = [f'"{field}":' for field in _FIELDS]
_BRIEF: Final = [f'"{field[0].upper()}":' for field in _FIELDS]
"""Names of fields as they lie in the file. No value of a JSON text holds a bare quotation mark, so
neither these nor an empty list can be mistaken for a part of one."""
_EMPTY: Final = [f'"{short}":[],' for short in SHORT.values()]

_PAGE: Final = (
    pl.when(pl.col("source") == "bluesky")
    .then(
        pl.lit("https://bsky.app/profile/")
        + pl.col("id")
        .str.strip_prefix("at://")
        .str.replace("/app.bsky.feed.post/", "/post/", literal=True)
    )
    .when(pl.col("source") == "x")
    .then(pl.concat_str(pl.lit("https://x.com/"), "author_handle", pl.lit("/status/"), "id"))
)
DERIVED: Final = {
    "created_at": (pl.col("event_time"), ("event_time",)),
    "root": (pl.col("id"), ("id",)),
    "conversation": (pl.col("root"), ("root", "id")),
    "permalink": (_PAGE, ("source", "id", "author_handle")),
}
"""Columns that mostly say what others do (and which these are): where they do, a bit of `flags`
(behind those of FLAGS) says so in their place. What a row holds of a handle never changes."""
NAMES: Final = {"author_handle": "handle", "author_name": "name"}
"""Columns that may become known after the post, and the columns of `names` that then say them."""
_BIT: Final = {c: 1 << bit for bit, c in enumerate((*FLAGS, *DERIVED))}


AT_SPOTS: Final = "spot IN (SELECT value FROM carray(?))"
"""An SQL condition; its value is `numbers` of the spots."""


NOTHING: Final = np.array([-(1 << 63)], np.int64)
"""SQLite takes no empty array; nothing lies here."""


def numbers(array: I64) -> Any:  # noqa: ANN401 - apsw gives its type no name
    """An array as a value of `carray(?)`; sorted, so that the file is read in order."""
    return apsw.carray(np.sort(array) if len(array) else NOTHING)


def encoded(posts: pl.DataFrame) -> pl.DataFrame:
    """Turn STORED columns into those of the table `posts`, without those that are all null."""
    same = posts.select((pl.col(c) == other).alias(c) for c, (other, _) in DERIVED.items())
    same = same.fill_null(value=False)
    bits = pl.DataFrame([posts[c] for c in FLAGS] + same.get_columns()).fill_null(value=False)
    flags = bits.select(pl.sum_horizontal(pl.col(c).cast(pl.Int64) * _BIT[c] for c in _BIT))
    table = posts.select(
        *(
            pl.when(~pl.lit(same[c])).then(_as_sql(c)).alias(c) if c in DERIVED else _as_sql(c)
            for c in PLAIN
        ),
        flags=flags.to_series(),
        lists=_lists_as_text(posts),
    )
    return table.select(s for s in table if s.null_count() < len(s))


def _lists_as_text(posts: pl.DataFrame) -> pl.Series:
    """The list columns as one JSON object without those that are empty; null: all are."""
    lists = pl.struct(pl.col(c).alias(SHORT[c]) for c in LISTS).struct.json_encode()
    last = f',"{SHORT[LISTS[-1]]}":[]'
    text = lists.str.replace_many(_EMPTY, [""]).str.replace(last, "", literal=True)
    empty = pl.all_horizontal(pl.col(c).list.len().eq_missing(0) for c in LISTS)
    brief = pl.when(~empty).then(text.str.replace_many(_LONG, _BRIEF))
    return posts.select(lists=brief).to_series()


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
    """The SQL columns, `spot` first, that these columns and `rules` are made of (None: all)."""
    if columns is None:
        return ("spot", *COLUMNS, "rules")
    wanted = {*columns}.union(*(parts for c, (_, parts) in DERIVED.items() if c in columns))
    if wanted & {*NAMES}:
        wanted |= {"source", "author_id"}
    shared = [c for c, parts in (("flags", _BIT), ("lists", LISTS)) if {*parts} & wanted]
    return ("spot", *(c for c in PLAIN if c in wanted), *shared, "rules")


def as_sql(columns: Iterable[str]) -> str:
    """Columns to name in a SELECT."""
    return ", ".join(f'"{c}"' for c in columns)


def decoded(
    db: apsw.Connection, found: Sequence[tuple[Any, ...]], columns: Collection[str] | None = None
) -> pl.DataFrame:
    """SPOTTED rows of what was read of `reading(columns)`; only these columns, where given.

    `spot` and `rules` come always. Posts that came without handle or name get the first of each
    that became known of their author (see `_names`).
    """
    wanted = [c for c in SPOTTED if columns is None or c in {"spot", "rules", *columns}]
    if not found:
        return pl.DataFrame(schema={c: SPOTTED[c] for c in wanted})
    read = dict(zip(reading(columns), zip(*found, strict=True), strict=True))
    plain = [c for c in read if c in SPOTTED and c != "rules"]
    frame = pl.DataFrame([_column(c, read[c], SPOTTED[c]) for c in plain])
    frame = frame.with_columns(_rules(pl.Series("rules", read["rules"], pl.String)))
    if "flags" in read:
        flags = pl.Series(read["flags"], dtype=pl.Int64)
        frame = frame.with_columns(_is_set(flags, c).alias(c) for c in FLAGS)
        for column in (c for c in DERIVED if c in read):
            original = pl.when(pl.lit(_is_set(flags, column))).then(DERIVED[column][0])
            frame = frame.with_columns(original.otherwise(column).alias(column))
    if "lists" in read:
        frame = frame.with_columns(_lists(pl.Series("lists", read["lists"], pl.String)))
    return _named(db, frame).select(wanted)


def _named(db: apsw.Connection, posts: pl.DataFrame) -> pl.DataFrame:
    there = [c for c in NAMES if c in posts.columns]
    if not there:
        return posts
    missing = posts.filter(pl.any_horizontal(pl.col(c).is_null() for c in there))
    asked = missing["author_id"].drop_nulls().unique()
    if len(asked) == 0:
        return posts
    statement = f"""SELECT source, id, {", ".join(NAMES.values())} FROM names
        WHERE id IN (SELECT value FROM carray(?))"""
    known = rows(db, statement, (apsw.carray(tuple(asked)),))
    if not known:
        return posts
    keys = ("source", "author_id")
    names = pl.DataFrame(known, pl.Schema(dict.fromkeys((*keys, *NAMES), pl.String)), orient="row")
    matched = posts.select(keys).join(names, on=keys, how="left", maintain_order="left")
    return posts.with_columns(pl.coalesce(posts[c], matched[c]).alias(c) for c in there)


def _is_set(flags: pl.Series, column: str) -> pl.Series:
    return flags // _BIT[column] % 2 == 1


def _rules(text: pl.Series) -> pl.Series:
    """Lists of the numbers in these texts; without a text, an empty one."""
    if text.null_count() == len(text):
        return pl.Series("rules", [[]], ROW["rules"]).new_from_index(0, len(text))
    lists = text.str.split(" ").cast(ROW["rules"])
    return lists.to_frame().select(pl.col("rules").fill_null(pl.lit([], ROW["rules"])))["rules"]


def _lists(text: pl.Series) -> list[pl.Series]:
    """The list columns of their JSON text; without one, all of them are empty."""
    if text.null_count() == len(text):
        return [pl.Series(c, [[]], STORED[c]).new_from_index(0, len(text)) for c in LISTS]
    whole = text.fill_null("{}").str.replace_many(_BRIEF, _LONG)
    read = whole.str.json_decode(LISTED).struct.unnest()
    return [
        read.select(
            pl.when(pl.lit(whole.str.contains(f'"{short}":null', literal=True)))
            .then(None)
            .otherwise(pl.col(short).fill_null(pl.lit([], STORED[c])))
            .alias(c)
        ).to_series()
        for c, short in SHORT.items()
    ]


def read_spots(
    db: apsw.Connection, spots: I64, columns: Collection[str] | None = None
) -> pl.DataFrame:
    """SPOTTED rows of these spots, in order of spot; only these columns, where given."""
    if len(spots) == 0:
        return decoded(db, [], columns)
    statement = f"SELECT {as_sql(reading(columns))} FROM posts WHERE {AT_SPOTS} ORDER BY spot"
    return decoded(db, rows(db, statement, (numbers(spots),)), columns)
