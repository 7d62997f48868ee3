"""What every store must know of what is stored: state, counters, people."""

from typing import Any

import msgspec
import polars as pl
import pytest

from earshot.model.changes import DIRTY, FLAG, REMEMBERED
from earshot.model.index import All, AnyOf, Span, Tag, Term
from earshot.model.schema import (
    AUTHOR,
    INTERACTION,
    OBSERVATION,
    STATE,
    STORED,
)
from earshot.model.tags import tag
from earshot.store import Store
from earshot.testing.builders import NOON, batch, posts_of, rows_of, stored
from earshot.testing.store_kit import (
    DAY,
    MINUTE,
    WHOLE,
    asked,
    author,
    found,
    keys,
    known,
    observed,
    put,
    told,
    tombstones,
)


class StateLaws:
    """What dedupe asks, what was seen of counters, who wrote."""

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
        put(store, batch(authors=rows_of(AUTHOR, author("Ada:1/x", "ada")), tombstones=gone))
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
        put(store, batch(observations=observed((2, 5), (1, 3))))
        put(store, batch(observations=observed((1, 4))))
        one = store.get(keys("1")).row(0, named=True)
        assert [one[c] for c in ("likes", "views", "counters_at")] == [5, 50, NOON + 2 * MINUTE]

    def test_what_was_seen_in_a_minute_comes_with_what_was_seen_before(self, store: Store) -> None:
        """The newest of the minute; a first sight stays one."""
        put(store, batch(stored("1"), stored("2", source="x")))
        put(store, batch(observations=observed((0, 2, True), (0.5, 3), (3, 9), (3.2, 8))))
        first = store.observed(NOON, "mastodon").row(0, named=True)
        assert [first[c] for c in ("seen_likes", "before_likes", "base")] == [3, None, True]
        later = store.observed(NOON + 3 * MINUTE, "mastodon").row(0, named=True)
        assert [later[c] for c in ("seen_likes", "before_likes", "base")] == [8, 3, False]
        assert [later["id"], later["likes"]] == ["1", 8]
        assert store.observed(NOON + MINUTE, "mastodon").height == 0
        put(store, batch(tombstones=tombstones("1")))
        assert store.observed(NOON, "mastodon").height == 0

    @pytest.mark.parametrize(
        "change",
        [
            {"tombstones": tombstones("1")},
            {"flags": rows_of(FLAG, ("mastodon", "1", True))},
            {"scrubbed": keys("1")},
            {"rows": [stored("1", event_time=NOON + DAY, version=2)]},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_a_change_makes_the_minutes_dirty_that_a_post_was_seen_in(
        self, store: Store, change: dict[str, Any]
    ) -> None:
        """Its scores lie there, and are no longer what they were; those of others are."""
        put(store, batch(stored("1"), stored("2"), observations=observed((0, 2), (3, 5))))
        put(store, batch(dirty=rows_of(DIRTY, (NOON + MINUTE, "mastodon"))), offset=2)
        more = dict(change)
        put(store, batch(*more.pop("rows", []), **more), offset=3)
        dirty = store.dirty().select("minute", "source", "offset").rows()
        assert dirty == [
            (NOON, "mastodon", 3),
            (NOON + MINUTE, "mastodon", 2),
            (NOON + 3 * MINUTE, "mastodon", 3),
        ]

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

    def test_minutes_give_the_columns_and_keys_that_are_asked_for(self, store: Store) -> None:
        """At least these columns, with the rules; only posts of these keys."""
        put(store, batch(stored("1"), stored("2"), hits=[("mastodon", "2", 5, 1)]))
        put(store, batch(observations=observed((0, 7))))
        minutes = rows_of(DIRTY, (NOON, "mastodon"))
        for read, ids in ((store.by_minutes, {"1", "2"}), (store.observed_in, {"1"})):
            whole = pl.concat(read(minutes)).sort("id")
            some = pl.concat(read(minutes, columns=("id", "hashtags", "late"))).sort("id")
            assert set(whole["id"]) == ids
            assert {"id", "hashtags", "late", "rules"} <= set(some.columns) < set(whole.columns)
            assert some.equals(whole.select(some.columns))
            one = pl.concat(read(minutes, keys=keys("1", "unknown")))
            assert one.equals(whole.filter(id="1"))
            assert list(read(minutes, keys=keys("unknown"))) == []
            assert list(read(rows_of(DIRTY, (NOON + DAY, "mastodon")), keys=keys("1"))) == []

    def test_the_newest_minute_in_which_anything_was_observed_is_known(self, store: Store) -> None:
        """Of a hidden post too; of nothing that is gone."""
        assert store.last_observed() is None
        put(store, batch(stored("1", hidden=True), observations=observed((3, 1), (1.5, 2))))
        assert store.last_observed() == NOON + 3 * MINUTE
        put(store, batch(tombstones=tombstones("1")))
        assert store.last_observed() is None

    # -- people ----------------------------------------------------------------------------
    def test_profiles_are_merged(self, store: Store) -> None:
        """The newest known value of each field."""
        for row in (author("7", "old"), author("7", None, bio="b"), author("7", "x", at=-1)):
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
        profile = batch(authors=rows_of(AUTHOR, author("did:1", "ada.example", name="Ada")))
        for changes in (profile, posts) if profile_first else (posts, profile):
            put(store, changes)
        names = store.get(keys("1", "2")).sort("id").select("author_handle", "author_name").rows()
        assert names == [("ada.example", "Ada"), ("ada.example", "Own")]
        assert set(found(store, Tag(tag("f", "ada.example")))) == {"1", "2"}
        assert set(found(store, Term("hello"))) == {"1", "2"}

    def test_a_handle_finds_what_was_written_under_it_and_no_more(self, store: Store) -> None:
        """What came before any profile keeps its first name; what comes later has the new one."""
        bare: dict[str, Any] = {"author_handle": None, "author_name": None}
        own: dict[str, Any] = {"author_id": "did:1", "author_handle": "own", "author_name": None}
        put(store, batch(*(stored(n, author_id="did:1", **bare) for n in "12"), stored("3", **own)))
        put(store, batch(stored("4", author_id="did:2", **bare)), offset=2)
        put(store, batch(stored("5", source="x", author_id="did:1", **bare)), offset=3)
        put(store, batch(authors=rows_of(AUTHOR, author("did:1", None, name="A"))), offset=4)
        put(store, batch(authors=rows_of(AUTHOR, author("did:1", "First"))), offset=5)
        renamed = author("did:1", "second", name="B", at=1)
        put(store, batch(authors=rows_of(AUTHOR, renamed)), offset=6)
        put(store, batch(stored("6", author_id="did:1", **bare)), offset=7)
        everything = store.select(None, Span(), limit=9).sort("id")
        names = everything.select("author_handle", "author_name").rows()
        first, unknown = ("First", "A"), (None, None)
        assert names == [first, first, ("own", "A"), unknown, unknown, ("second", "B")]
        by_handle = {h: set(found(store, Tag(tag("f", h)))) for h in ("first", "own", "second")}
        assert by_handle == {"first": {"1", "2"}, "own": {"3"}, "second": {"6"}}
        assert store.count(Tag(tag("f", "first")), Span()) == 2
        several = AnyOf((Tag(tag("f", "first")), Tag(tag("f", "own"))))
        assert set(found(store, All((several, Term("hello"))))) == {"1", "2", "3"}
        page = pl.concat(
            store.by_minutes(rows_of(DIRTY, (NOON, "mastodon")), columns=("author_name",))
        )
        assert page["author_name"].to_list().count("A") == 3

    def test_a_name_that_becomes_known_is_told_once(self, store: Store) -> None:
        """Of each post without one; not when the profile changes again."""
        bare: dict[str, Any] = {"author_handle": None, "author_name": None}
        put(store, batch(stored("1", author_id="did:1", **bare)))
        corrections = []
        for n, handle in enumerate(("first", "second")):
            before = store.feed()[2]
            row = author("did:1", handle, name="A", at=n)
            put(store, batch(authors=rows_of(AUTHOR, row)), offset=2 + n)
            payloads = store.changes(before)["payload"].to_list()
            corrections.append([p for p in payloads if '"1"' in p])
        assert [len(payloads) for payloads in corrections] == [1, 0]

    def test_a_post_that_is_deleted_as_its_name_becomes_known_is_gone(self, store: Store) -> None:
        """It is told as removed, not as changed."""
        bare: dict[str, Any] = {"author_id": "did:1", "author_handle": None, "author_name": None}
        put(store, batch(stored("1", **bare), stored("2", **bare)))
        before = store.feed()[2]
        profile = rows_of(AUTHOR, author("did:1", "ada"))
        put(store, batch(authors=profile, tombstones=tombstones("1")), offset=2)
        assert found(store, Tag(tag("f", "ada"))) == ["2"]
        payloads = [msgspec.json.decode(p) for p in store.changes(before)["payload"].to_list()]
        removed = [key for p in payloads for key in p["removed"]]
        changed = [key for p in payloads for key in p["changed"]]
        assert (removed, changed) == ([["mastodon", "1"]], [["mastodon", "2"]])

    def test_a_named_post_that_is_indexed_anew_is_found_as_before(self, store: Store) -> None:
        """By the handle it is read with; one that has lost its author by none."""
        bare: dict[str, Any] = {"author_id": "did:1", "author_handle": None, "author_name": None}
        put(store, batch(stored("1", **bare), stored("2", **bare)))
        put(store, batch(scrubbed=keys("1")), offset=2)
        profile = rows_of(AUTHOR, author("did:1", "ada", name="A"))
        put(store, batch(authors=profile), offset=3)
        put(store, batch(scrubbed=keys("2")), offset=4)
        ada = Tag(tag("f", "ada"))
        assert set(found(store, ada)) == {"1", "2"}
        put(store, batch(tombstones=tombstones("1", "2", "author:did:1")), offset=5)
        put(store, batch(stored("3", **bare)), offset=6)
        assert found(store, ada) == []
        assert store.get(keys("3"))["author_handle"].to_list() == [None]
