"""What was seen of posts in a minute, and what had been seen of them before."""

from typing import Final

import apsw
import polars as pl

from earshot.disk import rows
from earshot.model.schema import COUNTERS
from earshot.store._rows import AT_SPOTS, ROW, frame, numbers, read_spots, with_rules

OBSERVED: Final = pl.Schema(
    [
        *ROW.items(),
        *((f"seen_{c}", pl.Int64()) for c in COUNTERS),
        *((f"before_{c}", pl.Int64()) for c in COUNTERS),
        ("base", pl.Boolean()),
    ]
)
_LIST = ", ".join(COUNTERS)


def observed(db: apsw.Connection, minute: int, source: str) -> pl.DataFrame:
    """See `Store.observed`; a counter that was not seen before is the last one that was."""
    found = rows(db, "SELECT spot FROM observations WHERE minute = ?", (minute,))
    spots = pl.Series("spot", [s for (s,) in found], pl.Int64).to_numpy()
    posts = read_spots(db, spots).filter(pl.col("source") == source)
    if posts.height == 0:
        return pl.DataFrame(schema=OBSERVED)
    at = numbers(posts["spot"].to_numpy())
    history = frame(
        rows(
            db,
            f"SELECT spot, minute, base, {_LIST} FROM observations WHERE {AT_SPOTS} AND minute <= ?",  # noqa: S608 - our own
            (at, minute),
        ),
        pl.Schema(
            {"spot": pl.Int64, "minute": pl.Int64, "base": pl.Boolean}
            | dict.fromkeys(COUNTERS, pl.Int64)
        ),
    )
    now = history.filter(pl.col("minute") == minute).rename({c: f"seen_{c}" for c in COUNTERS})
    before = (
        history.filter(pl.col("minute") < minute)
        .sort("spot", "minute")
        .group_by("spot")
        .agg(pl.col(c).drop_nulls().last().alias(f"before_{c}") for c in COUNTERS)
    )
    joined = now.join(before, on="spot", how="left")
    whole = with_rules(db, posts).with_columns(posts["spot"])
    return whole.join(joined, on="spot", maintain_order="left").select(OBSERVED.names())
