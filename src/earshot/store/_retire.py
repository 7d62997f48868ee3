"""Retention: posts go in the order they were received, in bounded steps, each a transaction."""
# ruff: noqa: S608 - SQL is put together from names of our own only

import datetime as dt
from collections.abc import Iterator
from typing import Final

import apsw
import numpy as np
import polars as pl

from earshot.clock import micros
from earshot.disk import rows, used_bytes
from earshot.store import _families
from earshot.store._apply import remove
from earshot.store._find import REMEMBERED_S
from earshot.store._keys import span_of

STEP: Final = 5_000
"""Posts of one transaction: a reader or the next batch waits no longer than for these."""
MINUTE: Final = 60_000_000
QUARANTINE_DAYS: Final = 30
VACUUM_PAGES: Final = 20_000
"""Free pages given back to the file system at once."""


def steps(db: apsw.Connection, before: int, max_bytes: int) -> Iterator[list[tuple[int, str, int]]]:
    """The posts to remove next: spot, source, event time; the caller removes them in between."""
    while True:
        too_large = used_bytes(db) > max_bytes
        limit = "" if too_large else "WHERE received_at < ?"
        found = rows(
            db,
            f"SELECT spot, source, event_time FROM posts {limit} ORDER BY received_at LIMIT {STEP}",
            () if too_large else (before,),
        )
        if not found:
            return
        yield found


def retire(db: apsw.Connection, found: list[tuple[int, str, int]], at: int) -> int:
    """Remove posts and what belongs to them, count them, freeze their minutes.

    Returns:
        The end of the last minute (µs) that is incomplete now.
    """
    remove(db, np.array([spot for spot, *_ in found], np.int64), belongings=True)
    gone = pl.DataFrame(found, ["spot", "source", "time"], orient="row")
    minutes = gone.select("source", minute=pl.col("time") // MINUTE * MINUTE).unique()
    counts = gone.group_by("source").len()
    now = at // MINUTE * MINUTE
    db.executemany(
        """INSERT INTO counts VALUES (?, ?, 0, 'expired', ?)
        ON CONFLICT DO UPDATE SET n = n + excluded.n""",
        ((now, source, n) for source, n in counts.rows()),
    )
    db.executemany(
        """INSERT INTO totals VALUES (?, 0, 'expired', ?)
        ON CONFLICT DO UPDATE SET n = n + excluded.n""",
        counts.rows(),
    )
    frozen = minutes.select("minute", "source").rows()
    db.executemany("INSERT OR IGNORE INTO frozen VALUES (?, ?)", frozen)
    db.executemany("DELETE FROM dirty WHERE minute = ? AND source = ?", frozen)
    _drop_windows(db, frozen)
    return int(gone["time"].max()) // MINUTE * MINUTE + MINUTE  # type: ignore[arg-type]  # integers


def _drop_windows(db: apsw.Connection, frozen: list[tuple[int, str]]) -> None:
    """Take away the contents of windows none of whose posts is left; their totals stay."""
    spans = {(m // (w * 1_000_000), w, s) for m, s in frozen for w in (60, 300, 3600)}
    for number, width, source in sorted(spans):
        start = number * width * 1_000_000
        low, high = span_of(start // 1000)[0], span_of(start // 1000 + width * 1000 - 1)[1]
        for name in (source, "*"):
            left = "SELECT 1 FROM posts WHERE spot BETWEEN ? AND ? AND ? IN (source, '*') LIMIT 1"
            if rows(db, left, (low, high, name)):
                continue
            window = (start, width, name)
            some = "start = ? AND width = ? AND source = ?"
            db.execute(
                f"DELETE FROM blocks WHERE n IN (SELECT data FROM windows WHERE {some})", window
            )
            db.execute(f"UPDATE windows SET data = NULL WHERE {some}", window)


def sweep(db: apsw.Connection, before: dt.datetime, at: dt.datetime) -> None:
    """Drop what is kept for a time of its own: quarantine, remembered keys, old texts and likes."""
    now = micros(at)
    _drop_front(db, "texts", "at", micros(before))
    month = now - QUARANTINE_DAYS * 86_400_000_000
    db.execute("DELETE FROM quarantine WHERE received_at < ?", (month,))
    _drop_front(db, "remembered", "at", now - REMEMBERED_S * 1_000_000)
    _families.sweep(db)
    ((oldest,),) = rows(db, "SELECT min(received_at) FROM posts")
    if oldest is not None:
        _drop_front(db, "interactions", "taken", oldest)


def _drop_front(db: apsw.Connection, table: str, column: str, before: int) -> None:
    """Drop the first rows of a table that is filled in order of time, up to the first to keep."""
    first = f"SELECT n FROM {table} WHERE {column} >= ? ORDER BY n LIMIT 1"
    keep = rows(db, first, (before,))
    last = f"SELECT coalesce(max(n), 0) + 1 FROM {table}"
    end = keep[0][0] if keep else rows(db, last)[0][0]
    db.execute(f"DELETE FROM {table} WHERE n < ?", (end,))


def give_back(db: apsw.Connection) -> None:
    """Give free pages back to the file system, outside any transaction."""
    db.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
