"""Carries what the store took in over to the lake, in sealed files, now and then."""

import datetime as dt

import polars as pl
import structlog

from earshot.engine.home import Rooms, lake_of
from earshot.model.changes import KEY, Changes
from earshot.model.schema import STORED, empty

say = structlog.get_logger(__name__)

EVERY_S = 600.0
MOST = 200_000
"""So many changed keys wait at most before they are sealed."""
FACT = "lake.offset"


class Sealer:
    """Remembers what changed since the last seal; finds it again in the store after a crash."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._lake = lake_of(rooms.settings)
        self._changed: list[pl.DataFrame] = []
        self._rows = 0
        self._next = rooms.clock.monotonic() + EVERY_S
        self._erased = False
        self._sealed_upto = int(rooms.store.facts(FACT).get(FACT, "0"))
        self._whole = self._sealed_upto == rooms.store.offset()

    def erase(self, changes: Changes) -> None:
        """Take deleted posts out of the lake's view before the store forgets them."""
        if changes.tombstones.height:
            self._lake.erase(changes.tombstones.select(KEY.names()))
            self._erased = True

    def note(self, changes: Changes) -> None:
        """Remember the keys of a batch that was committed."""
        if changes.posts.height:
            self._changed.append(changes.posts.select(KEY.names()))
            self._rows += changes.posts.height

    def due(self) -> bool:
        """Whether it is time to seal."""
        return self._rows >= MOST or self._rooms.clock.monotonic() >= self._next

    def seal(self) -> None:
        """Append what changed to the lake, note how far it is, and rewrite what was erased."""
        store = self._rooms.store
        offset = store.offset()
        written = sum(self._lake.append(page) for page in self._pages() if page.height)
        if self._erased:
            self._lake.compact()
        if offset != self._sealed_upto:
            store.note(FACT, str(offset))
            say.info("lake sealed", posts=written, offset=offset)
        self._changed, self._rows, self._erased = [], 0, False
        self._sealed_upto, self._whole = offset, True
        self._next = self._rooms.clock.monotonic() + EVERY_S

    def _pages(self) -> list[pl.DataFrame]:
        if not self._whole:
            return self._after_crash()
        if not self._changed:
            return []
        keys = pl.concat(self._changed).unique()
        return [self._rooms.store.get(k).select(STORED.names()) for k in keys.iter_slices(20_000)]

    def _after_crash(self) -> list[pl.DataFrame]:
        """All stored rows that came from records behind the last seal, day by day."""
        store = self._rooms.store
        if (bounds := store.bounds()) is None:
            return [empty(STORED)]
        pages: list[pl.DataFrame] = []
        day, last = bounds[0].date(), bounds[1].date()
        sources = store.counts()["source"].unique().to_list()
        while day <= last:
            pages += [p for s in sources for p in self._day(day, s)]
            day += dt.timedelta(days=1)
        return pages

    def _day(self, day: dt.date, source: str) -> list[pl.DataFrame]:
        pages, after = [], None
        while True:
            page = self._rooms.store.seal(day, source, after=after, limit=20_000)
            if page.height == 0:
                return pages
            pages.append(page.filter(pl.col("offset") >= self._sealed_upto).select(STORED.names()))
            last = page.row(-1, named=True)
            after = (last["event_time"], last["source"], last["id"])
