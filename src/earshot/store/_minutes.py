"""What the engine reads to make minutes again: their posts, and what was seen in them of posts."""
# ruff: noqa: S608 - SQL is put together from names of our own only

from collections.abc import Iterator
from typing import Final

import apsw
import polars as pl

from earshot.disk import rows
from earshot.model.changes import DIRTY
from earshot.model.schema import COUNTERS, TIME
from earshot.store._keys import span_of
from earshot.store._rows import AT_SPOTS, ROW, frame, numbers, read_posts, read_spots, with_rules

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


def posts_of(db: apsw.Connection, minutes: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """ROW pages of the posts of these DIRTY rows, in order of spot, each post once."""
    wanted = minutes.select(DIRTY.names()).unique()
    some = "spot BETWEEN ? AND ? AND source IN (SELECT value FROM carray(?))"
    for first, last in _runs(wanted):
        here = wanted.filter(pl.col("minute").to_physical().is_between(first, last))
        sources = apsw.carray(tuple(here["source"].unique().to_list()))
        low, high = span_of(first // 1000)[0], span_of((last + MINUTE - 1) // 1000)[1]
        while low <= high:
            edge = rows(
                db,
                f"SELECT spot FROM posts WHERE {some} ORDER BY spot LIMIT 1 OFFSET {PAGE - 1}",
                (low, high, sources),
            )
            end = edge[0][0] if edge else high
            page = read_posts(db, some, (low, end, sources))
            page = page.with_columns(minute=pl.col("event_time").dt.truncate("1m"))
            page = page.join(wanted, on=DIRTY.names(), how="semi", maintain_order="left")
            if page.height:
                yield with_rules(db, page)
            low = end + 1


def _runs(minutes: pl.DataFrame) -> list[tuple[int, int]]:
    """The first and the last of each row of minutes without a hole (µs)."""
    runs: list[tuple[int, int]] = []
    for minute in minutes["minute"].to_physical().unique().sort().to_list():
        if runs and runs[-1][1] == minute - MINUTE:
            runs[-1] = (runs[-1][0], minute)
        else:
            runs.append((minute, minute))
    return runs


def observed_in(db: apsw.Connection, minutes: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """OBSERVED_IN pages of these DIRTY rows, each (post, minute) once."""
    wanted = minutes.select(DIRTY.names()).unique()
    asked = wanted["minute"].to_physical().unique().to_numpy()
    found = rows(
        db,
        """SELECT DISTINCT spot FROM observations
        WHERE minute IN (SELECT value FROM carray(?)) ORDER BY spot""",
        (numbers(asked),),
    )
    spots = pl.Series("spot", [spot for (spot,) in found], pl.Int64)
    for start in range(0, len(spots), PAGE):
        posts = read_spots(db, spots[start : start + PAGE].to_numpy())
        posts = posts.filter(pl.col("source").is_in(wanted["source"].unique().implode()))
        whole = with_rules(db, posts).with_columns(posts["spot"])
        page = (
            whole.join(_seen(db, posts["spot"]), on="spot", maintain_order="left")
            .join(wanted, on=DIRTY.names(), how="semi", maintain_order="left")
            .select(OBSERVED_IN.names())
        )
        if page.height:
            yield page


def _seen(db: apsw.Connection, spots: pl.Series) -> pl.DataFrame:
    """`spot`, `minute`, and SEEN of all minutes of these posts."""
    columns = ", ".join(_HISTORY)
    some = f"SELECT {columns} FROM observations WHERE {AT_SPOTS} ORDER BY spot, minute"
    history = frame(rows(db, some, (numbers(spots.to_numpy()),)), _HISTORY)
    before = [pl.col(c).forward_fill().shift(1).over("spot").alias(f"before_{c}") for c in COUNTERS]
    return history.with_columns(pl.col("minute").cast(TIME), *before).rename(
        {c: f"seen_{c}" for c in COUNTERS}
    )
