"""What the engine reads to make minutes again: their posts, and what was seen in them of posts."""
# ruff: noqa: S608 - SQL is put together from names of our own only

from collections.abc import Collection, Iterator
from typing import Any, Final

import apsw
import polars as pl

from earshot.disk import rows
from earshot.model.changes import DIRTY
from earshot.model.schema import COUNTERS, TIME
from earshot.store._find import stored
from earshot.store._keys import span_of
from earshot.store._rows import (
    AT_SPOTS,
    ROW,
    as_sql,
    decoded,
    frame,
    numbers,
    read_spots,
    reading,
)

PAGE: Final = 8192
"""The most rows of one page."""
MINUTE: Final = 60_000_000
SEEN: Final = pl.Schema(
    [
        *((f"seen_{c}", pl.Int64()) for c in COUNTERS),
        *((f"before_{c}", pl.Int64()) for c in COUNTERS),
        ("base", pl.Boolean()),
    ]
)
OBSERVED: Final = pl.Schema([*ROW.items(), *SEEN.items()])
OBSERVED_IN: Final = pl.Schema([*OBSERVED.items(), ("minute", TIME)])
_HISTORY: Final = pl.Schema(
    [
        ("spot", pl.Int64()),
        ("minute", pl.Int64()),
        ("base", pl.Boolean()),
        *((c, pl.Int64()) for c in COUNTERS),
    ]
)
_SCORED: Final = pl.Schema([("spot", pl.Int64()), ("minute", TIME)])


Columns = Collection[str] | None
"""What is wanted of STORED; None: all."""


def posts_of(
    db: apsw.Connection, minutes: pl.DataFrame, *, columns: Columns, keys: pl.DataFrame | None
) -> Iterator[pl.DataFrame]:
    """ROW pages of the posts (or those of these KEYs) of these DIRTY rows, each post once."""
    wanted = minutes.select(DIRTY.names()).unique()
    more = None if columns is None else {*columns, "source", "event_time"}
    found = _in_minutes(db, wanted, more) if keys is None else _of_keys(db, keys, more)
    for some in found:
        page = some.with_columns(minute=pl.col("event_time").dt.truncate("1m"))
        page = page.join(wanted, on=DIRTY.names(), how="semi", maintain_order="left")
        if page.height:
            yield page.select(c for c in ROW if c in page.columns)


def _of_keys(db: apsw.Connection, keys: pl.DataFrame, columns: Columns) -> Iterator[pl.DataFrame]:
    spots = stored(db, keys, None)["spot"].unique().sort()
    for start in range(0, len(spots), PAGE):
        yield read_spots(db, spots[start : start + PAGE].to_numpy(), columns)


def _in_minutes(
    db: apsw.Connection, minutes: pl.DataFrame, columns: Columns
) -> Iterator[pl.DataFrame]:
    """SPOTTED pages of the posts of these minutes, and some more; many sparse minutes a page."""
    statement = f"""SELECT {as_sql(reading(columns))} FROM posts
        WHERE spot BETWEEN ? AND ? AND source IN (SELECT value FROM carray(?))
        ORDER BY spot LIMIT ?"""
    sources = apsw.carray(tuple(minutes["source"].unique().to_list()))
    held: list[tuple[Any, ...]] = []
    for first, last in _runs(minutes):
        low, high = span_of(first // 1000)[0], span_of((last + MINUTE - 1) // 1000)[1]
        while page := rows(db, statement, (low, high, sources, PAGE - len(held))):
            low = page[-1][0] + 1
            held += page
            if len(held) < PAGE:
                break
            yield decoded(db, held, columns)
            held = []
    yield decoded(db, held, columns)


def _runs(minutes: pl.DataFrame) -> list[tuple[int, int]]:
    """The first and the last of each row of minutes without a hole (µs)."""
    runs: list[tuple[int, int]] = []
    for minute in minutes["minute"].to_physical().unique().sort().to_list():
        if runs and runs[-1][1] == minute - MINUTE:
            runs[-1] = (runs[-1][0], minute)
        else:
            runs.append((minute, minute))
    return runs


def observed_in(
    db: apsw.Connection, minutes: pl.DataFrame, *, columns: Columns, keys: pl.DataFrame | None
) -> Iterator[pl.DataFrame]:
    """OBSERVED_IN pages of these DIRTY rows (or of these KEYs), each (post, minute) once."""
    wanted = minutes.select(DIRTY.names()).unique()
    more = None if columns is None else {*columns, "source"}
    spots = _observed(db, wanted) if keys is None else stored(db, keys, None)["spot"].unique()
    for start in range(0, len(spots), PAGE):
        posts = read_spots(db, spots[start : start + PAGE].to_numpy(), more)
        posts = posts.filter(pl.col("source").is_in(wanted["source"].unique().implode()))
        page = (
            posts.join(_seen(db, posts["spot"]), on="spot", maintain_order="left")
            .join(wanted, on=DIRTY.names(), how="semi", maintain_order="left")
            .drop("spot")
        )
        if page.height:
            yield page.select(c for c in OBSERVED_IN if c in page.columns)


def _observed(db: apsw.Connection, minutes: pl.DataFrame) -> pl.Series:
    """Where the posts lie that were observed in these minutes."""
    found = rows(
        db,
        """SELECT DISTINCT spot FROM observations
        WHERE minute IN (SELECT value FROM carray(?)) ORDER BY spot""",
        (numbers(minutes["minute"].to_physical().unique().to_numpy()),),
    )
    return pl.Series("spot", [spot for (spot,) in found], pl.Int64)


def minutes_scored(db: apsw.Connection, posts: pl.DataFrame) -> pl.DataFrame:
    """DIRTY: the minutes in which these posts (`source`, `spot`) were observed."""
    if posts.height == 0:
        return pl.DataFrame(schema=DIRTY)
    some = f"SELECT spot, minute FROM observations WHERE {AT_SPOTS}"
    seen = frame(rows(db, some, (numbers(posts["spot"].to_numpy()),)), _SCORED)
    return seen.join(posts.unique("spot"), on="spot").select(DIRTY.names()).unique()


def last_observed(db: apsw.Connection) -> int | None:
    """The newest minute (µs) in which anything was observed."""
    ((minute,),) = rows(db, "SELECT max(minute) FROM observations")
    return None if minute is None else int(minute)


def _seen(db: apsw.Connection, spots: pl.Series) -> pl.DataFrame:
    """`spot`, `minute`, and SEEN of all minutes of these posts."""
    columns = ", ".join(_HISTORY)
    some = f"SELECT {columns} FROM observations WHERE {AT_SPOTS} ORDER BY spot, minute"
    history = frame(rows(db, some, (numbers(spots.to_numpy()),)), _HISTORY)
    before = [pl.col(c).forward_fill().shift(1).over("spot").alias(f"before_{c}") for c in COUNTERS]
    return history.with_columns(pl.col("minute").cast(TIME), *before).rename(
        {c: f"seen_{c}" for c in COUNTERS}
    )
