"""What every store must keep beside posts: windows, ledgers, the feed, retention."""

import datetime as dt
from dataclasses import replace
from typing import Any

import polars as pl

from earshot.model.changes import DIRTY
from earshot.model.index import Span, Term
from earshot.model.schema import (
    COUNT,
    GAP,
    QUARANTINE,
    TIME,
)
from earshot.store import Store
from earshot.testing.builders import NOON, batch, rows_of, stored
from earshot.testing.store_kit import (
    ALWAYS,
    DAY,
    MICRO,
    MINUTE,
    NO_MINUTES,
    aged,
    asked,
    block,
    found,
    known,
    put,
    told,
    tombstones,
)


class LedgerLaws:
    """Windows, counts, gaps and quarantine; the change feed; what goes, and when."""

    # -- windows and ledgers ---------------------------------------------------------------
    def test_dirty_minutes_stay_until_their_windows_are_put(self, store: Store) -> None:
        """In order of minute; blocks and list change together."""
        minutes = [(NOON + MINUTE, "x"), (NOON, "x"), (NOON, "reddit")]
        for row in minutes * 2:
            put(store, batch(dirty=rows_of(DIRTY, row)), offset=7)
        assert store.dirty()["minute"].is_sorted()
        assert set(store.dirty().rows()) == {(*m, 7) for m in minutes}
        clean = store.dirty().filter(minute=NOON)
        store.put_windows([block(NOON)], clean=clean, at=NOON)
        assert store.dirty().rows() == [(*minutes[0], 7)]

    def test_a_minute_dirtied_again_meanwhile_stays_dirty(self, store: Store) -> None:
        """Whoever made its windows had not seen the later commit."""
        for minute in (0, 1, 2):
            put(store, batch(dirty=rows_of(DIRTY, (NOON + minute * MINUTE, "x"))), offset=minute)
        seen = store.dirty()
        assert seen["offset"].to_list() == [0, 1, 2]
        put(store, batch(dirty=rows_of(DIRTY, (NOON + MINUTE, "x"))), offset=9)
        put(store, batch(stored("1")), offset=10)
        store.put_windows([block(NOON)], clean=seen, at=NOON)
        assert store.dirty().rows() == [(NOON + MINUTE, "x", 9)]
        store.put_windows([], clean=store.dirty().with_columns(offset=pl.lit(11)), at=NOON)
        assert store.dirty().is_empty()

    def test_windows_are_read_by_start_and_source(self, store: Store) -> None:
        """Exactly these, of every rule: with their blocks, or only what there is."""
        blocks = [block(NOON + m * MINUTE, b"%d" % m, rule=r) for m in range(3) for r in (0, 4)]
        others = [block(NOON, source="x"), block(NOON, width=300)]
        store.put_windows(blocks + others, clean=NO_MINUTES, at=NOON)
        schema = pl.Schema([("start", TIME), ("source", pl.String())])
        wanted = [(NOON, "mastodon"), (NOON + 2 * MINUTE, "mastodon"), (NOON + MINUTE, "x")]
        asked_for = rows_of(schema, *wanted)
        assert store.windows_at(60, asked_for) == [*blocks[:2], *blocks[4:]]
        there = store.windows_there(60, asked_for)
        assert there.columns == ["start", "source", "rule"]
        assert set(there.rows()) == {
            (b.start, b.source, b.rule) for b in (*blocks[:2], *blocks[4:])
        }
        assert store.windows_at(300, asked_for) == others[1:]
        for nothing in (rows_of(schema), rows_of(schema, (NOON, "reddit"))):
            assert store.windows_at(60, nothing) == []
            assert store.windows_there(60, nothing).is_empty()

    def test_a_window_that_lies_in_a_page_keeps_its_totals(self, store: Store) -> None:
        """A series has them; there is no block to read, and none is left of an earlier one."""
        span: dict[str, Any] = {"since": NOON, "until": NOON + MINUTE, "width": 60}
        store.put_windows([block(NOON, b"old", rule=4)], clean=NO_MINUTES, at=NOON)
        paged = [replace(block(NOON, rule=4, posts=7), data=None), block(NOON, b"page", rule=-5)]
        store.put_windows(paged, clean=NO_MINUTES, at=NOON)
        series = store.series(**span, source="mastodon", rule=4)
        assert series.rows() == [(NOON, "mastodon", 7, 2, 1500)]
        assert store.windows(**span, source="mastodon", rule=4) == []
        assert store.windows(**span, source="mastodon", rule=-5) == paged[1:]
        asked_for = series.select("start", "source")
        assert store.windows_at(60, asked_for) == paged[1:]
        assert set(store.windows_there(60, asked_for)["rule"]) == {4, -5}
        assert store.changes(0).filter(kind="windows")["rules"].to_list() == [[4], [4]]
        store.put_windows([block(NOON, b"", rule=4)], clean=NO_MINUTES, at=NOON)
        assert store.series(**span, source="mastodon", rule=4).is_empty()

    def test_windows_are_read_by_width_span_source_and_rule(self, store: Store) -> None:
        """In order of start; the totals without the blocks; an empty block ends its window."""
        blocks = [block(NOON + m * MINUTE, b"%d" % m, posts=m + 1) for m in (2, 0, 1)]
        others = [block(NOON, source="x"), block(NOON, rule=4), block(NOON, width=300)]
        store.put_windows(blocks + others, clean=NO_MINUTES, at=NOON)
        span: dict[str, Any] = {"since": NOON, "until": NOON + 2 * MINUTE, "width": 60}
        mine = store.windows(**span, source="mastodon", rule=0)
        assert [w.data for w in mine] == [b"0", b"1"]
        assert mine[1] == blocks[2]
        assert len(store.windows(**span, source=None, rule=0)) == 3
        assert len(store.windows(**span, source=None, rule=None)) == 4
        series = store.series(**span, source="mastodon", rule=0)
        assert series.rows() == [
            (NOON, "mastodon", 1, 2, 1500),
            (NOON + MINUTE, "mastodon", 2, 2, 1500),
        ]
        empty = [block(NOON, b"", posts=0), block(NOON + MINUTE, b"new", posts=9)]
        store.put_windows(empty, clean=NO_MINUTES, at=NOON)
        assert [w.data for w in store.windows(**span, source="mastodon", rule=0)] == [b"new"]
        assert store.series(**span, source="mastodon", rule=0)["posts"].to_list() == [9]

    def test_counts_are_added_up(self, store: Store) -> None:
        """For ever, since a time, and by minute."""
        rows = [(NOON + m * MINUTE, "x", r, "unique", 1 + m) for m in (0, 1) for r in (0, 3)]
        for _ in range(2):
            put(store, batch(counts=rows_of(COUNT, *rows)))
        assert store.counts().rows() == [("x", 0, "unique", 6), ("x", 3, "unique", 6)]
        assert store.counts(since=NOON + MINUTE)["n"].to_list() == [4, 4]
        one = store.counts_by_minute(since=NOON, until=NOON + MINUTE)
        assert one.rows() == [(NOON, "x", 0, "unique", 2), (NOON, "x", 3, "unique", 2)]

    def test_gaps_are_kept_by_number_and_found_by_span(self, store: Store) -> None:
        """A gap that is told again is the same gap."""
        schema = pl.Schema([("seq", pl.Int64()), *GAP.items()])
        for until in (5, 10):
            row = (3, "x", "c", 0, NOON, NOON + until * MINUTE, "slow", "")
            store.commit(batch(), offset=1, at=NOON, gaps=rows_of(schema, row))
        assert store.gaps(ALWAYS).rows() == [row]
        spans = {9: 1, 11: 0, -5: 1}
        for since, n in spans.items():
            assert store.gaps(Span(since=NOON + since * MINUTE)).height == n
        assert store.gaps(Span(until=NOON)).height == 0
        assert told(store, "gap")[-1]["seq"] == 3

    def test_quarantine_keeps_the_bytes_and_the_reason(self, store: Store) -> None:
        """In order of offset, page by page."""
        rows = [(n, "x", "c", "x_v1", NOON, "f:1", "{}", b"\xff\x00", "no JSON") for n in (7, 2, 5)]
        put(store, batch(quarantine=rows_of(QUARANTINE, *rows)))
        assert store.quarantine(limit=2).rows() == [rows[1], rows[2]]
        assert store.quarantine(after=5).rows() == [rows[0]]

    def test_facts_are_kept_beside_the_data(self, store: Store) -> None:
        """The newest of each key, by prefix."""
        for key, value in [("a.x", "1"), ("a.y", "2"), ("b", "3"), ("a.x", "4")]:
            store.note(key, value)
        assert store.facts("a.") == {"a.x": "4", "a.y": "2"}
        assert len(store.facts()) == 3

    # -- the change feed -------------------------------------------------------------------
    def test_the_feed_tells_of_every_batch(self, store: Store) -> None:
        """New posts with what a page paints, corrections without what was said, windows."""
        epoch, oldest, newest = store.feed()
        assert (bool(epoch), newest) == (True, oldest - 1)
        hits = [("mastodon", "1", 4, 1), ("mastodon", "1", 2, 1)]
        put(store, batch(stored("1", "a post"), stored("2", hidden=True), hits=hits))
        put(store, batch(stored("1", "edited")))
        store.put_windows([block(NOON, rule=4)], clean=NO_MINUTES, at=NOON)
        rows = store.changes(newest)
        assert rows["kind"].to_list() == ["posts", "correction", "windows"]
        assert rows["rules"].to_list() == [[2, 4], [], [4]]
        assert rows["seq"].to_list() == list(range(oldest, oldest + 3))
        (posts,) = told(store, "posts")
        assert (posts["n"], posts["keys"]) == (1, [["mastodon", "1"]])
        assert (posts["posts"][0]["text"], posts["posts"][0]["rules"]) == ("edited", [])
        assert told(store, "correction") == [{"removed": [], "changed": [["mastodon", "1"]]}]
        start = told(store, "windows")[0]["windows"]
        assert start == [{"start": "2026-03-01T12:00:00.000000Z", "width": 60}]
        assert store.feed() == (epoch, oldest, oldest + 2)

    def test_the_feed_is_bounded_whatever_a_batch_holds(self, store: Store) -> None:
        """The newest 50 posts, and the newest of each rule; old changes go, the last one stays."""
        rows = [stored(f"{n:04}", event_time=NOON + n * MINUTE) for n in range(300)]
        put(store, batch(*rows, hits=[("mastodon", "0003", 9, 1)]))
        (posts,) = told(store, "posts")
        assert posts["n"] == 300
        assert {i for _, i in posts["keys"]} == {"0003"} | {f"{n:04}" for n in range(250, 300)}
        for hour in range(1, 4):
            put(store, batch(stored(f"later {hour}")), at=NOON + hour * dt.timedelta(hours=1))
        _, oldest, newest = store.feed()
        assert (oldest, newest) == (newest, 4)
        assert store.changes(0)["seq"].to_list() == [newest]

    # -- retention -------------------------------------------------------------------------
    def test_what_was_received_too_long_ago_goes(self, store: Store) -> None:
        """With all that belongs to it; counted as expired; tombstones stay."""
        put(store, batch(*aged(), tombstones=tombstones("gone")), offset=4)
        put(store, batch(dirty=rows_of(DIRTY, *((NOON + m * DAY, "mastodon") for m in range(4)))))
        store.put_windows([block(NOON + m * DAY) for m in range(4)], clean=NO_MINUTES, at=NOON)
        done = store.retire(before=NOON + 2 * DAY, max_bytes=1 << 40, at=NOON + 4 * DAY)
        assert done.posts == 2
        assert done.frozen_before == NOON + DAY + MINUTE
        assert found(store) == found(store, Term("hello")) == ["3", "2"]
        assert known(store, asked("0")) == {}
        assert store.tombstoned("mastodon", "gone")
        expired = store.counts().filter(pl.col("name") == "expired").rows()
        assert expired == [("mastodon", 0, "expired", 2)]
        assert store.dirty()["minute"].to_list() == [NOON + 2 * DAY, NOON + 3 * DAY]
        span: dict[str, Any] = {"width": 60, "since": NOON, "until": NOON + 9 * DAY}
        span |= {"source": None, "rule": 0}
        assert [w.start for w in store.windows(**span)] == [NOON + 2 * DAY, NOON + 3 * DAY]
        put(store, batch(dirty=rows_of(DIRTY, (NOON, "mastodon"))))
        assert NOON not in store.dirty()["minute"].to_list()
        again = store.retire(before=NOON + 2 * DAY, max_bytes=1 << 40, at=NOON + 4 * DAY)
        assert (again.posts, again.frozen_before) == (0, None)
        assert store.offset() == 1

    def test_a_store_that_is_too_large_loses_what_it_received_first(self, store: Store) -> None:
        """Until it is small enough; an archive's old posts are no older than when they came."""
        old = NOON - 4000 * DAY
        rows = [
            stored(
                f"{n:05}",
                text=f"{n} " * 60,
                event_time=old - n * MINUTE,
                received_at=NOON + n * MICRO,
            )
            for n in range(12_000)
        ]
        put(store, batch(*rows))
        half = store.size() // 2
        done = store.retire(before=old, max_bytes=half, at=NOON)
        left = sorted(found(store, limit=20_000))
        assert 0 < done.posts < 12_000
        assert left == [f"{n:05}" for n in range(done.posts, 12_000)]
