"""Window blocks: totals in one table, blocks in another that a series never reads."""
# ruff: noqa: S608 - SQL is put together from names of our own only

import datetime as dt
from collections.abc import Sequence

import apsw
import polars as pl

from earshot.clock import from_micros, micros
from earshot.disk import rows
from earshot.model.schema import TIME
from earshot.store import WindowBlock
from earshot.store._feed import Feed
from earshot.store._rows import frame

SERIES = pl.Schema(
    [
        ("start", TIME),
        ("source", pl.String()),
        ("posts", pl.Int64()),
        ("authors", pl.Int64()),
        ("score", pl.Int64()),
    ]
)
TOLD = 500
"""The most windows that one change names; the newest."""
_KEY = "width = ? AND rule = ? AND source = ? AND start = ?"


def put(db: apsw.Connection, blocks: Sequence[WindowBlock]) -> None:
    """Replace blocks; an empty one takes its window away."""
    for block in blocks:
        key = (block.width, block.rule, block.source, micros(block.start))
        old = rows(db, f"DELETE FROM windows WHERE {_KEY} RETURNING data", key)
        n = old[0][0] if old else None
        if not block.data:
            db.execute("DELETE FROM blocks WHERE n = ?", (n,))
            continue
        db.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?)", (n, block.data))
        at = db.last_insert_rowid() if n is None else n
        totals = (block.posts, block.authors, block.score)
        db.execute("INSERT INTO windows VALUES (?,?,?,?,?,?,?,?)", (*key, *totals, at))


def clean(db: apsw.Connection, minutes: pl.DataFrame) -> None:
    """Take DIRTY rows off the list."""
    db.executemany(
        "DELETE FROM dirty WHERE minute = ? AND source = ?",
        minutes.select(pl.col("minute").to_physical(), "source").rows(),
    )


def tell(db: apsw.Connection, feed: Feed, at: int, blocks: Sequence[WindowBlock]) -> None:
    """Name the windows that changed, the newest first."""
    changed = sorted({(b.start, b.width) for b in blocks}, reverse=True)
    if changed:
        named = [{"start": _iso(s), "width": w} for s, w in changed[:TOLD]]
        rules = sorted({b.rule for b in blocks if b.rule})
        feed.put(db, at, "windows", rules, {"windows": named, "n": len(changed)})


def _iso(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def dirty(db: apsw.Connection) -> list[tuple[int, str]]:
    """Minutes (µs) and sources not yet cleaned, in order."""
    return [(m, s) for m, s in rows(db, "SELECT minute, source FROM dirty ORDER BY minute, source")]


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
        f"""SELECT start, source, rule, posts, authors, score, b.data
        FROM windows w JOIN blocks b ON b.n = w.data
        WHERE width = ? {"" if rule is None else "AND rule = ?"} AND start >= ? AND start < ?
            AND source = coalesce(?, source)
        ORDER BY start, source, rule""",
        (width, *([] if rule is None else [rule]), micros(since), micros(until), source),
    )
    return [
        WindowBlock(
            start=from_micros(start),
            width=width,
            source=its_source,
            rule=its_rule,
            posts=posts,
            authors=authors,
            score=score,
            data=data,
        )
        for start, its_source, its_rule, posts, authors, score, data in found
    ]


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
