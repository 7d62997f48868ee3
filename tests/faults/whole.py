"""What a home has come to, all of it, as frames that can be compared."""

import datetime as dt

import polars as pl
from polars.testing import assert_frame_equal

from earshot.engine.home import lake_of, open_rooms
from earshot.engine.operate import seal_now
from earshot.engine.rollups import PARTS
from earshot.engine.windows import top_of
from earshot.model.changes import DIRTY
from earshot.model.index import Span
from earshot.model.schema import FACETS, VARIANTS

MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
ALL = 1_000_000
PLACE = ("received_at", "offset", "seq")
"""When and where a record was taken in: another thing where a source says things again."""


def everything(settings, clock, *, exact=True):
    """Name → frame: what was stored, counted, deleted, seen, missed, carried to the lake.

    Args:
        settings: Of the home; no engine runs.
        clock: For the engine that brings the lake up to date.
        exact: With the records' places in the log, which are the same for one and the same log.
    """
    with open_rooms(settings, clock, writable=False) as rooms:
        store = rooms.store
        posts = store.select(None, Span(), limit=ALL, newest_first=False)
        bounds = store.bounds()
        first, last = bounds or (clock.now(), clock.now())
        minutes = _minutes(posts, store.last_observed())
        found = {
            "waiting": pl.DataFrame({"n": [rooms.log.head() - store.offset()]}),
            "dirty": store.dirty().select(DIRTY.names()),
            "posts": posts,
            "hidden": _all(store.by_minutes(minutes)).filter("hidden"),
            "observations": _all(store.observed_in(minutes)),
            "counts": store.counts(),
            "gaps": store.gaps(Span()),
            "quarantine": store.quarantine(limit=ALL),
            "families": store.families(posts.select("source", "id", "event_time")),
            "windows": _windows(store, first, last),
            "tops": _tops(store, first, last),
        }
        if exact:
            since, until = first - 24 * HOUR, clock.now() + 24 * HOUR
            found["by minute"] = store.counts_by_minute(since=since, until=until)
    seal_now(settings, clock)
    with lake_of(settings) as lake:
        found["lake"] = lake.sql("SELECT source, id, text FROM posts ORDER BY ALL")
    if not exact:
        found = {name: _without(frame, *PLACE) for name, frame in found.items()}
    return found


def assert_same(found, expected):
    """Whether two homes came to the same; the first frame that differs is named."""
    assert found.keys() == expected.keys()
    for name, frame in found.items():
        try:
            assert_frame_equal(frame, expected[name], check_row_order=False)
        except AssertionError as e:
            raise AssertionError(f"{name}: {e}") from e


def gone(settings, clock, keys):
    """Those of these (source, id) that have a tombstone."""
    with open_rooms(settings, clock, writable=False) as rooms:
        return {key for key in keys if rooms.store.tombstoned(*key)}


def _minutes(posts, observed):
    """All minutes in which a post happened or was seen."""
    if posts.is_empty():
        return pl.DataFrame(schema=DIRTY)
    times = [posts["event_time"].min(), posts["event_time"].max()]
    low, high = min(times), max([*times, observed or times[1]])
    low = low.replace(second=0, microsecond=0)
    every = pl.DataFrame({"minute": pl.datetime_range(low, high, "1m", eager=True)})
    sources = posts.select("source").unique()
    return every.join(sources, how="cross").cast(DIRTY).select(DIRTY.names())


def _all(pages):
    pages = [page for page in pages if page.height]
    return pl.concat(pages) if pages else pl.DataFrame({"hidden": []}, {"hidden": pl.Boolean})


def _windows(store, first, last):
    """Each block's totals: of every width, source and rule."""
    rows = [
        (b.width, b.start, b.source, b.rule, b.posts, b.authors, b.score)
        for width in (60, *PARTS)
        for b in store.windows(
            width=width, since=first - HOUR, until=last + HOUR, source=None, rule=None
        )
    ]
    names = ["width", "start", "source", "rule", "posts", "authors", "score"]
    return pl.DataFrame(rows, schema=names, orient="row").unique()


def _tops(store, first, last):
    """Every value of every facet, by minute, hour, and the hour that slides."""
    found = []
    for at in _ends(first, last):
        for facet in FACETS:
            for width in (60, 300, 3600):
                for variant in VARIANTS if width == 3600 else ("all",):
                    top = top_of(store, facet, width, at, variant=variant, limit=ALL)
                    named = (pl.lit(v) for v in (facet, width, variant, str(at)))
                    found.append(top.with_columns(*(v.alias(f"k{n}") for n, v in enumerate(named))))
    return pl.concat(found)


def _ends(first, last):
    """Some minutes: the first, the last, and every third between."""
    low, n = first.replace(second=0, microsecond=0), 0
    while low + n * MINUTE <= last:
        yield low + (n + 1) * MINUTE
        n += 3
    yield last


def _without(frame, *columns):
    return frame.drop(*columns, strict=False)
