"""The lake in a folder: hive-partitioned Parquet under zstd, read by DuckDB and Spark alike.

    source=bluesky/date=2026-03-01/000000000007.parquet   sealed in turn, sorted by event time
    _gone/000000000009.parquet                            rows that are not to be shown any more
    _next                                                 the number of the next write

A row is gone where `_gone` names its key with a number greater than its file's: erased keys with
the greatest there is, superseded rows with that of the file that holds the newer one. So a query
needs no sorting by version, and `compact` only has to leave those rows out.

All files of one write share a number, and count once `_next` is greater: so a write is seen whole
or not at all. Files are added at any time; they are replaced only while nobody reads (`_lock`,
shared by `sql`), since a query opens files long after it listed them.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final, Self

import duckdb
import polars as pl

from earshot.disk import FileLock, explained
from earshot.errors import EarshotError, RetryableError, UsageError
from earshot.lake._query import run
from earshot.model.changes import KEY
from earshot.model.schema import STORED

CONTRACT_URL = "file:{tmp}/lake"
SCHEMA_VERSION: Final = "1"
METADATA: Final = {"earshot.schema": SCHEMA_VERSION}
ROW_GROUP: Final = 50_000
FOR_EVER: Final = (1 << 63) - 1
PATIENCE_S: Final = 5.0
"""How long `compact` waits for readers; what it could not do is done the next time."""

GONE: Final = pl.Schema([*KEY.items(), ("before", pl.Int64())])
VERSION: Final = ("version", "received_at", "offset")
"""The greatest of these is the newest row of a key; of equal ones, the last that was written."""
SAME: Final = (
    *VERSION,
    "consumed",
    "hidden",
    "place",
    "latitude",
    "country",
    "author_handle",
    "author_name",
)
"""A row that agrees in these with the one that is there is not written again."""


class FileLake:
    """See `earshot.lake.Lake`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._turn = Lock()  # between threads; the file between processes
        self._writing = FileLock(root / "_writing")
        self._reading = FileLock(root / "_lock")
        self._closed = self._clean = False
        self._spans: dict[Path, tuple[dt.datetime, dt.datetime]] = {}
        with explained(root):
            root.mkdir(parents=True, exist_ok=True)

    def append(self, posts: pl.DataFrame) -> int:
        """See `Lake.append`."""
        with self._write():
            rows = self._alive(posts)
            return self._put(*self._newer(rows))

    def replace(self, posts: pl.DataFrame) -> int:
        """See `Lake.replace`."""
        with self._write():
            rows = self._alive(posts)
            return self._put(rows, rows.select(KEY.names()))

    def erase(self, keys: pl.DataFrame) -> None:
        """See `Lake.erase`."""
        with self._write():
            known = self._gone().filter(pl.col("before") == FOR_EVER)
            new = keys.select(KEY.names()).unique().join(known, on=KEY.names(), how="anti")
            self._forget(new.with_columns(before=pl.lit(FOR_EVER, pl.Int64)))
            self._count(self._next())

    def compact(self) -> int:
        """See `Lake.compact`; 0 as well while somebody reads, and the next call does it."""
        with self._write():
            gone = self._gone()
            fresh = [(path, rows) for path in self._files() for rows in _left(path, gone)]
            try:
                with self._reading.waiting(shared=False, seconds=PATIENCE_S):
                    for path, rows in fresh:
                        if rows.height:
                            _write(rows, path)
                        else:
                            path.unlink()
                    self._tidy(gone.filter(pl.col("before") == FOR_EVER))
            except RetryableError:
                return 0
            return len(fresh)

    def sql(self, query: str) -> pl.DataFrame:
        """See `Lake.sql`; one statement that reads, and nothing outside the lake's folder."""
        self._check_open()
        with self._reading.waiting(shared=True):
            number = self._next()
            files = [str(path) for path in self._files(number)]
            try:
                return run(query, self.root, files, self._gone(number))
            except duckdb.Error as e:
                hint = "the table is called posts; try: DESCRIBE posts"
                raise UsageError(f"the query failed: {e}", hint=hint) from e  # noqa: EM102 - one value

    def close(self) -> None:
        """See `Lake.close`."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- what is there ---------------------------------------------------------------------
    def _next(self) -> int:
        """The number of the next write; what has a smaller one counts."""
        at = self.root / "_next"
        return int(at.read_text()) if at.exists() else 1

    def _files(self, before: int = FOR_EVER) -> list[Path]:
        return _numbered(self.root.glob("source=*/date=*/[0-9]*.parquet"), before)

    def _gone(self, before: int = FOR_EVER) -> pl.DataFrame:
        """GONE rows, one for each key."""
        files = _numbered((self.root / "_gone").glob("[0-9]*.parquet"), before)
        if not files:
            return pl.DataFrame(schema=GONE)
        return pl.concat([pl.read_parquet(f) for f in files]).group_by(KEY.names()).max()

    def _alive(self, posts: pl.DataFrame) -> pl.DataFrame:
        """The last row of each key that was not erased."""
        rows = posts.select(STORED.names()).unique(KEY.names(), keep="last", maintain_order=True)
        erased = self._gone().filter(pl.col("before") == FOR_EVER)
        return rows.join(erased, on=KEY.names(), how="anti", maintain_order="left")

    def _newer(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows that say something new, and the KEYs of those that stand in for older ones."""
        there = self._there(rows)
        if there.height == 0:
            return rows, there.select(KEY.names())
        both = rows.join(there, on=KEY.names(), how="left", suffix="_there", maintain_order="left")
        found = pl.col("there").is_not_null()
        same = pl.all_horizontal(pl.col(c).eq_missing(pl.col(f"{c}_there")) for c in SAME)
        older = pl.lit(value=False)
        for c in reversed(VERSION):
            mine, other = pl.col(c).fill_null(_LEAST[c]), pl.col(f"{c}_there").fill_null(_LEAST[c])
            older = (mine < other) | ((mine == other) & older)
        news = both.filter(~(found & (same | older)).fill_null(value=False))
        return news.select(STORED.names()), news.filter(found).select(KEY.names())

    def _there(self, rows: pl.DataFrame) -> pl.DataFrame:
        """KEY, SAME and `there` of the newest row that is there of these keys.

        Only the files of its day are asked, and of these only those that hold something of its
        time: whoever knows that an event time changed calls `replace`.
        """
        found = []
        for (source, date), part in _partitions(rows):
            folder = self.root / f"source={source}" / f"date={date}"
            for path in sorted(folder.glob("[0-9]*.parquet")):
                near = part.filter(pl.col("event_time").is_between(*self._span(path)))
                if near.height:
                    found.append(_in_file(path, near))
        if not any(f.height for f in found):
            return rows.head(0).select(*KEY.names(), *SAME, there="offset")
        return pl.concat(found).sort("there").unique(KEY.names(), keep="last", maintain_order=True)

    def _span(self, path: Path) -> tuple[dt.datetime, dt.datetime]:
        """The first and the last event time in a file; what is rewritten only shrinks it."""
        if path not in self._spans:
            time = pl.col("event_time")
            ends = pl.scan_parquet(path).select(first=time.min(), last=time.max()).collect()
            self._spans[path] = ends.row(0)
        return self._spans[path]

    # -- what is written -------------------------------------------------------------------
    def _put(self, rows: pl.DataFrame, older: pl.DataFrame) -> int:
        """Write these rows, and that what was there of the KEYs in `older` is gone."""
        if rows.height == 0:
            return 0
        number = self._next()
        for (source, date), part in _partitions(rows):
            folder = self.root / f"source={source}" / f"date={date}"
            _write(part.sort("event_time", "id"), folder / _name(number))
        self._forget(older.with_columns(before=pl.lit(number, pl.Int64)))
        self._count(number)
        return rows.height

    def _forget(self, keys: pl.DataFrame) -> None:
        if keys.height:
            _write(keys.select(GONE.names()), self.root / "_gone" / _name(self._next()))

    def _count(self, number: int) -> None:
        """Let what was written under this number count, all at once."""
        draft = self.root / "._next.draft"
        draft.write_text(str(number + 1))
        draft.replace(self.root / "_next")

    def _tidy(self, erased: pl.DataFrame) -> None:
        """One list of what is erased, in place of all lists of what was gone."""
        old = sorted((self.root / "_gone").glob("[0-9]*.parquet"))
        self._forget(erased)
        self._count(self._next())
        for path in old:
            path.unlink()

    @contextmanager
    def _write(self) -> Iterator[None]:
        self._check_open()
        with self._turn, self._writing.waiting(shared=False), explained(self.root):
            if not self._clean:
                self._undo()
            self._clean = False
            yield
            self._clean = True

    def _undo(self) -> None:
        """Take away what a write left behind that never came to count."""
        number = self._next()
        for path in (*self._files(), *(self.root / "_gone").glob("[0-9]*.parquet")):
            if _number_of(path) >= number:
                path.unlink()

    def _check_open(self) -> None:
        if self._closed:
            raise EarshotError(f"the lake {self.root} is closed")  # noqa: EM102 - one value


_LEAST: Final = {
    "version": -1,
    "received_at": dt.datetime(1, 1, 1, tzinfo=dt.UTC),
    "offset": -1,
}


def _partitions(rows: pl.DataFrame) -> Iterator[tuple[tuple[str, str], pl.DataFrame]]:
    parts = rows.with_columns(_date=pl.col("event_time").dt.strftime("%Y-%m-%d"))
    for (source, date), part in parts.group_by("source", "_date", maintain_order=True):
        yield (_safe(str(source)), str(date)), part.drop("_date")


def _safe(source: str) -> str:
    """A source's name as a folder; the column in the files keeps it as it is."""
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in source) or "_"


def _name(number: int) -> str:
    return f"{number:012d}.parquet"


def _numbered(paths: Iterable[Path], before: int) -> list[Path]:
    return sorted(path for path in paths if _number_of(path) < before)


def _number_of(path: Path) -> int:
    return int(path.stem)


def _in_file(path: Path, rows: pl.DataFrame) -> pl.DataFrame:
    """KEY, SAME and `there` of what a file holds of these keys; mostly nothing, so keys first."""
    keys, time = rows.select(KEY.names()), pl.col("event_time")
    between = time.is_between(pl.lit(rows["event_time"].min()), pl.lit(rows["event_time"].max()))
    file = pl.scan_parquet(path).filter(between)
    hit = file.select(KEY.names()).collect().join(keys, on=KEY.names(), how="semi")
    wanted = file if hit.height else file.head(0)
    return (
        wanted.select(*KEY.names(), *SAME, there=pl.lit(_number_of(path), pl.Int64))
        .join(hit.lazy(), on=KEY.names(), how="semi")
        .collect()
    )


def _left(path: Path, gone: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """What is left of a file when what is gone is left out; nothing where all of it stays."""
    number = _number_of(path)
    dead = gone.filter(pl.col("before") > number).lazy()
    file = pl.scan_parquet(path)
    hit = file.select(KEY.names()).join(dead, on=KEY.names(), how="semi").select(pl.len())
    if hit.collect().item():
        yield file.join(dead, on=KEY.names(), how="anti", maintain_order="left").collect()


def _write(rows: pl.DataFrame, path: Path) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    rows.write_parquet(
        draft, compression="zstd", statistics=True, row_group_size=ROW_GROUP, metadata=METADATA
    )
    draft.replace(path)


def connect(url: str) -> FileLake:
    """Open `file:folder`; made if it is not there."""
    return FileLake(Path(url.removeprefix("file:")))
