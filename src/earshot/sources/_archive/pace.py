"""When each record of an archive happened, and when it is its turn."""

import datetime as dt

import numpy as np
import numpy.typing as npt
import polars as pl

from earshot import formats

Micros = npt.NDArray[np.int64]

UNKNOWN = np.iinfo(np.int64).min
"""In place of a time: the record does not say when."""


def times(records: pl.DataFrame) -> Micros:
    """When each record says it happened, µs since 1970; `UNKNOWN` where it does not say.

    The formats are asked, so that pacing and windows mean the same by a record's time.

    Args:
        records: RECORDS.
    """
    told = np.full(records.height, UNKNOWN)
    asked = records.select(pl.lit(None, pl.Int64).alias("offset"), *records.columns)
    found = _by_record(formats.decode(asked))
    told[found["record"].to_numpy()] = found["at"].to_physical().to_numpy()
    return told


def _by_record(decoded: formats.Decoded) -> pl.DataFrame:
    """`record` and `at` for all records with a time, each once."""
    own = pl.col("role") != "embedded"
    parts = [
        decoded.posts.filter(own).select("record", at=pl.coalesce("edited_at", "created_at")),
        decoded.events.select("record", "at"),
        decoded.interactions.select("record", "at"),
    ]
    both = pl.concat(parts, how="vertical_relaxed")
    return both.drop_nulls().unique("record", keep="first", maintain_order=True)


class Pace:
    """Turns times of records into seconds of a monotonic clock; keeps order, skips backwards.

    Args:
        speed: Seconds of the archive in a second of the clock.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._first: int | None = None
        self._began = 0.0
        self._last = 0

    def due(self, at: Micros, now: float) -> npt.NDArray[np.float64]:
        """When each record is due: never before the one in front of it.

        Args:
            at: As `times` gives it, of the next records.
            now: The clock; the very first record is due now.
        """
        known = at[at != UNKNOWN]
        if self._first is None:
            if not len(known):
                return np.full(len(at), now)
            self._first, self._began = int(known[0]), now
            self._last = self._first
        running = np.maximum.accumulate(np.maximum(at, self._last))
        self._last = int(running[-1]) if len(running) else self._last
        due: npt.NDArray[np.float64] = self._began + (running - self._first) / 1e6 / self._speed
        return due


def shift_to(now: dt.datetime, at: Micros) -> int | None:
    """µs that bring the first record with a time to `now`; None when none has one."""
    known = at[at != UNKNOWN]
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return None if not len(known) else (now - epoch) // dt.timedelta(microseconds=1) - int(known[0])
