"""Durable log: what was taken in, in order. A post is acknowledged once it is here."""

import datetime as dt
from collections.abc import Mapping
from typing import Protocol, Self, cast

import polars as pl

from earshot.rooms import open_room


class Log(Protocol):
    """What collectors, the engine and commands may ask of the log; `LogContract` is its meaning.

    Several processes may append at once; offsets are dense, start at 0, and are never given twice
    (not even after trimming everything).
    """

    def append(
        self,
        records: pl.DataFrame,
        *,
        cursors: Mapping[str, str] | None = None,
        gaps: pl.DataFrame | None = None,
    ) -> range:
        """Make records durable and return their offsets; cursors and gaps in the same transaction.

        Args:
            records: RECORD rows; the column `offset` is ignored. May be empty.
            cursors: Connection → where to go on after these records.
            gaps: GAP rows.

        Raises:
            LogFullError: The log would grow over its size limit; nothing was taken. Records too
                large for a log of this limit are taken once it is at most half full, which is
                where `trim` leaves it.
        """

    def read(self, offset: int, *, limit: int = 4096) -> pl.DataFrame:
        """RECORD rows with offset >= `offset`, in order; empty when caught up.

        At most `limit` of them; fewer where they are so large that memory has to be minded.
        """

    def head(self) -> int:
        """High-water mark: the offset the next record will get."""

    def oldest(self) -> int:
        """The smallest offset that can still be read (equals `head` when all is trimmed)."""

    def trim(self, *, upto: int, before: dt.datetime, max_bytes: int) -> int:
        """Drop blocks wholly below offset `upto` that are older than `before`; say how many.

        More are dropped while the log is larger than `max_bytes`, but never at or above `upto`.
        """

    def cursor(self, connection: str) -> str | None:
        """Where `connection` is to go on; None: it never logged one."""

    def gaps(self, after: int = 0) -> pl.DataFrame:
        """GAP rows with a leading `seq` (Int64) greater than `after`, in order."""

    def report(self, connection: str, report: str) -> None:
        """Keep the newest state report (JSON) of a connection; not part of the log proper."""

    def reports(self) -> dict[str, str]:
        """Connection → newest state report."""

    def size(self) -> int:
        """Bytes on disk."""

    def close(self) -> None:
        """Let go of files and connections; a second call does nothing."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...


def open_log(url: str, *, max_bytes: int | None = None) -> Log:
    """Open the log that `url` names, e.g. `sqlite:///data/log.db`; made if it is not there."""
    return cast("Log", open_room("log", url, max_bytes=max_bytes))
