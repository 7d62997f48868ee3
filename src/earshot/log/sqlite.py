"""The log in one SQLite file: a row per block of at most 1,000 records and some megabytes.

A block is an Arrow stream under zstd with a checksum. Every append is on disk when it returns
(WAL, synchronous FULL), and any number of processes may append: SQLite's write lock orders them.
"""

import datetime as dt
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Self

import apsw
import polars as pl
import zstandard

from earshot.clock import micros
from earshot.disk import (
    explained,
    file_bytes,
    migrate,
    open_sqlite,
    rows,
    sqlite_path,
    transaction,
    used_bytes,
)
from earshot.errors import EarshotError, LogFullError
from earshot.model.schema import GAP, RECORD, empty

CONTRACT_URL = "sqlite:///{tmp}/log.db"

BLOCK = 1000
"""The most records of one block."""
BLOCK_BYTES = 16 * 1024 * 1024
"""A block that is larger before it is packed is cut, down to single records."""
PAGE_BYTES = 64 * 1024 * 1024
"""A read ends behind the block that makes it larger than this."""
VACUUM_PAGES = 20_000
"""The most free pages that one `trim` gives back to the file system."""

KEPT = pl.Schema([(k, v) for k, v in RECORD.items() if k != "offset"])
NUMBERED_GAP = pl.Schema([("seq", pl.Int64()), *GAP.items()])

PRAGMAS = (
    "page_size = 16384",
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 1000",
    "journal_size_limit = 67108864",
)
STEPS = (
    (
        "CREATE TABLE head (next INTEGER NOT NULL, oldest INTEGER NOT NULL)",
        "INSERT INTO head VALUES (0, 0)",
        """CREATE TABLE blocks (
            first INTEGER PRIMARY KEY, n INTEGER NOT NULL,
            newest INTEGER NOT NULL, data BLOB NOT NULL)""",
        "CREATE TABLE cursors (connection TEXT PRIMARY KEY, cursor TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE gaps (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT, connection TEXT, rule INTEGER,
            since INTEGER, until INTEGER, reason TEXT, detail TEXT)""",
        "CREATE TABLE reports (connection TEXT PRIMARY KEY, report TEXT NOT NULL) WITHOUT ROWID",
    ),
)


def pack(records: pl.DataFrame, packer: zstandard.ZstdCompressor) -> list[tuple[int, bytes]]:
    """Turn records (without offsets) into blocks, mostly one; the height and bytes of each."""
    stream = io.BytesIO()
    # The oldest layout keeps each slice's own bytes only, not the whole frame's string buffers.
    records.write_ipc_stream(stream, compat_level=pl.CompatLevel.oldest())
    if stream.tell() > BLOCK_BYTES and records.height > 1:
        half = records.height // 2
        return pack(records[:half], packer) + pack(records[half:], packer)
    return [(records.height, packer.compress(stream.getbuffer()))]


def unpack(data: bytes) -> pl.DataFrame:
    """Turn a block back into records; raises what zstd and Arrow raise when it is torn."""
    stream = zstandard.ZstdDecompressor().decompress(data)
    return pl.read_ipc_stream(io.BytesIO(stream))


class SqliteLog:
    """See `earshot.log.Log`; one connection writes, one reads, each used by one at a time."""

    def __init__(self, path: Path, *, max_bytes: int | None = None) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._packer = zstandard.ZstdCompressor(level=1, write_checksum=True)
        self._writer: apsw.Connection | None = open_sqlite(path, PRAGMAS)
        with explained(path):
            migrate(self._writer, path, STEPS)
        self._reader: apsw.Connection | None = open_sqlite(path, ("query_only = 1",))
        self._writing, self._reading = Lock(), Lock()
        self._last: tuple[int, pl.DataFrame] = (-1, empty(KEPT))

    # -- written ---------------------------------------------------------------------------
    def append(
        self,
        records: pl.DataFrame,
        *,
        cursors: Mapping[str, str] | None = None,
        gaps: pl.DataFrame | None = None,
    ) -> range:
        """See `Log.append`."""
        with self._write() as db:
            blocks = self._packed(records)
            with transaction(db):
                head = self._put(db, blocks, records.height)
                db.executemany(
                    "INSERT OR REPLACE INTO cursors VALUES (?, ?)", (cursors or {}).items()
                )
                if gaps is not None and gaps.height:
                    db.executemany("INSERT INTO gaps VALUES (NULL, ?,?,?,?,?,?,?)", _as_rows(gaps))
        return range(head, head + records.height)

    def report(self, connection: str, report: str) -> None:
        """See `Log.report`."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO reports VALUES (?, ?)", (connection, report))

    def trim(self, *, upto: int, before: dt.datetime, max_bytes: int) -> int:
        """See `Log.trim`; only from the front, so that what remains has no holes."""
        with self._write() as db:
            with transaction(db):
                (oldest,) = rows(db, "SELECT oldest FROM head")[0]
                keep = self._first_kept(db, oldest, upto, micros(before), max_bytes)
                if keep > oldest:
                    db.execute("DELETE FROM blocks WHERE first < ?", (keep,))
                    db.execute("UPDATE head SET oldest = ?", (keep,))
            db.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
        return int(keep - oldest)

    def _packed(self, records: pl.DataFrame) -> list[tuple[int, int, bytes]]:
        kept = records.select(KEPT.names()).cast(KEPT)
        return [
            (n, micros(part["received_at"].max()), data)  # type: ignore[arg-type]  # a time column has a time for maximum
            for part in kept.iter_slices(BLOCK)
            for n, data in pack(part, self._packer)
        ]

    def _put(self, db: apsw.Connection, blocks: list[tuple[int, int, bytes]], height: int) -> int:
        (head,) = rows(db, "SELECT next FROM head")[0]
        first, before = int(head), used_bytes(db)
        for n, newest, data in blocks:
            db.execute("INSERT INTO blocks VALUES (?, ?, ?, ?)", (first, n, newest, data))
            first += n
        if height:
            db.execute("UPDATE head SET next = ?", (first,))
            self._refuse_when_full(before, used_bytes(db))
        return int(head)

    def _refuse_when_full(self, before: int, used: int) -> None:
        """Called inside the transaction, which the error takes back.

        What is too large for a log that is at most half full gets in all the same: trimming ends
        there, so no waiting would ever make room for it.
        """
        if self._max_bytes is not None and used > self._max_bytes and before > self._max_bytes // 2:
            msg = f"the log {self.path} is full ({used:,} of {self._max_bytes:,} bytes)"
            raise LogFullError(msg)

    def _first_kept(
        self, db: apsw.Connection, oldest: int, upto: int, before: int, max_bytes: int
    ) -> int:
        excess = used_bytes(db) - max_bytes
        statement = "SELECT first + n, newest, length(data) FROM blocks ORDER BY first"
        for end, newest, size in _walk(db, statement):
            if end > upto or (newest >= before and excess <= 0):
                break
            oldest, excess = end, excess - size
        return oldest

    # -- read ------------------------------------------------------------------------------
    def read(self, offset: int, *, limit: int = 4096) -> pl.DataFrame:
        """See `Log.read`.

        Raises:
            EarshotError: A block is damaged or missing; the message names its offset.
        """
        with self._read() as db:
            (head, oldest) = rows(db, "SELECT next, oldest FROM head")[0]
            at = max(offset, oldest)
            end = min(at + limit, head)
            parts: list[pl.DataFrame] = []
            taken = 0
            while at < end and taken <= PAGE_BYTES:
                first, block = self._block(db, at)
                part = block.slice(at - first, end - at)
                parts.append(part.with_columns(offset=pl.int_range(at, at + part.height)))
                at += part.height
                taken += int(part.estimated_size())
        if not parts:
            return empty(RECORD)
        return pl.concat(parts).select(RECORD.names())

    def _block(self, db: apsw.Connection, offset: int) -> tuple[int, pl.DataFrame]:
        """Find the block that holds `offset`; the last is kept for who goes on in it."""
        first, block = self._last
        if first <= offset < first + block.height:
            return self._last
        found = rows(
            db,
            "SELECT first, n, data FROM blocks WHERE first <= ? ORDER BY first DESC LIMIT 1",
            (offset,),
        )
        if not found or found[0][0] + found[0][1] <= offset:
            raise self._torn(offset, "is missing")
        first, n, data = found[0]
        try:
            block = unpack(data)
        except (zstandard.ZstdError, pl.exceptions.PolarsError, OSError) as e:
            raise self._torn(first, f"is damaged ({e})") from e
        if block.height != n or block.schema != KEPT:
            raise self._torn(first, "does not hold what it should")
        self._last = (first, block)
        return self._last

    def _torn(self, offset: int, what: str) -> EarshotError:
        msg = f"the log {self.path} is damaged: the block at offset {offset} {what}"
        return EarshotError(msg, hint="restore the file from a backup, or start a new home")

    def head(self) -> int:
        """See `Log.head`."""
        with self._read() as db:
            return int(rows(db, "SELECT next FROM head")[0][0])

    def oldest(self) -> int:
        """See `Log.oldest`."""
        with self._read() as db:
            return int(rows(db, "SELECT oldest FROM head")[0][0])

    def cursor(self, connection: str) -> str | None:
        """See `Log.cursor`."""
        with self._read() as db:
            found = rows(db, "SELECT cursor FROM cursors WHERE connection = ?", (connection,))
        return found[0][0] if found else None

    def gaps(self, after: int = 0) -> pl.DataFrame:
        """See `Log.gaps`."""
        with self._read() as db:
            found = rows(db, "SELECT * FROM gaps WHERE seq > ? ORDER BY seq", (after,))
        times = {"since": pl.Int64, "until": pl.Int64}
        frame = pl.DataFrame(found, NUMBERED_GAP, schema_overrides=times, orient="row")
        return frame.cast(NUMBERED_GAP)

    def reports(self) -> dict[str, str]:
        """See `Log.reports`."""
        with self._read() as db:
            return dict(rows(db, "SELECT connection, report FROM reports"))

    def size(self) -> int:
        """See `Log.size`."""
        with explained(self.path):
            return file_bytes(self.path)

    # -- life ------------------------------------------------------------------------------
    def close(self) -> None:
        """See `Log.close`."""
        with self._writing, self._reading:
            for db in (self._reader, self._writer):
                if db is not None:
                    db.close()
            self._writer = self._reader = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _write(self) -> Iterator[apsw.Connection]:
        with self._writing, explained(self.path):
            yield self._open(self._writer)

    @contextmanager
    def _read(self) -> Iterator[apsw.Connection]:
        """One state of the file for all that is read inside."""
        with self._reading, explained(self.path):
            db = self._open(self._reader)
            with transaction(db, write=False):
                yield db

    def _open(self, db: apsw.Connection | None) -> apsw.Connection:
        if db is None:
            raise EarshotError(f"the log {self.path} is closed")  # noqa: EM102 - one value
        return db


def _walk(db: apsw.Connection, statement: str) -> Iterator[tuple[Any, ...]]:
    """Read rows one by one, as far as the caller goes."""
    yield from db.execute(statement)


def _as_rows(gaps: pl.DataFrame) -> list[tuple[object, ...]]:
    return gaps.select(GAP.names()).with_columns(pl.col("since", "until").cast(pl.Int64)).rows()


def connect(url: str, *, max_bytes: int | None = None) -> SqliteLog:
    """Open `sqlite:///path`, with the size in bytes at which it takes no more."""
    return SqliteLog(sqlite_path(url), max_bytes=max_bytes)
