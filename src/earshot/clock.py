"""The one door to time: everything else is handed a `Clock`."""

import datetime as dt
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time; a test's clock is told the time."""

    def now(self) -> dt.datetime:
        """Now, in UTC."""

    def monotonic(self) -> float:
        """Seconds that only ever grow, for waiting and measuring."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> dt.datetime:
        """See `Clock.now`."""
        return dt.datetime.now(dt.UTC)  # noqa: TID251 - this is the door

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()


def micros(moment: dt.datetime) -> int:
    """Microseconds since 1970-01-01 UTC; `moment` must know its zone."""
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (moment - epoch) // dt.timedelta(microseconds=1)


def from_micros(value: int) -> dt.datetime:
    """The moment `value` microseconds after 1970-01-01 UTC."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=value)
