"""Window blocks: totals in one table, blocks in another that a series never reads."""
# ruff: noqa: S608 - SQL is put together from names of our own only

import datetime as dt
from collections.abc import Sequence
from typing import Any

import apsw
import numpy as np
import polars as pl

from earshot.clock import from_micros, micros
from earshot.disk import rows
from earshot.model.changes import DIRTY_AT
from earshot.model.schema import TIME
from earshot.store import WindowBlock
from earshot.store._feed import Feed
from earshot.store._rows import frame, numbers

SERIES = pl.Schema(
    [
        ("start", TIME),
        ("source", pl.String()),
        ("posts", pl.Int64()),
        ("authors", pl.Int64()),
        ("score", pl.Int64()),
    ]
)
THERE = pl.Schema([("start", TIME), ("source", pl.String()), ("rule", pl.Int64())])
TOLD = 500
"""The most windows that one change names; the newest."""
_KEY = "width = ? AND rule = ? AND source = ? AND start = ?"


def put(db: apsw.Connection, blocks: Sequence[WindowBlock]) -> None:
    """Replace blocks, no two of one window; an empty one takes its window away."""
    starts = {start: micros(start) for start in {b.start for b in blocks}}
    keys = [(b.width, b.rule, b.source, starts[b.start]) for b in blocks]
    gone = db.executemany(f"DELETE FROM windows WHERE {_KEY} RETURNING data", keys)
    old = np.array([n for (n,) in gone if n is not None], np.int64)
    db.execute("DELETE FROM blocks WHERE n IN (SELECT value FROM carray(?))", (numbers(old),))
    ((last,),) = rows(db, "SELECT coalesce(max(n), 0) FROM blocks")
    new = [(k, b) for k, b in zip(keys, blocks, strict=True) if b.data != b""]
    place = {k: n for n, k in enumerate((k for k, b in new if b.data), last + 1)}
    db.executemany(
        "INSERT INTO blocks VALUES (?, ?)", ((place[k], b.data) for k, b in new if b.data)
    )
    db.executemany(
        "INSERT INTO windows VALUES (?,?,?,?,?,?,?,?)",
        ((*k, b.posts, b.authors, b.score, place.get(k)) for k, b in new),
    )


def clean(db: apsw.Connection, minutes: pl.DataFrame) -> None:
    """Take DIRTY_AT rows off the list, but those dirtied again by a later commit."""
    db.executemany(
        'DELETE FROM dirty WHERE minute = ? AND source = ? AND "offset" <= ?',
        minutes.select(pl.col("minute").to_physical(), "source", "offset").rows(),
    )


def tell(db: apsw.Connection, feed: Feed, at: int, blocks: Sequence[WindowBlock]) -> None:
    """Name the windows that changed, the newest first."""
    changed = sorted({(b.start, b.width) for b in blocks}, reverse=True)
    if changed:
        named = [{"start": _iso(s), "width": w} for s, w in changed[:TOLD]]
        rules = sorted({b.rule for b in blocks if b.rule > 0})
        feed.put(db, at, "windows", rules, {"windows": named, "n": len(changed)})


def _iso(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def dirty(db: apsw.Connection) -> pl.DataFrame:
    """See `Store.dirty`."""
    columns = ", ".join(f'"{c}"' for c in DIRTY_AT)
    return frame(rows(db, f"SELECT {columns} FROM dirty ORDER BY minute, source"), DIRTY_AT)


def read(  # noqa: PLR0913 - one query, its parts
    db: apsw.Connection,
    *,
    width: int,
    since: dt.datetime,
    until: dt.datetime,
    source: str | None,
    rule: int | None,
) -> list[WindowBlock]:
    """See `Store.windows`."""
    found = rows(
        db,
        f"""{_BLOCKS} WHERE width = ? {"" if rule is None else "AND rule = ?"}
            AND start >= ? AND start < ? AND source = coalesce(?, source)
        ORDER BY start, source, rule""",
        (width, *([] if rule is None else [rule]), micros(since), micros(until), source),
    )
    return [_block(width, row) for row in found]


def read_at(db: apsw.Connection, width: int, windows: pl.DataFrame) -> list[WindowBlock]:
    """See `Store.windows_at`."""
    wanted = set(windows.select(pl.col("start").to_physical(), "source").rows())
    found = rows(
        db,
        f"""{_BLOCKS} WHERE width = ? AND start IN (SELECT value FROM carray(?))
        ORDER BY start, source, rule""",
        (width, numbers(windows["start"].to_physical().unique().to_numpy())),
    )
    return [_block(width, row) for row in found if row[:2] in wanted]


def there(db: apsw.Connection, width: int, windows: pl.DataFrame) -> pl.DataFrame:
    """See `Store.windows_there`."""
    found = rows(
        db,
        """SELECT start, source, rule FROM windows
        WHERE width = ? AND start IN (SELECT value FROM carray(?))""",
        (width, numbers(windows["start"].to_physical().unique().to_numpy())),
    )
    return frame(found, THERE).join(windows, on=["start", "source"], how="semi")


_BLOCKS = """SELECT start, source, rule, posts, authors, score, b.data
    FROM windows w JOIN blocks b ON b.n = w.data"""


def _block(width: int, row: tuple[Any, ...]) -> WindowBlock:
    start, source, rule, posts, authors, score, data = row
    return WindowBlock(from_micros(start), width, source, rule, posts, authors, score, data)


def series(  # noqa: PLR0913 - as above
    db: apsw.Connection,
    *,
    width: int,
    since: dt.datetime,
    until: dt.datetime,
    source: str | None,
    rule: int,
) -> pl.DataFrame:
    """See `Store.series`."""
    found = rows(
        db,
        """SELECT start, source, posts, authors, score FROM windows
        WHERE width = ? AND rule = ? AND source = coalesce(?, source) AND start >= ? AND start < ?
        ORDER BY start, source""",
        (width, rule, source, micros(since), micros(until)),
    )
    return frame(found, SERIES)
