"""Serve room: posts, windows and counts that API and commands read. One file per implementation.

The engine is the only writer. Readers open with `writable=False` and see whole batches.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, cast

import polars as pl

from earshot.model.changes import Changes, State, Wanted
from earshot.model.index import Query, Span
from earshot.rooms import open_room


@dataclass(frozen=True, slots=True)
class WindowBlock:
    """The rows of one (start, width, source, rule), as bytes of `pipeline.window`."""

    start: dt.datetime
    width: int
    """Seconds: 60, 300, 3600."""
    source: str
    rule: int
    """0: all posts of the source; below 0: a page of several rules, see `pipeline.page`."""
    posts: int
    authors: int
    score: int
    """Thousandths. These three are the `total` facet, variant `all`, kept beside the block so
    that a time series needs no block to be opened."""
    data: bytes | None
    """Empty: the window became empty; the store drops the row. None: it lies in a page; the store
    keeps the totals, and does not give this block back."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What one run of `Store.retire` removed."""

    posts: int
    frozen_before: dt.datetime | None
    """Minutes of event time before this are incomplete now: never made again."""


class Store(Protocol):
    """What the engine and the API may ask of a store; `StoreContract` gives the exact meaning.

    Hidden posts are in no answer but `state`, unless said otherwise.
    """

    # -- written by the engine -------------------------------------------------------------
    def offset(self) -> int:
        """The log offset from which the engine has to go on: 0 in a new store."""

    def state(self, wanted: Wanted) -> State:
        """What is known of these keys; cheap for keys that are new (a filter in memory)."""

    def known_texts(self, hashes: pl.Series) -> pl.Series:
        """Those of these text hashes (UInt64) that some `Changes.texts` told of; see `retire`."""

    def commit(
        self,
        changes: Changes,
        *,
        offset: int,
        at: dt.datetime,
        gaps: pl.DataFrame | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """Apply a batch, note `offset`, and append to the change feed, in one transaction.

        All of it is visible afterwards, or none of it. Marks `changes.dirty` as dirty, and the
        minutes in which a stored post was observed that is changed, hidden, shown or deleted.

        Args:
            changes: What `pipeline.flow` returned.
            offset: The next record the engine will read.
            at: Now, for the change feed.
            gaps: GAP with a leading `seq` (Int64): new rows of the log's ledger; upserted by `seq`.
            notes: Small facts, as of `note`, that are true exactly when this batch is in.
        """

    def put_windows(
        self, blocks: Sequence[WindowBlock], *, clean: pl.DataFrame, at: dt.datetime
    ) -> None:
        """Replace blocks and take `clean` (DIRTY_AT) off the list, in one transaction.

        A minute that a commit with a greater offset has dirtied again since stays on it. With a
        `windows` change for what a page looks at (the start and width of each minute).
        """

    def dirty(self) -> pl.DataFrame:
        """DIRTY_AT rows not yet cleaned, in order of minute; frozen minutes are never among them.

        `offset` is that of the commit that dirtied the minute last.
        """

    def retire(self, *, before: dt.datetime, max_bytes: int, at: dt.datetime) -> Retention:
        """Remove posts with `received_at` < `before`, then the oldest while above `max_bytes`.

        Counts them as `expired`; drops what belongs to them, and texts told of before `before`;
        keeps tombstones.
        """

    def unsettled(self, *, before: dt.date) -> pl.DataFrame:
        """UNSETTLED: days (UTC, of event time) before this one whose families are not right.

        In order of day; with a number that grows with each batch that touches the day. Days from
        which retention has begun to remove posts are never among them.
        """

    def settle(self, day: dt.date) -> None:
        """Make the near-duplicate families of a day again, of the bands of its visible posts.

        A family is what `pipeline.near.components` connects; its first post is the least by
        (event_time, source, id). Batches are committed meanwhile; what they change is unsettled.
        """

    def note(self, key: str, value: str) -> None:
        """Keep a small fact (engine state, metrics) beside the data."""

    # -- read by everybody -----------------------------------------------------------------
    def facts(self, prefix: str = "") -> dict[str, str]:
        """What was `note`d under keys with this prefix."""

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
        """STORED rows + `rules` (List(Int64)) that the index query finds.

        In order of (event_time, source, id); `after` is the last row of the page before. Posts of
        `rules` (any of them) only, where given.
        """

    def count(self, query: Query | None, span: Span, *, rules: Sequence[int] = ()) -> int:
        """How many rows `select` would give in all; exact."""

    def get(self, keys: pl.DataFrame) -> pl.DataFrame:
        """STORED rows + `rules` of these KEYs, hidden ones included (the column says so)."""

    def families(self, posts: pl.DataFrame) -> pl.DataFrame:
        """FAMILY: of these posts (KEY and `event_time`) those with a family of two or more.

        As it was when their day was settled.
        """

    def tombstoned(self, source: str, id: str) -> bool:  # noqa: A002 - the field's name
        """Whether this key was deleted."""

    def by_minute(self, minute: dt.datetime, source: str) -> pl.DataFrame:
        """STORED rows + `rules` whose event_time lies in this minute.

        Hidden and merely embedded ones included, for the engine to make a dirty minute again.
        """

    def observed(self, minute: dt.datetime, source: str) -> pl.DataFrame:
        """STORED rows + `rules` of posts with an observation in this minute.

        With the counters seen (`seen_<counter>`), those seen last before (`before_<counter>`, null:
        never) and `base`.
        """

    def by_minutes(
        self,
        minutes: pl.DataFrame,
        *,
        columns: Collection[str] | None = None,
        keys: pl.DataFrame | None = None,
    ) -> Iterator[pl.DataFrame]:
        """What `by_minute` gives for each of these DIRTY rows, all together.

        In pages of bounded size; in any order, each row once.

        Args:
            minutes: DIRTY.
            columns: These at least; None: all.
            keys: Only posts of these KEYs, where given.
        """

    def observed_in(
        self,
        minutes: pl.DataFrame,
        *,
        columns: Collection[str] | None = None,
        keys: pl.DataFrame | None = None,
    ) -> Iterator[pl.DataFrame]:
        """What `observed` gives for each of these DIRTY rows, all together; see `by_minutes`.

        With the column `minute` (TIME) it was observed in, in pages of bounded size; in any order,
        each (post, minute) once.
        """

    def last_observed(self) -> dt.datetime | None:
        """The newest minute in which a stored post was observed, a hidden one too; None: never."""

    def windows(
        self,
        *,
        width: int,
        since: dt.datetime,
        until: dt.datetime,
        source: str | None,
        rule: int | None,
    ) -> list[WindowBlock]:
        """Blocks with since <= start < until, in order of start.

        All sources where None, of every rule (0 too) where None.
        """

    def windows_at(self, width: int, windows: pl.DataFrame) -> list[WindowBlock]:
        """Blocks of exactly these windows (`start`, `source`), of every rule."""

    def windows_there(self, width: int, windows: pl.DataFrame) -> pl.DataFrame:
        """`start`, `source`, `rule` of the blocks of these windows (`start`, `source`)."""

    def series(
        self, *, width: int, since: dt.datetime, until: dt.datetime, source: str | None, rule: int
    ) -> pl.DataFrame:
        """`start`, `source`, `posts`, `authors`, `score`: the totals, without opening blocks."""

    def counts(self, *, since: dt.datetime | None = None) -> pl.DataFrame:
        """COUNT rows summed over minutes: `source`, `rule`, `name`, `n`."""

    def counts_by_minute(self, *, since: dt.datetime, until: dt.datetime) -> pl.DataFrame:
        """COUNT rows of these minutes."""

    def gaps(self, span: Span) -> pl.DataFrame:
        """GAP rows that overlap the span, with `seq`."""

    def quarantine(self, *, after: int = -1, limit: int = 100) -> pl.DataFrame:
        """QUARANTINE rows with offset > `after`, in order."""

    def author(self, source: str, id: str) -> pl.DataFrame:  # noqa: A002 - the field's name
        """AUTHOR: one row or none."""

    def names(self, authors: pl.DataFrame) -> pl.DataFrame:
        """`source, id, handle, name` of those of these authors (KEY) whose profile has either."""

    def changes(self, after: int, *, limit: int = 1000) -> pl.DataFrame:
        """CHANGE rows with seq > `after`, in order. Bounded: old ones go."""

    def feed(self) -> tuple[str, int, int]:
        """(epoch, oldest seq kept, newest seq) of the change feed; a new store has a new epoch."""

    def seal(
        self, day: dt.date, source: str, *, after: tuple[dt.datetime, str, str] | None, limit: int
    ) -> pl.DataFrame:
        """A page of a day's STORED rows (by event_time) for the lake, in key order."""

    def bounds(self) -> tuple[dt.datetime, dt.datetime] | None:
        """Least and greatest event_time of what is stored; None: nothing is."""

    def size(self) -> int:
        """Bytes on disk."""

    def close(self) -> None:
        """Let go of everything; a second call does nothing."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...


def open_store(url: str, *, writable: bool = False) -> Store:
    """Open the store that `url` names, e.g. `sqlite:///data/store.db`; made if it is not there."""
    return cast("Store", open_room("store", url, writable=writable))
