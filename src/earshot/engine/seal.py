"""Carries what the store took in over to the lake, in sealed files, page by page, now and then.

Posts that are new go over as they were committed; those that something happened to are read back
from the store; after a crash, or a failure on the way, all since the last seal are. Reading and
writing happen on a thread of their own, page by page; what is remembered changes between batches.
"""

import datetime as dt
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

import msgspec
import polars as pl
import structlog

from earshot.engine.home import Rooms, lake_of
from earshot.model.changes import KEY, Changes, State
from earshot.model.index import Span
from earshot.model.schema import STORED
from earshot.store import Store

say = structlog.get_logger(__name__)

EVERY_S: Final = 600.0
MOST: Final = 50_000
"""So many new posts and changed keys wait in memory before they are sealed."""
PAGE: Final = 25_000
FACT: Final = "lake.offset"
"""All records before this are in the lake."""
TOUCHED: Final = "lake.touched"
"""Keys that later records changed without writing their posts anew; ALL: too many to name."""
ALL: Final = "all"
NAMED_MOST: Final = 2_000

Key = tuple[str, str]
Touched = set[Key] | str
"""KEYs, or ALL."""
Page = tuple[Callable[[pl.DataFrame], int], pl.DataFrame]
"""Rows, and what of the lake takes them."""
Step = Callable[[], int | None]
"""A piece of work of the lake's thread; a page's gives how many rows it wrote, None at the end."""


def sealed_upto(store: Store) -> int:
    """All records before this offset are in the lake."""
    return int(store.facts(FACT).get(FACT, "0"))


class Sealer:
    """Remembers what changed since the last seal; finds it again in the store after a crash."""

    def __init__(self, rooms: Rooms) -> None:
        self._store, self._clock = rooms.store, rooms.clock
        self._lake = lake_of(rooms.settings)
        self._new: list[pl.DataFrame] = []
        """STORED rows that were not stored before."""
        self._changed: list[pl.DataFrame] = []
        """KEYs of others that were written or changed."""
        self._rows = 0
        self._next = rooms.clock.monotonic() + EVERY_S
        self._erased = 0
        """Batches with erased posts that no file was rewritten for."""
        self._upto = sealed_upto(rooms.store)
        self._touched = _read(rooms.store.facts(TOUCHED).get(TOUCHED, ""))
        self._sealing: Touched = set()
        """Those of the seal that is under way."""
        self._whole = self._upto == rooms.store.offset()
        self._under_way: Generator[Step, int | None] | None = None
        self._pool = ThreadPoolExecutor(1, "lake")
        self._step: Future[int | None] | None = None

    # -- with each batch -------------------------------------------------------------------
    def erase(self, changes: Changes) -> None:
        """Take deleted posts out of the lake's view before the store forgets them."""
        if changes.tombstones.height:
            self._lake.erase(changes.tombstones.select(KEY.names()))
            self._erased += 1

    def notes(self, changes: Changes) -> dict[str, str]:
        """What is to be committed with a batch, so that a crash forgets no change."""
        touched = _touched_by(changes)
        if touched.is_empty():
            return {}
        more = _united(self._touched, set(touched.rows()))
        return {TOUCHED: _written(_united(self._sealing, more))}

    def note(self, changes: Changes, known: State) -> None:
        """Remember a batch that was committed, computed of what was `known`."""
        touched = _touched_by(changes)
        stored = known.posts.filter(pl.col("event_time").is_not_null()).select(KEY.names())
        posts = changes.posts
        again = pl.Series(posts.select(KEY.names()).is_duplicated())
        if stored.height:
            row = posts.select(KEY.names()).with_row_index("row")
            again[row.join(stored, on=KEY.names(), how="semi")["row"]] = True
        new = posts.filter(~again).select(STORED.names())
        keys = pl.concat([posts.filter(again).select(KEY.names()), touched])
        if new.height:
            self._new.append(new)
        if keys.height:
            self._changed.append(keys)
        self._rows += new.height + keys.height
        self._touched = _united(self._touched, set(touched.rows()))

    # -- now and then ----------------------------------------------------------------------
    def due(self) -> bool:
        """Whether it is time to seal, or to go on with it."""
        late = self._clock.monotonic() >= self._next
        return self._under_way is not None or self._rows >= MOST or late

    def advance(self) -> None:
        """Begin, or go on where the last page is written; never waits for one."""
        if self._step is not None and not self._step.done():
            return
        try:
            if self._under_way is None:
                self._under_way = self._run()
            step, self._step = self._step, None
            work = self._under_way.send(None if step is None else step.result())
            self._step = self._pool.submit(work)
        except StopIteration:
            self._under_way = None
        except BaseException:
            self._under_way, self._whole = None, False  # from the store again, and soon
            self._next = self._clock.monotonic()
            raise

    def seal(self) -> None:
        """Bring the lake up to the store's offset, now."""
        self._finish()
        if self._rows or self._erased or not self._whole or self._upto != self._store.offset():
            self.advance()
            self._finish()

    def close(self) -> None:
        """End the thread and let go of the lake."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._lake.close()

    def _finish(self) -> None:
        while self._under_way is not None:
            if self._step is not None:
                wait([self._step])
            self.advance()

    def _run(self) -> Generator[Step, int | None]:
        """Append what changed to the lake, note how far it is, and rewrite what was erased."""
        offset = self._store.offset()
        self._sealing, self._touched = _united(self._sealing, self._touched), set()
        new, changed = self._new, self._changed
        self._new, self._changed, self._rows = [], [], 0
        pages = self._noted(new, changed) if self._whole else self._after_crash(self._sealing)
        written = 0
        while (rows := (yield lambda: self._carry(pages))) is not None:
            written += rows
        if erased := self._erased:
            yield self._lake.compact
            self._erased -= erased
        if offset != self._upto:
            self._store.note(FACT, str(offset))
            say.info("lake sealed", posts=written, offset=offset)
        if self._sealing:
            self._sealing = set()
            self._store.note(TOUCHED, _written(self._touched))
        self._upto, self._whole = offset, True
        self._next = self._clock.monotonic() + EVERY_S

    # -- on the lake's thread --------------------------------------------------------------
    def _carry(self, pages: Iterator[Page]) -> int | None:
        page = next(pages, None)
        if page is None:
            return None
        carry, rows = page
        return carry(rows.select(STORED.names())) if rows.height else 0

    def _noted(self, new: list[pl.DataFrame], changed: list[pl.DataFrame]) -> Iterator[Page]:
        """What was noted; new posts first, as what happened to them comes after."""
        for page in pl.concat([pl.DataFrame(schema=STORED), *new]).iter_slices(PAGE):
            yield self._lake.append, self._with_names(page)
        yield from self._named(changed)

    def _with_names(self, posts: pl.DataFrame) -> pl.DataFrame:
        """Posts that came without a name get the one that is known by now, as stored ones do."""
        names = ("author_handle", "author_name")
        bare = posts.filter(pl.any_horizontal(pl.col(names).is_null()))
        authors = bare.select("source", id="author_id").drop_nulls().unique()
        known = self._store.names(authors) if authors.height else authors
        if known.is_empty():
            return posts
        return posts.join(
            known.rename({"id": "author_id"}),
            on=["source", "author_id"],
            how="left",
            maintain_order="left",
        ).with_columns(
            author_handle=pl.coalesce("author_handle", "handle"),
            author_name=pl.coalesce("author_name", "name"),
        )

    def _named(self, keys: Iterable[pl.DataFrame]) -> Iterator[Page]:
        for part in pl.concat([pl.DataFrame(schema=KEY), *keys]).unique().iter_slices(PAGE):
            yield self._lake.replace, self._store.get(part)

    def _after_crash(self, touched: Touched) -> Iterator[Page]:
        """All stored rows that records behind the last seal wrote or touched."""
        if isinstance(touched, str):
            yield from self._days()
            return
        yield from self._named([pl.DataFrame(sorted(touched), KEY, orient="row")])
        after = None
        while True:
            page = self._store.select(None, Span(), limit=PAGE, after=after, newest_first=False)
            if page.height == 0:
                return
            after = page.select("event_time", "source", "id").row(-1)
            yield self._lake.replace, page.filter(pl.col("offset") >= self._upto)

    def _days(self) -> Iterator[Page]:
        """Every stored row, hidden ones too, which no query gives; most are in the lake."""
        if (bounds := self._store.bounds()) is None:
            return
        sources = self._store.counts()["source"].unique().to_list()
        for n in range((bounds[1].date() - bounds[0].date()).days + 1):
            day = bounds[0].date() + dt.timedelta(days=n)
            for source in sources:
                after = None
                while (page := self._store.seal(day, source, after=after, limit=PAGE)).height:
                    after = page.select("event_time", "source", "id").row(-1)
                    written = page["offset"] >= self._upto
                    yield self._lake.append, page.filter(~written)
                    yield self._lake.replace, page.filter(written)


def _touched_by(changes: Changes) -> pl.DataFrame:
    """KEY: stored posts that a batch changes without writing them anew, or writes hidden.

    No query of the store gives these by their offset.
    """
    hidden = changes.posts.filter("hidden")
    frames = (changes.flags, changes.scrubbed, changes.promoted, hidden)
    return pl.concat([f.select(KEY.names()) for f in frames])


def _united(some: Touched, more: Touched) -> Touched:
    if isinstance(some, str) or isinstance(more, str):
        return ALL
    both = some | more
    return both if len(both) <= NAMED_MOST else ALL


def _written(touched: Touched) -> str:
    return touched if isinstance(touched, str) else msgspec.json.encode(sorted(touched)).decode()


def _read(text: str) -> Touched:
    if text == ALL:
        return ALL
    return set(msgspec.json.decode(text, type=list[Key])) if text else set()
