"""What every store must keep of posts: written, found, read."""

import datetime as dt
from typing import Any

import polars as pl
import pytest

from earshot.model.changes import DIRTY_AT, FLAG, PROMOTED
from earshot.model.index import All, AnyOf, Near, Prefix, Query, Span, Tag, Term
from earshot.model.schema import (
    COUNT,
    GAP,
    QUARANTINE,
    STATE,
    STORED,
)
from earshot.model.tags import rule_tag, tag
from earshot.store import Store
from earshot.testing.builders import NOON, batch, posts_of, rows_of, stored
from earshot.testing.store_kit import (
    ALWAYS,
    DAY,
    MICRO,
    MINUTE,
    WHOLE,
    asked,
    found,
    keys,
    known,
    put,
    told,
    tombstones,
)


class PostLaws:
    """Posts come back exactly, are found by words, tags, time and rules, and go for ever."""

    # -- posts -----------------------------------------------------------------------------
    def test_a_new_store_is_empty(self, store: Store) -> None:
        """Every answer has its columns and no rows."""
        assert (store.offset(), store.bounds(), store.count(None, ALWAYS)) == (0, None, 0)
        rows = pl.Schema([*STORED.items(), ("rules", pl.List(pl.Int64()))])
        answers = (
            store.select(None, ALWAYS, limit=5),
            store.get(keys("1")),
            store.by_minute(NOON, "mastodon"),
        )
        assert [(a.height, a.schema) for a in answers] == [(0, rows)] * 3
        assert store.state(asked("1", authors=["1"], interactions=["1"])).posts.schema == STATE
        assert store.dirty().schema == DIRTY_AT
        assert store.quarantine().schema == QUARANTINE
        assert store.gaps(ALWAYS).drop("seq").schema == GAP
        assert store.counts_by_minute(since=NOON, until=NOON + DAY).schema == COUNT

    def test_a_post_comes_back_exactly(self, store: Store) -> None:
        """Every column, nulls and empty lists told apart, by search, key and minute."""
        given = posts_of([WHOLE, stored("plain", text="")])
        put(store, batch(WHOLE, stored("plain", text=""), hits=[("mastodon", "whole", 2, 1)]))
        for answer in (
            store.select(None, ALWAYS, limit=9),
            store.get(keys("whole", "plain", "unknown")),
            store.by_minute(NOON, "mastodon"),
        ):
            assert answer.select(STORED.names()).sort("id").equals(given.sort("id"))
            assert dict(answer.select("id", "rules").rows()) == {"whole": [2], "plain": []}

    def test_a_post_written_again_is_replaced(self, store: Store) -> None:
        """By key: with its hits, and what was said before is not found any more."""
        put(store, batch(stored("1", "first words"), hits=[("mastodon", "1", 7, 1)]))
        later = NOON + 5 * MINUTE
        put(store, batch(stored("1", "other words", event_time=later)))
        assert found(store, Term("words")) == ["1"]
        assert (found(store, Term("first")), found(store, rules=[7])) == ([], [])
        assert store.get(keys("1"))["text"].to_list() == ["other words"]
        assert store.by_minute(NOON, "mastodon").height == 0
        assert store.by_minute(later, "mastodon").height == 1

    def test_the_same_id_of_another_network_is_another_post(self, store: Store) -> None:
        """Keys are (source, id)."""
        put(store, batch(stored("1", "here"), stored("1", "there", source="x")))
        put(store, batch(tombstones=tombstones("1")))
        assert store.get(pl.concat([keys("1"), keys("1", source="x")]))["source"].to_list() == ["x"]

    def test_a_deleted_post_is_gone_for_ever(self, store: Store) -> None:
        """From every answer, the change feed too; it is refused when it comes again."""
        put(store, batch(stored("1", "secret words"), stored("2"), hits=[("mastodon", "1", 3, 1)]))
        put(store, batch(tombstones=tombstones("1", "never seen", version=9)))
        put(store, batch(stored("1", "secret words"), hits=[("mastodon", "1", 3, 1)]))
        assert found(store) == ["2"]
        assert found(store, Term("secret")) == found(store, rules=[3]) == []
        assert store.get(keys("1")).height == 0
        assert [store.tombstoned("mastodon", i) for i in ("1", "2", "never seen")] == [
            True,
            False,
            True,
        ]
        state = known(store, asked("1", "2", "never seen"))
        assert {i: s["tombstone"] for i, s in state.items()} == {
            "1": True,
            "2": False,
            "never seen": True,
        }
        assert state["1"]["version"] == 9
        assert told(store, "correction")[-1]["removed"] == [
            ["mastodon", "1"],
            ["mastodon", "never seen"],
        ]
        assert "secret" not in "".join(store.changes(0)["payload"].to_list())

    def test_a_hidden_post_is_kept_and_not_shown(self, store: Store) -> None:
        """Until it is shown again; the engine sees it all the time."""
        put(store, batch(stored("1"), stored("2"), stored("3", hidden=True)))
        put(store, batch(flags=rows_of(FLAG, ("mastodon", "1", True))))
        for query in (None, Term("hello")):
            assert (found(store, query), store.count(query, ALWAYS)) == (["2"], 1)
        for answer in (store.get(keys("1", "3")), store.by_minute(NOON, "mastodon")):
            assert set(answer.filter("hidden")["id"]) == {"1", "3"}
        assert {i for i, s in known(store, asked("1", "2", "3")).items() if s["hidden"]} == {
            "1",
            "3",
        }
        put(store, batch(flags=rows_of(FLAG, ("mastodon", "1", False), ("mastodon", "3", False))))
        assert set(found(store)) == {"1", "2", "3"}
        assert store.count(Term("hello"), ALWAYS) == 3
        corrections = told(store, "correction")
        assert [c["removed"] for c in corrections if c["removed"]] == [[["mastodon", "1"]]]

    def test_a_place_can_be_taken_out(self, store: Store) -> None:
        """The post stays; its country finds it no more."""
        berlin: dict[str, Any] = {
            "place": "Berlin",
            "country": "DE",
            "latitude": 52.5,
            "longitude": 13.4,
        }
        put(store, batch(stored("1", **berlin), stored("2", **berlin)))
        put(store, batch(scrubbed=keys("1", "unknown")))
        assert found(store, Tag(tag("c_", "DE"))) == ["2"]
        assert found(store, Term("hello")) != []
        one = store.get(keys("1")).row(0, named=True)
        assert [one[c] for c in (*berlin, "place_from")] == [None] * 5

    def test_what_was_only_embedded_is_promoted(self, store: Store) -> None:
        """`consumed` becomes true, `copy` and `late` are set; the rest stays."""
        put(store, batch(stored("1", consumed=False), hits=[("mastodon", "1", 5, 2)]))
        put(store, batch(promoted=rows_of(PROMOTED, ("mastodon", "1", True, False))))
        one = store.get(keys("1")).row(0, named=True)
        assert [one[c] for c in ("consumed", "copy", "late", "rules")] == [True, True, False, [5]]
        assert found(store, All((Tag(tag("i_", "copy")), Tag(rule_tag(5))))) == ["1"]

    # -- searching -------------------------------------------------------------------------
    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            (Term("music"), "abc"),
            (Term("#music"), "b"),
            (Prefix("mus"), "abcd"),
            (All((Term("new"), Term("music"))), "ac"),
            (AnyOf((Term("museum"), Term("#music"))), "bd"),
            (All(()), "abcde"),
            (AnyOf(()), ""),
            (All((Term("music"), AnyOf((Term("old"), Tag(tag("l_", "de")))))), "bc"),
            (Near(("new", "music"), 0), "a"),
            (Near(("music", "new"), 5), "ac"),
            (Tag(tag("l_", "en")), "ad"),
            (Tag(rule_tag(4)), "e"),
            (Term('quote"d'), ""),
            (Term("musi"), ""),
        ],
    )
    def test_the_index_finds_what_is_asked(self, store: Store, query: Query, ids: str) -> None:
        """Tokens, prefixes, nearness, tags, and how they are put together."""
        put(
            store,
            batch(
                stored("a", "New music!", lang="en"),
                stored("b", "old #music", lang="de"),
                stored("c", "new and old: music", lang="fr"),
                stored("d", "a museum", lang="en"),
                stored("e", "日本語", lang="ja"),
                hits=[("mastodon", "e", 4, 1)],
            ),
        )
        assert "".join(sorted(found(store, query))) == ids
        assert store.count(query, ALWAYS) == len(ids)

    def test_pages_go_on_where_the_last_one_ended(self, store: Store) -> None:
        """In order of (event_time, source, id), both ways, through equal times and milliseconds."""
        times = [NOON + n // 5 * 300 * MICRO for n in range(30)]
        rows = [stored(f"{n * 7 % 30:02}", event_time=t) for n, t in enumerate(times)]
        rows += [stored(f"{n}", source="x", event_time=NOON) for n in range(5)]
        put(store, batch(*rows))
        order = sorted((r["event_time"], r["source"], r["id"]) for r in rows)
        for newest_first in (True, False):
            wanted = order[::-1] if newest_first else order
            for query in (None, Term("hello")):
                seen: list[tuple[Any, ...]] = []
                while True:
                    page = store.select(
                        query,
                        ALWAYS,
                        limit=4,
                        after=seen[-1] if seen else None,
                        newest_first=newest_first,
                    )
                    if page.height == 0:
                        break
                    seen += page.select("event_time", "source", "id").rows()
                assert seen == wanted

    def test_a_span_is_half_open_to_the_microsecond(self, store: Store) -> None:
        """Its beginning belongs to it, its end does not; the count agrees."""
        put(store, batch(*(stored(str(n), event_time=NOON + n * MICRO) for n in range(10))))
        for since, until in [(0, 10), (3, 7), (3, 3), (0, 1), (9, 99)]:
            span = Span(NOON + since * MICRO, NOON + until * MICRO)
            wanted = [str(n) for n in range(10) if since <= n < until]
            for query in (None, Term("hello")):
                assert found(store, query, span=span, newest_first=False) == wanted
                assert store.count(query, span) == len(wanted)

    @pytest.mark.parametrize("year", [1, 1400, 1969, 2300, 9999])
    def test_impossible_times_are_times_like_others(self, store: Store, year: int) -> None:
        """A post of any year is found in its place, and in its minute."""
        then = dt.datetime(year, 6, 1, tzinfo=dt.UTC)
        put(store, batch(stored("odd", event_time=then), stored("odder", event_time=then + MINUTE)))
        put(store, batch(stored("now")))
        assert found(store, span=Span(then, then + MINUTE)) == ["odd"]
        assert store.count(Term("hello"), Span(then, then + MINUTE)) == 1
        assert store.by_minute(then, "mastodon")["id"].to_list() == ["odd"]
        whole = [("odd", then), ("odder", then + MINUTE), ("now", NOON)]
        assert found(store, newest_first=False) == [i for i, _ in sorted(whole, key=lambda w: w[1])]
        assert store.bounds() == (min(t for _, t in whole), max(t for _, t in whole))

    def test_rules_narrow_a_search_to_their_posts(self, store: Store) -> None:
        """Any of them will do; all rules of a post are told, in order."""
        hits = [("mastodon", "1", 2, 1), ("mastodon", "1", 1, 4), ("mastodon", "2", 2, 1)]
        put(store, batch(stored("1"), stored("2"), stored("3"), hits=hits))
        assert set(found(store, rules=[2])) == {"1", "2"}
        assert set(found(store, Term("hello"), rules=[1, 9])) == {"1"}
        assert store.count(None, ALWAYS, rules=[1, 2]) == 2
        assert store.get(keys("1"))["rules"].to_list() == [[1, 2]]

    def test_a_day_is_sealed_page_by_page(self, store: Store) -> None:
        """A day's posts of a source, oldest first, hidden ones too."""
        day = NOON.replace(hour=0)
        hours = {"a": -1, "b": 0, "c": 12 * 60, "d": 24 * 60 - 1, "e": 24 * 60}
        rows = [stored(i, event_time=day + m * MINUTE, hidden=i == "c") for i, m in hours.items()]
        put(store, batch(*rows, stored("f", source="x")))
        first = store.seal(day.date(), "mastodon", after=None, limit=2)
        after = first.select("event_time", "source", "id").row(-1)
        rest = store.seal(day.date(), "mastodon", after=after, limit=2)
        assert first.schema == rest.schema == STORED
        assert [first["id"].to_list(), rest["id"].to_list()] == [["b", "c"], ["d"]]
