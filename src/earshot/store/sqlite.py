"""The store in one SQLite file: one writer, any number of readers that see whole batches.

Posts lie in order of event time (`_keys`), are found by words and tags (`_search`), and change
only by batches (`_apply`) that are committed with the log offset and the change feed (`_feed`).
The writer holds a lock file beside the database; each reading call borrows a connection of its own.
One file, though long: what the protocol asks for, mostly handed on to the modules beside this one.
"""
# A little over 400 lines: a method for each of the contract, most of them a call elsewhere.
# ruff: noqa: S608 - SQL is put together from names of our own only

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Self

import apsw
import polars as pl

from earshot.clock import from_micros, micros
from earshot.disk import (
    FileLock,
    explained,
    file_bytes,
    migrate,
    open_sqlite,
    rows,
    sqlite_path,
    transaction,
)
from earshot.errors import ConflictError, EarshotError
from earshot.model.changes import DIRTY, KEY, Changes, State, Wanted
from earshot.model.index import Query, Span
from earshot.model.schema import COUNT, GAP, QUARANTINE
from earshot.store import (
    Retention,
    WindowBlock,
    _families,
    _feed,
    _find,
    _minutes,
    _names,
    _retire,
    _search,
    _windows,
)
from earshot.store._apply import Applied, apply
from earshot.store._rows import ROW, frame, read_spots
from earshot.store._schema import PRAGMAS, READER_PRAGMAS, STEPS

CONTRACT_URL = "sqlite:///{tmp}/store.db"
EPOCH = dt.date(1970, 1, 1)
NUMBERED_GAP = pl.Schema([("seq", pl.Int64()), *GAP.items()])


class SqliteStore:
    """See `earshot.store.Store`."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        self._closing = ExitStack()
        self._writing = Lock()
        self._idle: SimpleQueue[apsw.Connection] = SimpleQueue()
        self._closed = False
        self._db: apsw.Connection | None = None
        if not writable:
            self._make_ready().close()
            return
        with ExitStack() as opening:
            lock = FileLock(path.with_name(path.name + ".lock")).take(str(path))
            opening.callback(lock.release)
            db = opening.enter_context(closing(self._make_ready()))
            with explained(path):
                self._filters, self._feed = _find.Filters(db), _feed.Feed.of(db)
            self._db = db
            self._closing = opening.pop_all()

    def _make_ready(self) -> apsw.Connection:
        """The file with its tables, of the newest version, also for who only reads."""
        db = open_sqlite(self.path, PRAGMAS)
        with ExitStack() as opening, explained(self.path):
            opening.callback(db.close)
            if db.pragma("user_version") != len(STEPS):
                migrate(db, self.path, STEPS)
            opening.pop_all()
        return db

    # -- written by the engine -------------------------------------------------------------
    def offset(self) -> int:
        """See `Store.offset`."""
        with self._read() as db:
            return int(rows(db, "SELECT value FROM own WHERE key = 'offset'")[0][0])

    def state(self, wanted: Wanted) -> State:
        """See `Store.state`."""
        with self._read() as db:
            return _find.state(db, wanted, self._filters if self._db else None)

    def known_texts(self, hashes: pl.Series) -> pl.Series:
        """See `Store.known_texts`; asked of the writer only."""
        with self._write():
            return hashes.filter(pl.Series(self._filters.texts.has(hashes.to_numpy())))

    def commit(
        self,
        changes: Changes,
        *,
        offset: int,
        at: dt.datetime,
        gaps: pl.DataFrame | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """See `Store.commit`."""
        now = micros(at)
        with self._write() as db:
            with self._telling(db, now):
                applied = apply(db, self._filters, changes, offset=offset, at=now)
                db.execute("UPDATE own SET value = ? WHERE key = 'offset'", (offset,))
                db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", (notes or {}).items())
                _feed.put_posts(db, self._feed, now, applied.new, applied.hits)
                _feed.put_corrections(db, self._feed, now, applied.removed, applied.changed)
                if gaps is not None and gaps.height:
                    _put_gaps(db, gaps)
                    _feed.put_gaps(db, self._feed, now, gaps)
                _put_facts(db, notes or {})
            self._remember(applied)

    def put_windows(
        self, blocks: Sequence[WindowBlock], *, clean: pl.DataFrame, at: dt.datetime
    ) -> None:
        """See `Store.put_windows`."""
        now = micros(at)
        with self._write() as db, self._telling(db, now):
            _windows.put(db, blocks)
            _windows.clean(db, clean)
            _windows.tell(db, self._feed, now, blocks)

    def dirty(self) -> pl.DataFrame:
        """See `Store.dirty`."""
        with self._read() as db:
            return _windows.dirty(db)

    def retire(self, *, before: dt.datetime, max_bytes: int, at: dt.datetime) -> Retention:
        """See `Store.retire`; in steps, so that a batch in between never waits for long."""
        removed, frozen = 0, None
        with self._write() as db:
            for found in _retire.steps(db, micros(before), max_bytes):
                with transaction(db):
                    end = _retire.retire(db, found, micros(at))
                removed, frozen = removed + len(found), max(frozen or end, end)
            with transaction(db):
                _retire.sweep(db, before, at)
            _retire.give_back(db)
            self._filters.refresh(db)
        return Retention(removed, None if frozen is None else from_micros(frozen))

    def unsettled(self, *, before: dt.date) -> pl.DataFrame:
        """See `Store.unsettled`."""
        with self._read() as db:
            return _families.unsettled(db, (before - EPOCH).days)

    def settle(self, day: dt.date) -> None:
        """See `Store.settle`; the writer waits only while the result is written."""
        number = (day - EPOCH).days
        with self._read() as db:
            changed, blocks = _families.found_in(db, number)
        with self._write() as db, transaction(db):
            _families.put_families(db, number, changed, blocks)

    def note(self, key: str, value: str) -> None:
        """See `Store.note`."""
        with self._write() as db:
            _put_facts(db, {key: value})

    # -- read by everybody -----------------------------------------------------------------
    def facts(self, prefix: str = "") -> dict[str, str]:
        """See `Store.facts`."""
        with self._read() as db:
            found = rows(db, "SELECT key, value FROM facts ORDER BY key")
        return {key: value for key, value in found if key.startswith(prefix)}

    def select(  # noqa: PLR0913 - one query, its parts
        self,
        query: Query | None,
        span: Span,
        *,
        limit: int,
        after: tuple[dt.datetime, str, str] | None = None,
        newest_first: bool = True,
        rules: Sequence[int] = (),
    ) -> pl.DataFrame:
        """See `Store.select`."""
        with self._read() as db:
            search = _search.Search.of(db, query, span, rules)
            if search is None or limit < 1:
                return pl.DataFrame(schema=ROW)
            return _search.page(db, search, limit=limit, after=after, newest_first=newest_first)

    def count(self, query: Query | None, span: Span, *, rules: Sequence[int] = ()) -> int:
        """See `Store.count`."""
        with self._read() as db:
            search = _search.Search.of(db, query, span, rules)
            return 0 if search is None else _search.total(db, search)

    def get(self, keys: pl.DataFrame) -> pl.DataFrame:
        """See `Store.get`."""
        with self._read() as db:
            found = _find.stored(db, keys.select(KEY.names()), None)
            return read_spots(db, found["spot"].to_numpy()).select(ROW.names())

    def families(self, posts: pl.DataFrame) -> pl.DataFrame:
        """See `Store.families`."""
        with self._read() as db:
            return _families.families(db, posts)

    def tombstoned(self, source: str, id: str) -> bool:  # noqa: A002 - the field's name
        """See `Store.tombstoned`."""
        key = pl.DataFrame([(source, id)], KEY, orient="row")
        with self._read() as db:
            return _find.tombs(db, key, None).height > 0

    def by_minute(self, minute: dt.datetime, source: str) -> pl.DataFrame:
        """See `Store.by_minute`."""
        pages = list(self.by_minutes(_one(minute, source)))
        return pl.concat(pages) if pages else pl.DataFrame(schema=ROW)

    def observed(self, minute: dt.datetime, source: str) -> pl.DataFrame:
        """See `Store.observed`."""
        pages = list(self.observed_in(_one(minute, source)))
        found = pl.concat(pages) if pages else pl.DataFrame(schema=_minutes.OBSERVED_IN)
        return found.select(_minutes.OBSERVED.names())

    def by_minutes(
        self,
        minutes: pl.DataFrame,
        *,
        columns: Collection[str] | None = None,
        keys: pl.DataFrame | None = None,
    ) -> Iterator[pl.DataFrame]:
        """See `Store.by_minutes`; all pages are of one state of the file."""
        with self._read() as db:
            yield from _minutes.posts_of(db, minutes, columns=columns, keys=keys)

    def observed_in(
        self,
        minutes: pl.DataFrame,
        *,
        columns: Collection[str] | None = None,
        keys: pl.DataFrame | None = None,
    ) -> Iterator[pl.DataFrame]:
        """See `Store.observed_in`; all pages are of one state of the file."""
        with self._read() as db:
            yield from _minutes.observed_in(db, minutes, columns=columns, keys=keys)

    def last_observed(self) -> dt.datetime | None:
        """See `Store.last_observed`."""
        with self._read() as db:
            minute = _minutes.last_observed(db)
        return None if minute is None else from_micros(minute)

    def windows(
        self,
        *,
        width: int,
        since: dt.datetime,
        until: dt.datetime,
        source: str | None,
        rule: int | None,
    ) -> list[WindowBlock]:
        """See `Store.windows`."""
        with self._read() as db:
            return _windows.read(
                db, width=width, since=since, until=until, source=source, rule=rule
            )

    def windows_at(self, width: int, windows: pl.DataFrame) -> list[WindowBlock]:
        """See `Store.windows_at`."""
        with self._read() as db:
            return _windows.read_at(db, width, windows)

    def windows_there(self, width: int, windows: pl.DataFrame) -> pl.DataFrame:
        """See `Store.windows_there`."""
        with self._read() as db:
            return _windows.there(db, width, windows)

    def series(
        self, *, width: int, since: dt.datetime, until: dt.datetime, source: str | None, rule: int
    ) -> pl.DataFrame:
        """See `Store.series`."""
        with self._read() as db:
            return _windows.series(
                db, width=width, since=since, until=until, source=source, rule=rule
            )

    def counts(self, *, since: dt.datetime | None = None) -> pl.DataFrame:
        """See `Store.counts`."""
        schema = pl.Schema([(c, COUNT[c]) for c in ("source", "rule", "name", "n")])
        order = "ORDER BY source, rule, name"
        with self._read() as db:
            if since is None:
                return frame(rows(db, f"SELECT * FROM totals {order}"), schema)
            some = f"""SELECT source, rule, name, sum(n) FROM counts WHERE minute >= ?
                GROUP BY source, rule, name {order}"""
            return frame(rows(db, some, (micros(since),)), schema)

    def counts_by_minute(self, *, since: dt.datetime, until: dt.datetime) -> pl.DataFrame:
        """See `Store.counts_by_minute`."""
        some = "SELECT * FROM counts WHERE minute >= ? AND minute < ?"
        with self._read() as db:
            return frame(rows(db, some, (micros(since), micros(until))), COUNT)

    def gaps(self, span: Span) -> pl.DataFrame:
        """See `Store.gaps`."""
        low = None if span.since is None else micros(span.since)
        high = None if span.until is None else micros(span.until)
        overlap = """SELECT * FROM gaps WHERE coalesce(until >= ?, 1) AND coalesce(since < ?, 1)
            ORDER BY seq"""
        with self._read() as db:
            return frame(rows(db, overlap, (low, high)), NUMBERED_GAP)

    def quarantine(self, *, after: int = -1, limit: int = 100) -> pl.DataFrame:
        """See `Store.quarantine`."""
        columns = ", ".join(f'"{c}"' for c in QUARANTINE)
        some = f'SELECT {columns} FROM quarantine WHERE "offset" > ? ORDER BY 1 LIMIT ?'
        with self._read() as db:
            return frame(rows(db, some, (after, limit)), QUARANTINE)

    def author(self, source: str, id: str) -> pl.DataFrame:  # noqa: A002 - the field's name
        """See `Store.author`."""
        with self._read() as db:
            return _names.author(db, source, id)

    def names(self, authors: pl.DataFrame) -> pl.DataFrame:
        """See `Store.names`."""
        with self._read() as db:
            return _names.names_of(db, self._filters if self._db else None, authors)

    def changes(self, after: int, *, limit: int = 1000) -> pl.DataFrame:
        """See `Store.changes`."""
        with self._read() as db:
            return _feed.changes(db, after, limit)

    def feed(self) -> tuple[str, int, int]:
        """See `Store.feed`."""
        with self._read() as db:
            return _feed.ends(db)

    def seal(
        self,
        day: dt.date,
        source: str,
        *,
        after: tuple[dt.datetime, str, str] | None,
        limit: int,
    ) -> pl.DataFrame:
        """See `Store.seal`."""
        with self._read() as db:
            return _search.day_page(db, day, source, after=after, limit=limit)

    def bounds(self) -> tuple[dt.datetime, dt.datetime] | None:
        """See `Store.bounds`."""
        with self._read() as db:
            return _search.bounds(db)

    def size(self) -> int:
        """See `Store.size`."""
        with explained(self.path):
            return file_bytes(self.path)

    # -- life ------------------------------------------------------------------------------
    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True
        with self._writing:
            self._db = None
            while not self._idle.empty():
                self._idle.get_nowait().close()
            self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _write(self) -> Iterator[apsw.Connection]:
        with self._writing, explained(self.path):
            if self._db is None:
                self._check_open()
                msg = f"the store {self.path} was opened to read only"
                raise ConflictError(
                    msg, hint="only the engine writes it: open it with writable=True"
                )
            yield self._db

    @contextmanager
    def _telling(self, db: apsw.Connection, now: int) -> Iterator[None]:
        """A transaction with the change feed; if it fails, the feed is as it was."""
        before = self._feed
        try:
            with transaction(db):
                self._feed = before.copy()
                yield
                self._feed.trim(db, now)
        except BaseException:
            self._feed = before
            raise

    def _remember(self, applied: Applied) -> None:
        """What is committed is known from now on."""
        filters = self._filters
        for ords in applied.ords:
            filters.keys.add(ords)
        filters.interactions.add(applied.interactions)
        filters.authors.add(applied.authors)
        filters.texts.add(applied.texts)

    @contextmanager
    def _read(self) -> Iterator[apsw.Connection]:
        """Borrow a connection; all that is read inside is one state of the file."""
        self._check_open()
        with explained(self.path):
            try:
                db = self._idle.get_nowait()
            except Empty:
                db = open_sqlite(self.path, READER_PRAGMAS)
            try:
                with transaction(db, write=False):
                    yield db
            finally:
                if self._closed:
                    db.close()
                else:
                    self._idle.put(db)

    def _check_open(self) -> None:
        if self._closed:
            raise EarshotError(f"the store {self.path} is closed")  # noqa: EM102 - one value


def _one(minute: dt.datetime, source: str) -> pl.DataFrame:
    return pl.DataFrame([(minute, source)], DIRTY, orient="row")


def _put_facts(db: apsw.Connection, notes: Mapping[str, str]) -> None:
    db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", notes.items())


def _put_gaps(db: apsw.Connection, gaps: pl.DataFrame) -> None:
    table = gaps.select(NUMBERED_GAP.names()).with_columns(pl.col("since", "until").to_physical())
    db.executemany("INSERT OR REPLACE INTO gaps VALUES (?,?,?,?,?,?,?,?)", table.rows())


def connect(url: str, *, writable: bool = False) -> SqliteStore:
    """Open `sqlite:///path`; to write, it must be the only one that does."""
    return SqliteStore(sqlite_path(url), writable=writable)
