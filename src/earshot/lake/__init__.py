"""History: sealed, hive-partitioned Parquet that DuckDB and Spark read alike."""

from typing import Protocol, Self, cast

import polars as pl

from earshot.rooms import open_room


class Lake(Protocol):
    """What the engine and `earshot sql` may ask of a lake."""

    def append(self, posts: pl.DataFrame) -> int:
        """Write STORED rows as new sealed files under source=/date= (of event_time); returns rows.

        A key that is there already with the same version is not written again; it is looked for
        on the day of its event time only.
        """

    def replace(self, posts: pl.DataFrame) -> int:
        """Write STORED rows, each the last word on its key, in place of what is there of it.

        On whatever day that lies. Erased keys stay erased.
        """

    def erase(self, keys: pl.DataFrame) -> None:
        """Never show these KEYs again: anti-joined at once, rewritten at the next `compact`."""

    def compact(self) -> int:
        """Rewrite the files that hold erased or superseded rows; returns files replaced."""

    def sql(self, query: str) -> pl.DataFrame:
        """Run a read-only query over the view `posts`. Raises UsageError with DuckDB's words."""

    def close(self) -> None:
        """Let go of files and locks."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...


def open_lake(url: str) -> Lake:
    """Open the lake that `url` names, e.g. `file:data/lake`; made if it is not there."""
    return cast("Lake", open_room("lake", url))
