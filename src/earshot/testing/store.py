"""What every store must keep, as tests; shipped, so that plug-ins can run them too.

A subclass gives the fixture `open_it`, a function that opens the same store anew; it takes
`writable`.
"""
# Longer than others: one class, a test for each sentence of the store's contract.

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import polars as pl
import pytest

from earshot.errors import ConflictError
from earshot.model.changes import DIRTY, FLAG, KEY, PROMOTED, REMEMBERED, Changes, Wanted
from earshot.model.index import All, AnyOf, Near, Prefix, Query, Span, Tag, Term
from earshot.model.schema import (
    AUTHOR,
    COUNT,
    GAP,
    INTERACTION,
    OBSERVATION,
    QUARANTINE,
    STATE,
    STORED,
    TOMBSTONE,
)
from earshot.model.tags import rule_tag, tag
from earshot.store import Store, WindowBlock
from earshot.testing.builders import NOON, batch, posts_of, rows_of, stored

OpenStore = Callable[..., Store]
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
MICRO = dt.timedelta(microseconds=1)
ALWAYS = Span()


def keys(*ids: str, source: str = "mastodon") -> pl.DataFrame:
    """KEY rows."""
    return rows_of(KEY, *((source, i) for i in ids))


def tombstones(*ids: str, source: str = "mastodon", version: int = 0) -> pl.DataFrame:
    """TOMBSTONE rows."""
    return rows_of(TOMBSTONE, *((source, i, version, NOON) for i in ids))


def put(store: Store, changes: Changes, *, offset: int = 1, at: dt.datetime = NOON) -> None:
    """Commit a batch."""
    store.commit(changes, offset=offset, at=at)


def found(store: Store, query: Query | None = None, **more: Any) -> list[str]:  # noqa: ANN401 - of `select`
    """The ids that a search finds, newest first."""
    page = store.select(query, more.pop("span", ALWAYS), limit=more.pop("limit", 1000), **more)
    return page["id"].to_list()


def asked(*ids: str, authors: Sequence[str] = (), interactions: Sequence[str] = ()) -> Wanted:
    """A question about keys of one network."""
    return Wanted(keys(*ids), keys(*authors), keys(*interactions))


def known(store: Store, wanted: Wanted) -> dict[str, dict[str, Any]]:
    """Id → STATE of what a store knows."""
    return {row["id"]: row for row in store.state(wanted).posts.to_dicts()}


def told(store: Store, kind: str, after: int = 0) -> list[dict[str, Any]]:
    """The payloads of a kind in the change feed."""
    rows = store.changes(after, limit=10_000).filter(pl.col("kind") == kind)
    return [json.loads(text) for text in rows["payload"].to_list()]  # noqa: TID251 - a test


def block(start: dt.datetime, data: bytes = b"rows", **more: Any) -> WindowBlock:  # noqa: ANN401 - of the block
    """A window block of a minute."""
    totals: dict[str, Any] = {"posts": 3, "authors": 2, "score": 1500}
    shape: dict[str, Any] = {"width": 60, "source": "mastodon", "rule": 0}
    return WindowBlock(start=start, data=data, **(shape | totals | more))


WHOLE = stored(
    "whole",
    text="Grüße an #Berlin\u2028 \U0001f44b\x00\ufffd",
    title="A 'title'",
    event_time=NOON + 7 * MICRO,
    edited_at=NOON + DAY,
    version=(1 << 62) + 1,
    author_followers=0,
    author_verified=True,
    author_bot=False,
    lang="de",
    hashtags=["Berlin", "", 'x,y"z'],
    mentions=None,
    cashtags=[],
    links=[
        {"url": "https://t.co/1", "expanded": None, "canonical": "", "domain": "example.com"},
        {"url": None, "expanded": None, "canonical": None, "domain": None},
    ],
    media=[{"kind": "image", "url": "https://example.com/1.png", "alt": "ein Bär"}],
    place="Berlin",
    country="DE",
    latitude=52.52000000000001,
    longitude=-0.0,
    likes=0,
    score=-5,
    counters_at=NOON,
    sensitive=False,
    hidden=False,
    late=True,
    text_hash=(1 << 64) - 1,
)


class StoreContract:
    """The meaning of `Store`, as tests."""

    @pytest.fixture
    def store(self, open_it: OpenStore) -> Iterator[Store]:
        """A new store, open to write."""
        with open_it(writable=True) as opened:
            yield opened

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
        assert store.dirty().schema == DIRTY
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

    # -- what dedupe asks ------------------------------------------------------------------
    def test_the_state_of_a_key_is_what_is_stored(self, store: Store) -> None:
        """Nothing for what is unknown."""
        put(store, batch(WHOLE))
        state = store.state(asked("whole", "unknown")).posts
        expected = posts_of([WHOLE]).select(c for c in STATE if c in STORED)
        assert state.select(expected.columns).equals(expected)
        assert state["tombstone"].to_list() == [False]

    def test_an_author_s_posts_are_found_by_the_author(self, store: Store) -> None:
        """All of them, hidden ones too, and whether the author was deleted."""
        by_ada = [stored(i, author_id="Ada:1/x", hidden=i == "2") for i in ("1", "2")]
        put(store, batch(*by_ada, stored("3"), stored("4", source="x", author_id="Ada:1/x")))
        assert set(known(store, asked(authors=["Ada:1/x"]))) == {"1", "2"}
        gone = tombstones("author:Ada:1/x", version=8)
        put(store, batch(authors=rows_of(AUTHOR, _author("Ada:1/x", "ada")), tombstones=gone))
        state = known(store, asked("author:Ada:1/x", authors=["Ada:1/x"]))
        assert set(state) == {"1", "2", "author:Ada:1/x"}
        assert state["author:Ada:1/x"]["version"] == 8
        assert store.author("mastodon", "Ada:1/x").height == 0
        assert all(not c["removed"] for c in told(store, "correction"))

    def test_the_greater_version_of_a_tombstone_stays(self, store: Store) -> None:
        """Whatever the order they come in."""
        for version in (3, 9, 5):
            put(store, batch(tombstones=tombstones("scrub:1", version=version)))
        assert known(store, asked("scrub:1"))["scrub:1"]["version"] == 9

    def test_interactions_are_a_set(self, store: Store) -> None:
        """By key; with the post that they are about."""
        put(store, batch(stored("1")))
        like = ("mastodon", "like/1", "like", "bob", "1", False, NOON)
        undone = ("mastodon", "like/1", "like", None, None, True, NOON)
        for _ in range(2):
            put(store, batch(interactions=rows_of(INTERACTION, like)))
        state = store.state(asked(interactions=["like/1", "like/2"]))
        assert state.interactions.rows() == [like]
        assert state.posts["id"].to_list() == ["1"]
        put(store, batch(interactions=rows_of(INTERACTION, undone)))
        assert store.state(asked(interactions=["like/1"])).interactions.height == 0

    def test_keys_that_were_not_kept_are_remembered_for_a_day(self, store: Store) -> None:
        """With what dedupe needs of them; not as posts."""
        row = ("mastodon", "1", True, 4, NOON, 17, False, True, 99)
        put(store, batch(remembered=rows_of(REMEMBERED, row)))
        put(store, batch(remembered=rows_of(REMEMBERED, (*row[:3], 5, *row[4:]))))
        state = known(store, asked("1"))["1"]
        assert [state[c] for c in REMEMBERED] == [*row[:3], 5, *row[4:]]
        assert (state["tombstone"], state["event_time"]) == (False, None)
        assert (found(store), store.get(keys("1")).height) == ([], 0)
        put(store, batch(stored("1", consumed=False)))
        assert known(store, asked("1"))["1"]["event_time"] == NOON
        store.retire(before=NOON - DAY, max_bytes=1 << 40, at=NOON + DAY + MINUTE)
        put(store, batch(tombstones=tombstones("1")))
        assert known(store, asked("1"))["1"]["tombstone"]

    def test_texts_are_known_once_they_were_told(self, store: Store) -> None:
        """Those of `Changes.texts`, and no others."""
        texts = pl.Series("texts", [5, 1 << 63, 5], pl.UInt64)
        put(store, batch(stored("1", text_hash=7), texts=texts))
        hashes = pl.Series([1, 5, 7, 1 << 63, 0], dtype=pl.UInt64)
        assert sorted(store.known_texts(hashes).to_list()) == [5, 1 << 63]

    # -- counters --------------------------------------------------------------------------
    def test_the_newest_observation_gives_a_post_its_counters(self, store: Store) -> None:
        """Whatever the order they come in; what was not seen stays."""
        put(store, batch(stored("1", likes=1, views=50, counters_at=NOON)))
        put(store, batch(observations=_observed((2, 5), (1, 3))))
        put(store, batch(observations=_observed((1, 4))))
        one = store.get(keys("1")).row(0, named=True)
        assert [one[c] for c in ("likes", "views", "counters_at")] == [5, 50, NOON + 2 * MINUTE]

    def test_what_was_seen_in_a_minute_comes_with_what_was_seen_before(self, store: Store) -> None:
        """The newest of the minute; a first sight stays one."""
        put(store, batch(stored("1"), stored("2", source="x")))
        put(store, batch(observations=_observed((0, 2, True), (0.5, 3), (3, 9), (3.2, 8))))
        first = store.observed(NOON, "mastodon").row(0, named=True)
        assert [first[c] for c in ("seen_likes", "before_likes", "base")] == [3, None, True]
        later = store.observed(NOON + 3 * MINUTE, "mastodon").row(0, named=True)
        assert [later[c] for c in ("seen_likes", "before_likes", "base")] == [8, 3, False]
        assert [later["id"], later["likes"]] == ["1", 8]
        assert store.observed(NOON + MINUTE, "mastodon").height == 0
        put(store, batch(tombstones=tombstones("1")))
        assert store.observed(NOON, "mastodon").height == 0

    def test_minutes_are_read_together_as_they_are_read_alone(self, store: Store) -> None:
        """Each post of each asked minute once, each observation once."""
        rows = [
            stored(f"{m}{s}", source=s, event_time=NOON + m * MINUTE)
            for m in range(6)
            for s in ("x", "reddit")
        ]
        put(store, batch(*rows))
        seen = [
            (r["source"], r["id"], NOON + m * MINUTE, NOON + m * MINUTE, False, m, *(None,) * 5)
            for r in rows
            for m in range(3)
        ]
        put(store, batch(observations=rows_of(OBSERVATION, *seen)))
        asked_for = [(0, "x"), (1, "x"), (1, "reddit"), (4, "x"), (5, "mastodon")]
        minutes = rows_of(DIRTY, *((NOON + m * MINUTE, s) for m, s in asked_for))
        ids = [i for page in store.by_minutes(minutes) for i in page["id"]]
        assert sorted(ids) == ["0x", "1reddit", "1x", "4x"]
        pages = pl.concat(store.observed_in(minutes))
        assert pages.height == pages.unique(["source", "id", "minute"]).height == 18
        for m, s in asked_for:
            alone = store.observed(NOON + m * MINUTE, s).sort("id")
            here = pages.filter(minute=NOON + m * MINUTE, source=s).sort("id")
            assert here.drop("minute").equals(alone)

    # -- people ----------------------------------------------------------------------------
    def test_profiles_are_merged(self, store: Store) -> None:
        """The newest known value of each field."""
        for row in (_author("7", "old"), _author("7", None, bio="b"), _author("7", "x", at=-1)):
            put(store, batch(authors=rows_of(AUTHOR, row)))
        profile = store.author("mastodon", "7").row(0, named=True)
        assert [profile[c] for c in ("handle", "bio", "seen_at")] == ["old", "b", NOON]
        assert store.author("mastodon", "8").height == 0

    @pytest.mark.parametrize("profile_first", [True, False])
    def test_posts_without_a_name_get_that_of_the_profile(
        self,
        store: Store,
        profile_first: bool,  # noqa: FBT001 - a parameter of the test
    ) -> None:
        """Whichever comes first; a name that is there stays, and `from:` finds both."""
        nameless: dict[str, Any] = {
            "author_id": "did:1",
            "author_handle": None,
            "author_name": None,
        }
        posts = batch(stored("1", **nameless), stored("2", **(nameless | {"author_name": "Own"})))
        profile = batch(authors=rows_of(AUTHOR, _author("did:1", "ada.example", name="Ada")))
        for changes in (profile, posts) if profile_first else (posts, profile):
            put(store, changes)
        names = store.get(keys("1", "2")).sort("id").select("author_handle", "author_name").rows()
        assert names == [("ada.example", "Ada"), ("ada.example", "Own")]
        assert set(found(store, Tag(tag("f", "ada.example")))) == {"1", "2"}
        assert set(found(store, Term("hello"))) == {"1", "2"}

    # -- windows and ledgers ---------------------------------------------------------------
    def test_dirty_minutes_stay_until_their_windows_are_put(self, store: Store) -> None:
        """In order of minute; blocks and list change together."""
        minutes = [(NOON + MINUTE, "x"), (NOON, "x"), (NOON, "reddit")]
        for row in minutes * 2:
            put(store, batch(dirty=rows_of(DIRTY, row)))
        assert store.dirty()["minute"].is_sorted()
        assert set(store.dirty().rows()) == set(minutes)
        store.put_windows([block(NOON)], clean=rows_of(DIRTY, *minutes[1:]), at=NOON)
        assert store.dirty().rows() == minutes[:1]

    def test_windows_are_read_by_width_span_source_and_rule(self, store: Store) -> None:
        """In order of start; the totals without the blocks; an empty block ends its window."""
        blocks = [block(NOON + m * MINUTE, b"%d" % m, posts=m + 1) for m in (2, 0, 1)]
        others = [block(NOON, source="x"), block(NOON, rule=4), block(NOON, width=300)]
        store.put_windows(blocks + others, clean=rows_of(DIRTY), at=NOON)
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
        store.put_windows(empty, clean=rows_of(DIRTY), at=NOON)
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
        store.put_windows([block(NOON, rule=4)], clean=rows_of(DIRTY), at=NOON)
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
        put(store, batch(*_aged(), tombstones=tombstones("gone")), offset=4)
        put(store, batch(dirty=rows_of(DIRTY, *((NOON + m * DAY, "mastodon") for m in range(4)))))
        store.put_windows([block(NOON + m * DAY) for m in range(4)], clean=rows_of(DIRTY), at=NOON)
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

    # -- life ------------------------------------------------------------------------------
    def test_reopening_changes_nothing(self, open_it: OpenStore) -> None:
        """All that was committed is there, the memory of keys and texts too."""
        with open_it(writable=True) as store:
            put(store, batch(stored("1"), texts=pl.Series("texts", [5], pl.UInt64)), offset=9)
            put(store, batch(tombstones=tombstones("2")), offset=10)
            feed = store.feed()
        with open_it(writable=True) as store:
            assert (store.offset(), store.feed()) == (10, feed)
            assert set(known(store, asked("1", "2", "3"))) == {"1", "2"}
            assert store.known_texts(pl.Series([5, 6], dtype=pl.UInt64)).to_list() == [5]
            assert found(store) == ["1"]

    def test_there_is_one_writer(self, open_it: OpenStore) -> None:
        """A second one is told who holds it; readers may come and go, and cannot write."""
        with open_it(writable=True) as store:
            with pytest.raises(ConflictError, match="process"):
                open_it(writable=True)
            with open_it(writable=False) as reader:
                put(store, batch(stored("1")))
                assert found(reader) == ["1"]
                with pytest.raises(ConflictError):
                    put(reader, batch(stored("2")))
        with open_it(writable=True) as store:
            put(store, batch(stored("2")), offset=2)

    def test_a_batch_that_fails_leaves_no_trace(self, store: Store) -> None:
        """All of it is visible, or none of it."""
        put(store, batch(stored("1")), offset=3)
        feed = store.feed()
        bad = batch(stored("2"), counts=pl.DataFrame({"minute": ["no time"]}))
        with pytest.raises(pl.exceptions.PolarsError):
            store.commit(bad, offset=4, at=NOON, notes={"a": "1"})
        assert (store.offset(), store.feed(), found(store)) == (3, feed, ["1"])
        assert store.facts() == {}
        store.commit(batch(stored("2")), offset=4, at=NOON, notes={"a": "2", "b": "3"})
        assert store.facts() == {"a": "2", "b": "3"}
        assert set(found(store)) == {"1", "2"}

    def test_closing_twice_is_closing_once(self, open_it: OpenStore) -> None:
        """And leaves it open to others."""
        store = open_it(writable=True)
        store.close()
        store.close()
        open_it(writable=True).close()


def _author(author: str, handle: str | None, *, at: int = 0, **more: Any) -> tuple[Any, ...]:  # noqa: ANN401 - of AUTHOR
    row = dict.fromkeys(AUTHOR) | {"source": "mastodon", "id": author, "handle": handle}
    row |= {"seen_at": NOON + at * MINUTE}
    return tuple((row | more).values())


def _observed(*seen: tuple[float, int] | tuple[float, int, bool]) -> pl.DataFrame:
    """OBSERVATION rows of post 1: minutes after noon, likes, whether it is a first sight."""
    rows = []
    for after, likes, *base in seen:
        at = NOON + after * MINUTE
        minute = at.replace(second=0, microsecond=0)
        rows.append(("mastodon", "1", minute, at, bool(base), likes, *(None,) * 5))
    return rows_of(OBSERVATION, *rows)


def _aged() -> list[dict[str, Any]]:
    """Posts 0 to 3, one a day, each received when it was written."""
    days = (NOON + n * DAY for n in range(4))
    return [stored(str(n), event_time=t, received_at=t) for n, t in enumerate(days)]
