"""Settles near-duplicate families: each day once it is closed, and again when it changed.

What is unsettled stands in the store, so nothing is lost by a crash. The work is done on a thread
of its own; the flow waits for it only while a result is written (some milliseconds).
"""

import datetime as dt
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import structlog

from earshot.clock import Clock
from earshot.errors import EarshotError
from earshot.store import Store

say = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 60.0
CLOSES: Final = dt.timedelta(minutes=10)
"""So long after midnight a day is closed: later posts are late ones."""
PATIENCE: Final = 10
"""So often at most a day is put off that changed since the last look."""
REST: Final = 20
"""After settling took t seconds, nothing is settled for 20 t."""


class Families:
    """Settles the days of one store; the only one to do so."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._thread = ThreadPoolExecutor(1, "families")
        self._under_way: Future[float] | None = None
        self._next = clock.monotonic()
        self._seen: dict[dt.date, tuple[int, int]] = {}
        """Unsettled day → its number at the last look, and how often it was put off."""

    def advance(self) -> None:
        """Begin to settle a day if it is time for one; returns at once."""
        if self._under_way is not None:
            if not self._under_way.done():
                return
            took, self._under_way = self._ended(self._under_way), None
            self._next = self._clock.monotonic() + REST * took
        if self._clock.monotonic() < self._next:
            return
        if (day := self._ready()) is None:
            self._next = self._clock.monotonic() + LOOK_EVERY_S
        else:
            self._under_way = self._thread.submit(self._settle, day)

    def finish(self) -> None:
        """Settle every closed day, here and now; for commands that end when they are done."""
        if self._under_way is not None:
            self._ended(self._under_way)
            self._under_way = None
        for day in self._unsettled():
            self._settle(day)

    def close(self) -> None:
        """End the thread; what was not settled is, later."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _unsettled(self) -> dict[dt.date, int]:
        closed = (self._clock.now() - CLOSES).date()
        return dict(self._store.unsettled(before=closed).iter_rows())

    def _ready(self) -> dt.date | None:
        """The first closed day that came to rest, or was put off long enough.

        An archive that is read now changes its days batch after batch.
        """
        seen, chosen = {}, None
        for day, changed in self._unsettled().items():
            last, times = self._seen.get(day, (-1, 0))
            if chosen is None and (last == changed or times >= PATIENCE):
                chosen = day
            else:
                seen[day] = (changed, times + 1)
        self._seen = seen
        return chosen

    def _settle(self, day: dt.date) -> float:
        """Settle a day; returns how many seconds it took."""
        began = self._clock.monotonic()
        self._store.settle(day)
        took = self._clock.monotonic() - began
        say.info("families settled", day=day.isoformat(), seconds=round(took, 3))
        return took

    def _ended(self, work: Future[float]) -> float:
        """Seconds that it took; a failure is told and tried again later."""
        try:
            return work.result()
        except (EarshotError, OSError) as e:
            say.warning("families could not be settled", why=str(e))
            return LOOK_EVERY_S / REST
